// Sums over days of what keys have used (`ops_usage.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { ownerOf, summed } = await load("ops_usage.js");

const row = (owner, model, tokens) => ({
  owner, key: owner, model, turns: 1, prompt_tokens: tokens, cached_tokens: 1, completion_tokens: 2, unfinished_tokens: 0,
});

test("days are added up by key and model, the one with the most tokens in front", () => {
  const days = [{ usage: [row("a", "m", 5), row("a", "n", 7)] }, { usage: [row("a", "m", 5), row("b", "m", 1)] }];
  const sums = summed(days).map(({ owner, model, turns, prompt_tokens: tokens }) => [owner, model, turns, tokens]);
  assert.deepEqual(sums, [["a", "m", 2, 10], ["a", "n", 1, 7], ["b", "m", 1, 1]]);
  assert.equal(days[0].usage[0].prompt_tokens, 5, "what was added up stays as it was");
});

test("a revoked key is called by its id, and nobody by a dash", () => {
  assert.equal(ownerOf({ owner: "1a", key: "alice" }), "alice");
  assert.equal(ownerOf({ owner: "1a", key: null }), "1a (no key any more)");
  assert.equal(ownerOf({ owner: null, key: null }), "–");
});
