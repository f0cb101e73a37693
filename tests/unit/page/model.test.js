// The model in the page's head (`model.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { described, isDemo } = await load("model.js");

test("the head shows a model's name, its window and what it can do", () => {
  const model = { id: "Qwen3-8B", context_length: 32768, capabilities: ["chat", "tools", "reasoning", "new"] };
  assert.equal(described(model), "Qwen3-8B · 32,768 tokens · calls tools · thinks");
});

test("a server that does not tell what its model can do is shown as it is", () => {
  assert.equal(described({ id: "a" }), "a");
});

test("the bundled model is known by its file's name and by its own", () => {
  for (const name of ["SmolLM2-135M-Instruct.Q4_1", "smollm2_135M", "Smollm2 135M 8k"]) assert.ok(isDemo(name), name);
  for (const name of ["SmolLM2-1.7B-Instruct", "Qwen3-0.6B", ""]) assert.ok(!isDemo(name), name);
});
