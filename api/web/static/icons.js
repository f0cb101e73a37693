// Small pictures on buttons, beside their names.

const SVG = "http://www.w3.org/2000/svg";
/** Lines on a square of 16. */
const LINES = {
  copy: "M6 6h7v7H6zM3 10V3h7",
  edit: "M3 13l.8-3L11 2.8 13.2 5 6 12.2z",
  retry: "M13 2.5V6H9.5M12.8 6A5.2 5.2 0 1 0 13.2 9",
  pin: "M5.5 2.5h5M6.5 2.5v4l-2 3h7l-2-3v-4M8 9.5v4.5",
  continue: "M5 3l7.5 5L5 13z",
};

/** Put a picture in front of a button's name. */
export function withIcon(name, button) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 16 16");
  icon.setAttribute("class", `icon icon-${name}`);
  icon.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", LINES[name]);
  icon.append(line);
  button.prepend(icon);
  return button;
}
