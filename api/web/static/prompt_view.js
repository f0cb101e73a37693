// A prompt as it is shown: what was written, and its files folded below.

import { partsOf } from "./attached.js";
import { element } from "./dom.js";
import { bytesOf, sizeOf } from "./sizes.js";

export function showPrompt(box, prompt) {
  const { text, files } = partsOf(prompt);
  box.replaceChildren(text, ...files.map(fileBox));
}

function fileBox({ name, content }) {
  const size = element("span", { className: "size", textContent: sizeOf(bytesOf(content)) });
  const summary = element("summary", {}, element("span", { className: "name", dir: "auto", textContent: name }), size);
  const body = element("pre", { dir: "auto", tabIndex: 0 });
  const details = element("details", { className: "file" }, summary, body);
  // A hundred thousand lines are laid out only for those who want to see them.
  details.addEventListener("toggle", () => { if (details.open) body.textContent = content; }, { once: true });
  return details;
}
