// All conversations in one file (`export_all.js`), from a client with a few of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { exportFile, listedIds } = await load("export_all.js");
const { conversationsIn } = await load("importing.js");

/** Conversations with so many messages each, by id; pages are short. */
class ScriptedClient {
  constructor(lengths, page = 2) {
    Object.assign(this, { lengths: new Map(lengths), page });
  }

  async untilAnswered(method, path) {
    const { pathname, searchParams } = new URL(path, "http://x");
    const [, , id, what, alternative] = pathname.split("/");
    if (id === undefined) return this.list(Number(searchParams.get("before") ?? 0));
    if (!this.lengths.has(Number(id))) throw Object.assign(new Error("gone"), { status: 404 });
    const length = this.lengths.get(Number(id));
    if (what === "messages" || alternative !== undefined) return this.messages(length, searchParams.get("before"));
    return what === "alternatives" ? this.alternatives(length) : { id: Number(id), title: `Number ${id}` };
  }

  list(from) {
    const ids = [...this.lengths.keys()].slice(from, from + this.page);
    const next = from + this.page < this.lengths.size ? from + this.page : null;
    return { conversations: ids.map((id) => ({ id })), next };
  }

  /** One with as many messages as the conversation, of which the list shows the first two. */
  alternatives(length) {
    return { alternatives: [{ id: "1-a", number: 1, length, messages: this.messages(length, 3).messages }] };
  }

  messages(length, before) {
    const end = before === null ? length + 1 : Number(before);
    const first = Math.max(1, end - this.page);
    const numbers = Array.from({ length: end - first }, (_, place) => first + place);
    const messages = numbers.map((number) => ({ number, role: number % 2 ? "user" : "assistant", content: `${number}` }));
    return { messages, next: first > 1 ? first : null };
  }
}

test("all pages of the list, each conversation once", async () => {
  assert.deepEqual(await listedIds(new ScriptedClient([[7, 1], [3, 1], [5, 1], [1, 1], [9, 1]])), [7, 3, 5, 1, 9]);
});

test("all messages in order; the conversation used last comes last", async () => {
  const client = new ScriptedClient([[7, 5], [3, 2]]);
  const seen = [];
  const { parts, count } = await exportFile(client, await listedIds(client), (done, total) => seen.push([done, total]));
  const { conversations } = JSON.parse(parts.join(""));
  assert.deepEqual(conversations.map(({ id, messages }) => [id, messages.map(({ content }) => content).join("")]), [[3, "12"], [7, "12345"]]);
  const alternatives = conversations.map(({ export_version: version, alternatives: [one] }) => [version, one.messages.map(({ content }) => content).join("")]);
  assert.deepEqual(alternatives, [[2, "12"], [2, "12345"]]);
  assert.deepEqual([count, seen], [2, [[0, 2], [1, 2], [2, 2]]]);
});

test("what was deleted meanwhile is left out", async () => {
  const { parts, count } = await exportFile(new ScriptedClient([[3, 2]]), [1, 3, 2], () => {});
  assert.deepEqual([JSON.parse(parts.join("")).conversations.map(({ id }) => id), count], [[3], 1]);
});

test("an export without conversations is still JSON", async () => {
  const { parts, count } = await exportFile(new ScriptedClient([]), [], () => {});
  assert.deepEqual([JSON.parse(parts.join("")), count], [{ conversations: [] }, 0]);
});

test("an import takes what an export gave", async () => {
  const { parts } = await exportFile(new ScriptedClient([[7, 5], [3, 2]]), [7, 3], () => {});
  const { bodies, skipped } = conversationsIn(JSON.parse(parts.join("")));
  assert.deepEqual([bodies.map(({ title }) => title), skipped], [["Number 3", "Number 7"], 0]);
});
