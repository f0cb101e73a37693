// Text files as parts of a prompt: each is a fenced block below its name and size.

import { fenced } from "./fenced.js";
import { bytesOf, sizeInPrompt } from "./sizes.js";

const LANGUAGE = /\.([a-z0-9+#-]{1,16})$/i;
const LONGEST_NAME = 100;
/** What a name cannot have: it would leave its line, or change how that is read. */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;
const HEAD = /(?:^|\n\n)(?=File: .+ \(.+\)\n```)/g;
const NAME = /File: (.+) \([^()]+\)\n(`{3,}).*\n/y;
/** Texts with more places that look like files are not looked at any further. */
const MOST_HEADS = 50;
/** By file: a prompt is put together with each key that is pressed. */
const blocks = new WeakMap();

/** A name as it stands in prompts: on one line, with its end. */
export function fitName(name) {
  return Array.from(name.replaceAll(UNFIT, "")).slice(-LONGEST_NAME).join("").trim() || "unnamed";
}

/**
 * A prompt of what was written and the files that belong to it.
 * @param {{name: string, content: string}[]} files which do not change; their names as `fitName` gives them
 */
export function promptWith(text, files) {
  return [...(text === "" ? [] : [text]), ...files.map(blockOf)].join("\n\n");
}

/** `{text, files}` of a prompt that `promptWith` has made; of any other one all is text. */
export function partsOf(prompt) {
  let heads = 0;
  for (const { index, 0: gap } of prompt.matchAll(HEAD)) {
    heads += 1;
    if (heads > MOST_HEADS) break;
    const files = filesFrom(prompt, index + gap.length);
    const parts = { text: prompt.slice(0, index), files };
    if (files !== null && promptWith(parts.text, files) === prompt) return parts;
  }
  return { text: prompt, files: [] };
}

/** One prompt of two: what was written in both, then the files of both. */
export function combined(prompt, other) {
  const [one, two] = [partsOf(prompt), partsOf(other)];
  const text = [one.text, two.text].filter(Boolean).join("\n");
  return promptWith(text, [...one.files, ...two.files]);
}

function blockOf(file) {
  if (!blocks.has(file)) blocks.set(file, made(file));
  return blocks.get(file);
}

function made({ name, content }) {
  const [, language = ""] = LANGUAGE.exec(name) ?? [];
  return `File: ${name} (${sizeInPrompt(bytesOf(content))})\n${fenced(content, language)}`;
}

/** The files that begin at `start` and reach to the end; null where something else follows. */
function filesFrom(prompt, start) {
  const files = [];
  for (let at = start; at < prompt.length;) {
    NAME.lastIndex = at;
    const [head, name, fence] = NAME.exec(prompt) ?? [];
    if (head === undefined) return null;
    const begin = at + head.length;
    const end = endOf(prompt, begin, fence.length);
    if (end < 0) return null;
    files.push({ name, content: prompt.slice(begin, end) });
    at = end + 1 + fence.length + "\n\n".length;
  }
  return files;
}

/** Where a block ends: at the first run of backticks as long as its fence; -1 without one. */
function endOf(prompt, begin, length) {
  // Not `indexOf`: searching a long fence among as many backticks takes the square of their number.
  const runs = /\n(`{3,})/g;
  runs.lastIndex = begin;
  for (let run = runs.exec(prompt); run !== null; run = runs.exec(prompt)) {
    if (run[1].length >= length) return run.index;
  }
  return -1;
}
