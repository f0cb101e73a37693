// Buttons that narrow screens keep behind another one.

/** Show `list` while `toggle` is on; a choice, Escape or a tap elsewhere turns it off. */
export function wireMenu(toggle, list) {
  const isOpen = () => list.classList.contains("open");
  const show = (wanted) => {
    list.classList.toggle("open", wanted);
    toggle.setAttribute("aria-expanded", String(wanted));
  };
  toggle.addEventListener("click", () => show(!isOpen()));
  document.addEventListener("click", (event) => {
    if (!toggle.contains(event.target)) show(false);
  });
  // Before others hear of it: what it stands in, such as the drawer, stays open.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen()) return;
    event.stopPropagation();
    show(false);
    toggle.focus();
  }, { capture: true });
}
