// Files read as text (`text_files.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { LARGEST_FILE, NotAttached, readText } = await load("text_files.js");

const read = (...pieces) => readText(new File(pieces.map((piece) => (Array.isArray(piece) ? new Uint8Array(piece) : piece)), "a.txt"));

test("lines end with a line feed, the last one without", async () => {
  assert.equal((await read("a\r\nb\rc\n")).content, "a\nb\nc");
});

test("UTF-8 and UTF-16, each with its mark", async () => {
  assert.equal((await read("\uFEFFé🐝")).content, "é🐝");
  assert.equal((await read([0xff, 0xfe, 0xe9, 0])).content, "é");
  assert.equal((await read([0xfe, 0xff, 0, 0xe9])).content, "é");
});

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
for (const [kind, pieces] of [["a picture", [PNG]], ["zeros", ["a\0b"]], ["Latin-1", [[0x63, 0x61, 0x66, 0xe9]]], ["half of UTF-16", [[0xff, 0xfe, 0x61]]]]) {
  test(`${kind}: no text`, async () => {
    await assert.rejects(read(...pieces), (error) => error instanceof NotAttached && /^a\.txt is not a text file\./.test(error.message));
  });
}

test("colours of a terminal are text", async () => {
  assert.equal((await read("\u001b[31mred\u001b[0m\tx\f")).content, "\u001b[31mred\u001b[0m\tx\f");
});

test("an empty file, and one that is too large", async () => {
  await assert.rejects(read(" \n"), /a\.txt is empty\./);
  assert.equal((await read("x".repeat(LARGEST_FILE))).content.length, LARGEST_FILE);
  await assert.rejects(read("x".repeat(LARGEST_FILE + 1)), /a\.txt is larger than 1 MB/);
});

test("what cannot be read is named", async () => {
  const gone = { name: "folder", size: 1, arrayBuffer: () => Promise.reject(new Error("NotReadableError")) };
  await assert.rejects(readText(gone), /The browser cannot read folder\./);
});
