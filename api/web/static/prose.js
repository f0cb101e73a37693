// The little Markdown that descriptions use: paragraphs, **bold**, *emphasis* and `code`.

import { element } from "./dom.js";

const MARKED = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)/;

function inline(text) {
  return text.split(MARKED).map((piece) => {
    if (piece.startsWith("`")) return element("code", { textContent: piece.slice(1, -1) });
    if (piece.startsWith("**")) return element("strong", { textContent: piece.slice(2, -2) });
    if (piece.startsWith("*")) return element("em", { textContent: piece.slice(1, -1) });
    return piece;
  });
}

/** A text as paragraphs. */
export function prose(text) {
  return text.split(/\n{2,}/).filter((part) => part.trim())
    .map((part) => element("p", {}, ...inline(part)));
}
