// Small line charts.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 90;
const CLASSES = ["first", "second", "third"];
const LINES = ["solid", "dashed", "dotted"];

/**
 * A chart that is drawn anew with each call of `update`.
 * @param {string} title
 * @param {string[]} names one for each series
 * @param {(value: number) => string} format
 */
export function lineChart(title, names, format) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const latest = document.createElement("strong");
  const legend = document.createElement("p");
  const svg = document.createElementNS(SVG, "svg");
  caption.append(title, latest);
  legend.className = "legend";
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  figure.append(caption, svg, legend);

  /** @param {(number|null)[][]} series values over the same times; null where there is none */
  function update(series) {
    const highest = Math.max(...series.flat().map((value) => value ?? 0), 0);
    const now = series.map((values) => values.findLast((value) => value !== null) ?? null);
    latest.textContent = now.map((value) => (value === null ? "–" : format(value))).join(" · ");
    legend.textContent = `${names.map((name, n) => (names.length > 1 ? `${name} (${LINES[n]})` : name)).join(" · ")}; up to ${format(highest)}`;
    svg.setAttribute("aria-label", `${title}: ${names.map((name, n) => `${name} ${now[n] === null ? "unknown" : format(now[n])}`).join(", ")}; highest ${format(highest)}`);
    svg.replaceChildren(axis(), ...series.flatMap((values, n) => lines(values, highest || 1, CLASSES[n])));
  }

  return { figure, update };
}

function axis() {
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "axis" })) {
    line.setAttribute(name, value);
  }
  return line;
}

/** One line for each stretch without gaps. */
function lines(values, highest, className) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const stretches = [[]];
  values.forEach((value, index) => {
    if (value === null) stretches.push([]);
    else stretches.at(-1).push(`${(index * step).toFixed(1)},${(HEIGHT * (1 - value / highest)).toFixed(1)}`);
  });
  return stretches.filter((points) => points.length > 0).map((points) => {
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", className);
    return line;
  });
}
