// Puts the texts of the page's HTML into the page's language; loaded before whatever reads them there.
//
// `data-t` names the text of an element, `data-t-title` that of its attribute `title`.

import { withCode } from "./dom.js";
import { t } from "./language.js";

const ATTRIBUTES = ["aria-label", "placeholder", "title"];
const root = document.documentElement;

if ("untranslated" in root.dataset) {
  for (const element of document.querySelectorAll("[data-t]")) element.replaceChildren(...withCode(t(element.dataset.t)));
  for (const name of ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[data-t-${name}]`)) element.setAttribute(name, t(element.getAttribute(`data-t-${name}`)));
  }
  delete root.dataset.untranslated;
}
