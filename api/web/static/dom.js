// Small helpers around the document.

import { t } from "./language.js";

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; strings become text. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

export function button(label, onClick) {
  const made = element("button", { type: "button", textContent: label });
  made.addEventListener("click", onClick);
  return made;
}

/** A text whose parts between backticks are code. */
export function withCode(text) {
  return text.split("`").map((piece, index) => (index % 2 ? element("code", { textContent: piece }) : piece));
}

/** Say something to who listens instead of looking. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** Copy, also where the page is not served from this machine or by TLS. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text });
  // Beside an open dialog nothing can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A button that copies what `text` gives, and says so. */
export function copyButton(text, label = t("copy")) {
  const made = button(label, async () => {
    await copy(text());
    announce(t("copied.said"));
    made.lastChild.textContent = t("copied");
    setTimeout(() => { made.lastChild.textContent = label; }, 1500);
  });
  return made;
}

/** Let the browser save a text as a file; a long one may come in parts. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text].flat(), { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Show a dialog; whether it was confirmed. */
export function confirmed(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.querySelector("button.cancel").onclick = () => dialog.close("cancel");
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
    dialog.showModal();
  });
}
