// Conversations from files (`importing.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { conversationsIn } = await load("importing.js");

const only = (data) => {
  const { bodies, skipped } = conversationsIn(data);
  assert.deepEqual([bodies.length, skipped], [1, 0]);
  return bodies[0];
};
const spoken = ({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`);

const node = (role, text, parent, more = {}) => ({
  message: { author: { role }, content: { content_type: "text", parts: [text] }, create_time: 1700000000.5, ...more },
  parent,
});
const CHATGPT = {
  title: "Bees",
  current_node: "d",
  mapping: {
    root: { message: null, parent: null },
    s: node("system", "", "root"),
    a: node("user", "What do bees eat?", "s"),
    b: node("assistant", "An old answer.", "a"),
    c: node("assistant", "Nectar.", "a", { metadata: { model_slug: "gpt-4o" } }),
    d: node("user", "And drink?", "c"),
  },
};
const OPEN_WEBUI = {
  id: "x",
  title: "Bees",
  chat: {
    models: ["qwen3"],
    system: "Be short.",
    history: {
      currentId: "2",
      messages: {
        1: { id: "1", parentId: null, role: "user", content: "What do bees eat?", timestamp: 1700000000 },
        2: {
          id: "2", parentId: "1", role: "assistant", model: "qwen3",
          content: '<details type="reasoning" done="true">\n<summary>Thought</summary>\nhm\n</details>\nNectar.',
        },
      },
    },
  },
};

test("ChatGPT's export: the branch that was shown, with times and models", () => {
  const body = only([CHATGPT]);
  assert.equal(body.title, "Bees");
  assert.deepEqual(spoken(body), ["user: What do bees eat?", "assistant: Nectar.", "user: And drink?"]);
  assert.equal(body.messages[1].model, "gpt-4o");
  assert.equal(body.messages[0].timestamp, "2023-11-14T22:13:20.500Z");
});

test("what ChatGPT keeps beside the conversation is left out", () => {
  const mapping = {
    a: node("system", "You are kind.", null),
    b: node("user", "Hidden.", "a", { metadata: { is_visually_hidden_from_conversation: true } }),
    c: node("user", "Draw a bee.", "b"),
    d: node("assistant", "prompt of a tool", "c", { recipient: "dalle" }),
    e: node("tool", "a picture", "d"),
    f: { message: { author: { role: "assistant" }, content: { content_type: "thoughts", thoughts: [] } }, parent: "e" },
    g: {
      message: {
        author: { role: "assistant" },
        content: { content_type: "multimodal_text", parts: [{ asset_pointer: "x" }, "Here."] },
      },
      parent: "f",
    },
  };
  const body = only({ mapping, current_node: "g" });
  assert.equal(body.context, "You are kind.");
  assert.equal(body.title, undefined);
  assert.deepEqual(spoken(body), [
    "user: Draw a bee.",
    "assistant: (an attachment that is not part of the export)\n\nHere.",
  ]);
});

test("Open WebUI's export: the branch that was shown, without thoughts in HTML", () => {
  for (const data of [[OPEN_WEBUI], OPEN_WEBUI, OPEN_WEBUI.chat]) {
    const body = only(data);
    assert.equal(body.context, "Be short.");
    assert.deepEqual(spoken(body), ["user: What do bees eat?", "assistant: Nectar."]);
    assert.equal(body.messages[1].model, "qwen3");
  }
});

test("Palaver's own: taken as it is; one conversation, several, or those of a list", () => {
  const own = {
    id: 7, title: "Bees", context: "Be short.", turns: 1, pending: [], pinned: true,
    messages: [
      { number: 1, role: "user", content: "Hi.", timestamp: "2026-11-22T17:58:19.350Z", tokens: 2, job: "x" },
      { number: 2, role: "assistant", content: "", tool_calls: [{ id: "1", name: "f", arguments: "{}" }] },
      { number: 3, role: "tool", content: "9", call_id: "1" },
    ],
  };
  for (const data of [own, [own], { conversations: [own] }]) assert.equal(only(data), own);
});

test("messages that somebody else has written down", () => {
  const messages = [
    { role: "user", content: "Hi.", timestamp: "2026-11-22T17:58:19.350Z", mood: "good" },
    { role: "assistant", content: "Ho.", reasoning: "hm", model: "m" },
  ];
  const body = only({ title: " Bees ", context: "Be short.", messages });
  assert.deepEqual([body.title, body.context], ["Bees", "Be short."]);
  assert.deepEqual(body.messages, [
    { role: "user", content: "Hi.", timestamp: "2026-11-22T17:58:19.350Z" },
    { role: "assistant", content: "Ho.", reasoning: "hm", model: "m" },
  ]);
});

test("user and assistant take turns, whatever the file says", () => {
  const messages = ["assistant: Welcome.", "user: a", "user: b", "assistant: c", "assistant: d"].map((line) => {
    const [role, content] = line.split(": ");
    return { role, content };
  });
  assert.deepEqual(spoken(only({ messages })), ["user: a\n\nb", "assistant: c\n\nd"]);
});

test("a conversation without a prompt is counted and left out", () => {
  const { bodies, skipped } = conversationsIn([CHATGPT, { mapping: {} }, null, { messages: [] }]);
  assert.deepEqual([bodies.length, skipped], [1, 3]);
});

test("titles are cut between characters, and times that cannot be are left out", () => {
  const body = only({ title: "🐝".repeat(300), messages: [{ role: "user", content: "x", timestamp: "soon" }] });
  assert.equal(body.title, "🐝".repeat(200));
  assert.deepEqual(body.messages, [{ role: "user", content: "x" }]);
});

test("a tree that is a ring ends", () => {
  const mapping = { a: node("user", "x", "b"), b: node("assistant", "y", "a") };
  assert.ok(conversationsIn({ mapping, current_node: "b" }).bodies.length <= 1);
});

for (const data of [null, 7, "text", [], {}, [1], { conversations: 1 }, { a: { b: 1 } }]) {
  test(`${JSON.stringify(data)} is no export`, () => {
    assert.throws(() => conversationsIn(data), TypeError);
  });
}
