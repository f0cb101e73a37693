// Keeps the page above the on-screen keyboard, also where the browser draws that over the page.
// (Where it knows `interactive-widget`, the page is resized already and nothing is left to do.)

/** Smaller differences are a browser's own bars. */
const KEYBOARD_PX = 100;

export function keepAboveKeyboard() {
  const view = window.visualViewport;
  if (!view) return;
  view.addEventListener("resize", () => {
    const { style } = document.documentElement;
    // A page that is zoomed into sees less of itself without any keyboard.
    const isCovered = view.scale < 1.01 && innerHeight - view.height > KEYBOARD_PX;
    if (!isCovered) {
      style.removeProperty("--height");
      return;
    }
    style.setProperty("--height", `${view.height}px`);
    // The browser has scrolled to what has the focus; all of the page is in view again.
    scrollTo(0, 0);
  });
}
