// Files as parts of a prompt (`attached.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { combined, fitName, partsOf, promptWith } = await load("attached.js");

const NOTES = { name: "notes.txt", content: "one\ntwo" };

test("a file is a fenced block below its name and size", () => {
  assert.equal(promptWith("Sum up.", [NOTES]), "Sum up.\n\nFile: notes.txt (7 bytes)\n```txt\none\ntwo\n```");
});

/** Always the same numbers from 0 up to but without `limit`. */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * limit);
  };
}

/** What parsers stumble over. */
const PIECES = [
  "", "a", " ", "\n", "\n\n", "```", "````", "`", "File: ", "File: x (1 byte)\n```\nx\n```", "\n\nFile: a.py (2 bytes)\n```py\n",
  "(", ")", ".js", "é🐝", "\t", "<b>", "\u2028", "\\", "$&",
];

function text(next) {
  return Array.from({ length: next(8) }, () => PIECES[next(PIECES.length)]).join("");
}

test("whatever was written and attached is what comes out again", () => {
  for (let seed = 1; seed <= 5000; seed += 1) {
    const next = numbers(seed);
    const files = Array.from({ length: 1 + next(3) }, () => ({ name: fitName(text(next)), content: text(next) }));
    const written = `w${text(next).replaceAll("File", "file")}`;
    const prompt = promptWith(written, files);
    assert.deepEqual(partsOf(prompt), { text: written, files }, JSON.stringify(prompt));
  }
});

test("any prompt is its parts, whoever wrote it", () => {
  for (let seed = 1; seed <= 5000; seed += 1) {
    const prompt = text(numbers(seed)) + text(numbers(seed + 10_000));
    const { text: written, files } = partsOf(prompt);
    assert.equal(promptWith(written, files), prompt);
  }
});

test("files alone are a prompt, too", () => {
  assert.deepEqual(partsOf(promptWith("", [NOTES, NOTES])), { text: "", files: [NOTES, NOTES] });
});

test("a wrong size or a text behind it: no file of ours", () => {
  const prompt = promptWith("Sum up.", [NOTES]);
  for (const other of [prompt.replace("7 bytes", "8 bytes"), `${prompt}\nmore`, prompt.slice(0, -1)]) {
    assert.deepEqual(partsOf(other), { text: other, files: [] });
  }
});

test("two prompts become one, with the files of both", () => {
  const more = { name: "b", content: "x" };
  const prompt = combined(promptWith("One.", [NOTES]), promptWith("Two.", [more]));
  assert.deepEqual(partsOf(prompt), { text: "One.\nTwo.", files: [NOTES, more] });
  assert.equal(combined("One.", ""), "One.");
});

test("names stay on their line, and show where they end", () => {
  assert.equal(fitName("a\nb\u202Etxt.exe\u0000"), "abtxt.exe");
  assert.equal(fitName("\n"), "unnamed");
  assert.equal(fitName(`${"🐝".repeat(200)}.txt`), `${"🐝".repeat(96)}.txt`);
});

test("a long file full of heads and fences takes no time to speak of", () => {
  const heads = "\n\nFile: a (1 byte)\n```\nx\n".repeat(30_000);
  assert.deepEqual(partsOf(heads), { text: heads, files: [] });
  const files = [{ name: "a.md", content: heads + "`".repeat(100_000) }];
  assert.deepEqual(partsOf(promptWith("", files)), { text: "", files });
});
