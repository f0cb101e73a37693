// ‹ 2/3 ›: what edits and retries have replaced, and putting it back.

import { button, element } from "./dom.js";
import { t } from "./language.js";

/**
 * @param {{count: number, shown: number, ids: string[]}} alternatives of a message, `shown` counted from 1
 * @param {(id: string, step: -1|1) => void} choose
 */
export function alternativesBox({ count, shown, ids }, isBusy, choose) {
  const arrow = (label, name, step) => {
    const id = ids[shown - 1 + step];
    const made = button(label, () => choose(id, step));
    made.dataset.step = step;
    made.disabled = isBusy || id === undefined;
    made.setAttribute("aria-label", name);
    return made;
  };
  const place = element("span", { textContent: `${shown}/${count}` });
  const box = element("span", { className: "alternatives" }, arrow("‹", t("alternatives.previous"), -1), place, arrow("›", t("alternatives.next"), 1));
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", t("alternatives.label", { shown, count }));
  return box;
}
