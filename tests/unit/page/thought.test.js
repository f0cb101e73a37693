// How long a thought took and how it is told (`thought.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { Stopwatch, duration, endOf, summaryOf } = await load("thought.js");

function timed(...events) {
  const watch = new Stopwatch();
  for (const [id, kind] of events) watch.see({ id, kind });
  return watch.totalMs;
}

test("a thought lasts from its first piece to what comes after it", () => {
  assert.equal(timed(["1000-0", "started"], ["4000-0", "reasoning"], ["4500-0", "reasoning"], ["6000-0", "token"], ["9000-0", "completed"]), 2000);
});

test("several thoughts of one reply are added up", () => {
  assert.equal(timed(["0-1", "reasoning"], ["100-0", "token"], ["200-0", "reasoning"], ["250-0", "call"]), 150);
});

test("a server's clock that goes back takes nothing away", () => {
  assert.equal(timed(["500-0", "reasoning"], ["900-0", "reasoning"], ["100-0", "token"]), 400);
});

test("events without a time in their ids are not counted", () => {
  assert.equal(timed([undefined, "reasoning"], ["x", "reasoning"], ["7-0", "token"]), 0);
});

test("what is not known of a thought is left out", () => {
  assert.equal(summaryOf({ ms: 12_300, tokens: 1340, characters: 9 }), "Thought for 12 s · 1,340 tokens");
  assert.equal(summaryOf({ ms: 100, tokens: 1, characters: 9 }), "Thought for less than 1 s · 1 token");
  assert.equal(summaryOf({ characters: 2048 }), "Thought · 2,048 characters");
});

test("long thoughts are told in minutes", () => {
  assert.deepEqual([60_000, 61_400, 119_700].map(duration), ["1 min", "1 min 1 s", "2 min"]);
});

test("the folded line shows the last whole words of a running thought", () => {
  assert.equal(endOf("Let me\n see. "), "Let me see.");
  assert.match(endOf("alphabet ".repeat(30)), /^… (alphabet )+alphabet$/);
  assert.ok(endOf("字".repeat(300)).length > 50, "also of texts without blanks");
});
