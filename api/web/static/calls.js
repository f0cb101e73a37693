// Calls of tools and their results: shown, never run.

import { element } from "./dom.js";
import { t } from "./language.js";

/** Longer ones are folded at first. */
const LONG = 1500;

/** JSON with line breaks and indentation; nothing else of it is changed. What is no JSON stays as it is. */
export function indented(json) {
  if (!isJson(json)) return json;
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  // Strings, empty brackets, and whatever stands between them.
  return json.replace(/"(?:[^"\\]|\\.)*"|\[\s*\]|\{\s*\}|\s+|[[{\]},:]/g, (piece) => {
    if (piece.trim() === "") return "";
    if (piece === "[" || piece === "{") {
      depth += 1;
      return piece + line();
    }
    if (piece === "]" || piece === "}") {
      depth -= 1;
      return line() + piece;
    }
    if (piece === ",") return piece + line();
    return piece === ":" ? ": " : piece;
  });
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function box(className, label, name, text) {
  const summary = element("summary", {}, `${label} `, element("code", { textContent: name }));
  const body = element("pre", { dir: "ltr", textContent: text, tabIndex: 0 });
  return element("details", { className, open: text.length <= LONG }, summary, body);
}

/** A call: `{id, name, arguments}`. */
export function callBox(call) {
  return box("call", t("call.label"), call.name, indented(call.arguments));
}

/** What a tool gave; older messages may not name it. */
export function resultBox({ name, call_id: id, content }) {
  return box("call result", t("call.result"), name || id || t("call.unnamed"), indented(content));
}

/** A call on one line of an export or an announcement. */
export function callLine(call) {
  return `${call.name}(${call.arguments})`;
}
