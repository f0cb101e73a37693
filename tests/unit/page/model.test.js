// The models in the page's head and their choice (`model.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { chatting, described, optionsOf } = await load("model.js");

const values = (options) => options.map((one) => one.value);

test("the head shows a model's name, its window and what it can do", () => {
  const model = { id: "Qwen3-8B", context_length: 32768, capabilities: ["chat", "tools", "reasoning", "new"] };
  assert.equal(described(model), "Qwen3-8B · 32,768 tokens · calls tools · thinks");
});

test("a server that does not tell what its model can do is shown as it is", () => {
  assert.equal(described({ id: "a" }), "a");
});

test("only models that chat can be chosen", () => {
  const models = [{ id: "a", capabilities: ["chat"] }, { id: "b", capabilities: ["embeddings"] }, { id: "c" }];
  assert.deepEqual(chatting(models).map((one) => one.id), ["a", "c"]);
});

test("where there is one model there is no choice", () => {
  assert.deepEqual(optionsOf([], null, null), []);
  assert.deepEqual(optionsOf(["a"], null, null), []);
  assert.deepEqual(optionsOf(["a"], "a", "a"), []);
  assert.deepEqual(optionsOf(["a"], null, "b"), []);
  // Nobody knows yet what is served.
  assert.deepEqual(optionsOf([], "b", null), []);
});

test("a new conversation may leave it to the server", () => {
  assert.deepEqual(values(optionsOf(["a", "b"], null, null)), ["", "a", "b"]);
  assert.deepEqual(values(optionsOf(["a", "b"], "b", null)), ["", "a", "b"]);
  assert.deepEqual(values(optionsOf(["a", "b"], null, "a")), ["a", "b"]);
});

test("a model that is gone stays in sight, so that another one can be chosen", () => {
  assert.deepEqual(optionsOf(["a", "b"], "c", "a").at(-1), { value: "c", text: "c (not served now)" });
  assert.deepEqual(values(optionsOf(["a", "b"], null, "c")), ["a", "b", "c"]);
  assert.deepEqual(values(optionsOf(["a"], "c", "c")), ["a", "c"]);
});
