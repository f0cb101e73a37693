// Settings of a conversation (`settings.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const settings = await load("settings.js");

test("a number is what requests may be sent with", () => {
  const temperature = (text) => settings.numberOf("temperature", text);
  assert.deepEqual(["0", "0.7", " 2 ", "1,5", "2.0"].map(temperature), [0, 0.7, 2, 1.5, 2]);
  assert.deepEqual(["", "2.1", "-1", "hot", "1e-3", ".5", "0x1", "NaN", undefined, null, {}].map(temperature), Array(11).fill(null));
  const longest = (text) => settings.numberOf("max_tokens", text);
  assert.deepEqual(["1", "512", "999999999"].map(longest), [1, 512, 999999999]);
  assert.deepEqual(["0", "-5", "1.5", "1,000", "9999999999", "many"].map(longest), Array(6).fill(null));
});

test("only what was chosen is sent, whatever metadata hold", () => {
  assert.deepEqual(settings.samplingOf({}), {});
  assert.deepEqual(settings.samplingOf({ temperature: "0", max_tokens: "64", persona: "Ann" }), { temperature: 0, max_tokens: 64 });
  assert.deepEqual(settings.samplingOf({ temperature: "cold", max_tokens: "-1", top_k: "4" }), {});
});

test("thinking is one of the levels, or not chosen", () => {
  assert.equal(settings.reasoningOf({ reasoning: "low" }), "low");
  for (const reasoning of ["auto", "endless", undefined, 3]) assert.equal(settings.reasoningOf({ reasoning }), null);
});

test("a summary has what differs from the server's own", () => {
  assert.equal(settings.summaryOf({}), "");
  assert.equal(settings.summaryOf({ temperature: "0" }), "temperature 0");
  assert.equal(settings.summaryOf({ temperature: "0.2", max_tokens: "2000" }), "temperature 0.2 · at most 2,000 tokens");
  assert.equal(settings.summaryOf({ max_tokens: "1" }), "at most 1 token");
});

test("a refusal says what may be written", () => {
  assert.equal(settings.refusalOf("temperature"), "Temperature is a number from 0 to 2.");
});

test("a server's refusal of a setting has its name on the page", async () => {
  const { inPlainWords } = await load("plain.js");
  const refusal = (field) => ({ code: "validation", detail: `${field}: must be less`, errors: [{ field, message: "must be less" }] });
  assert.equal(inPlainWords(refusal("max_tokens")), "Longest reply must be less. Change it in the settings.");
  assert.equal(inPlainWords(refusal("toString")), "toString: must be less.");
});
