// Light, dark, or as the system has it: chosen in this browser, for all pages.
//
// A classic script in the head, in front of the styles: modules run when the page is already painted.

"use strict";
{
  const NAME = "palaver.theme";
  const FIXED = ["light", "dark"];
  /** The colour of a browser's own bars, as `--paper` in base.css. */
  const BARS = { light: "#fbfaf7", dark: "#191a1c" };

  function stored() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null;
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // Forbidden: it holds until the page is closed.
    }
  }

  /** @param {string|null} theme `light` or `dark`; anything else follows the system */
  function apply(theme) {
    const isFixed = FIXED.includes(theme);
    if (isFixed) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.querySelector("meta[name=color-scheme]").content = isFixed ? theme : "light dark";
    for (const bars of document.querySelectorAll("meta[name=theme-color]")) {
      const system = bars.media.includes("dark") ? "dark" : "light";
      bars.content = BARS[isFixed ? theme : system];
    }
  }

  function wireChoice() {
    const choice = document.getElementById("theme");
    if (choice === null) return;
    const show = () => { choice.value = document.documentElement.dataset.theme ?? "system"; };
    choice.addEventListener("change", () => {
      keep(choice.value);
      apply(choice.value);
    });
    addEventListener("storage", show);
    show();
  }

  apply(stored());
  addEventListener("storage", (event) => { if (event.key === NAME) apply(event.newValue); });
  document.addEventListener("DOMContentLoaded", wireChoice);
}
