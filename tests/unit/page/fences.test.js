// Boxes of code in a text that is still being written (`fences.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { pieces, settled } = await load("fences.js");

const shape = (...args) => pieces(...args).map(({ code, info, text }) => (code ? [info, text] : text));

test("a fence is a box from its first character", () => {
  assert.deepEqual(shape("Look:\n```"), ["Look:\n", ["", ""]]);
  assert.deepEqual(shape("Look:\n```py\nx = 1"), ["Look:\n", ["py", "x = 1"]]);
  assert.deepEqual(shape("```py\nx\n```\nand"), ["", ["py", "x\n"], "and"]);
});

test("text goes on in the box that the server has left open, up to its fence", () => {
  assert.deepEqual(shape("\n  y\n````\nDone. ", "```", false), [["", "\n  y\n"], "Done. "]);
  assert.deepEqual(shape("\n```\n~~~\nend", "~~~", false), [["", "\n```\n"], "end"]);
});

test("the beginning of a closing fence is not shown as code", () => {
  assert.deepEqual(shape("\nx\n``", "```", false), [["", "\nx\n"]]);
  assert.deepEqual(shape("\nx\n`` ?", "```", false), [["", "\nx\n`` ?"]]);
});

test("marks within a line are no fence", () => {
  assert.deepEqual(shape("``` in words", "", false), ["``` in words"]);
  assert.deepEqual(shape("```code``` is inline"), ["```code``` is inline"]);
});

test("nothing is lost and nothing is shown twice, wherever the text is cut", () => {
  const text = "alpha\n```js\nbeta\n```\ngamma\n~~~\ndelta";
  for (let end = 0; end <= text.length; end += 1) {
    const sofar = text.slice(0, end);
    const shown = pieces(sofar).map((piece) => piece.text).join("");
    for (const word of ["alpha", "beta", "gamma", "delta"]) {
      assert.equal(shown.split(word).length, sofar.split(word).length, `${word} in ${sofar}`);
    }
  }
});

test("a line that may still become another fence is left to the page", () => {
  assert.equal(settled("a\n```py"), "a\n");
  assert.equal(settled("a\n```py\n"), "a\n```py\n");
  assert.equal(settled("a\n``"), "a\n");
  assert.equal(settled("a `b"), "a `b");
});
