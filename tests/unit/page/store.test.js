// What a browser remembers (`store.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { Storage, load } from "./browser.js";

const HOUR_MS = 3600 * 1000;

const tabWith = (storages) => load("store.js", storages);
const turn = (key, fields = {}) => ({ key, body: {}, job: null, conversation: null, ...fields });

test("a conversation is named after its first prompt, on one line and cut", async () => {
  const { nameOf } = await tabWith();
  assert.equal(nameOf("  Hello,\n  you. "), "Hello, you.");
  assert.equal(nameOf("x".repeat(60)), "x".repeat(60));
  assert.equal(nameOf("x".repeat(61)), `${"x".repeat(59)}…`);
});

test("the latest conversation comes first and keeps its name", async () => {
  const store = await tabWith();
  store.remember(1, "First");
  store.remember(2, "Second");
  store.remember(1, "Third");
  assert.deepEqual(store.conversations(), [{ id: 1, name: "First" }, { id: 2, name: "Second" }]);
});

test("the server's conversations come behind those that are known", async () => {
  const store = await tabWith();
  store.remember(1, "Mine");
  store.learn([{ id: 1, name: "Other" }, { id: 2, name: "Elsewhere" }]);
  assert.deepEqual(store.conversations(), [{ id: 1, name: "Mine" }, { id: 2, name: "Elsewhere" }]);
});

test("a forgotten conversation takes its open turns along", async () => {
  const store = await tabWith();
  store.remember(1, "Hello");
  store.keepTurn(turn("a", { conversation: 1, job: "j" }));
  store.keepTurn(turn("b", { conversation: 2, job: "k" }));
  store.forget(1);
  assert.deepEqual(store.conversations(), []);
  assert.deepEqual(store.openTurns().map((one) => one.key), ["b"]);
});

test("a turn is kept once, until it is dropped", async () => {
  const store = await tabWith();
  store.keepTurn(turn("a"));
  store.keepTurn(turn("a", { job: "j" }));
  assert.deepEqual(store.openTurns().map((one) => one.job), ["j"]);
  store.dropTurn("a");
  assert.deepEqual(store.openTurns(), []);
});

test("a prompt that was not accepted is given up before the server forgets its key", async () => {
  const store = await tabWith();
  store.keepTurn(turn("late", { at: Date.now() - 24 * HOUR_MS }));
  store.keepTurn(turn("accepted", { at: Date.now() - 24 * HOUR_MS, job: "j" }));
  store.keepTurn(turn("new"));
  assert.deepEqual(store.openTurns().map((one) => one.key), ["accepted", "new"]);
});

test("another tab's prompt is taken over only when that tab seems closed", async () => {
  const local = new Storage();
  const first = await tabWith({ local });
  first.keepTurn(turn("fresh"));
  first.keepTurn(turn("old", { at: Date.now() - 2 * 60_000 }));
  assert.deepEqual(first.orphans().map((one) => one.key), ["fresh", "old"]);
  const second = await tabWith({ local });
  assert.deepEqual(second.orphans().map((one) => one.key), ["old"]);
});

test("a reload keeps the draft and the tab; another tab has a draft of its own", async () => {
  const local = new Storage(), session = new Storage();
  const before = await tabWith({ local, session });
  before.keepDraft("Not yet");
  before.keepTurn(turn("a"));
  const after = await tabWith({ local, session });
  assert.equal(after.draft(), "Not yet");
  assert.deepEqual(after.orphans().map((one) => one.key), ["a"]);
  assert.equal((await tabWith({ local })).draft(), "");
});

test("where nothing more fits, the page remembers for as long as it is open", async () => {
  const local = new Storage();
  const store = await tabWith({ local });
  local.isFull = true;
  store.remember(1, "Hello");
  assert.deepEqual(store.conversations(), [{ id: 1, name: "Hello" }]);
  assert.equal(local.getItem("palaver.conversations"), null);
});

test("each key has a memory of its own, and what was written comes along", async () => {
  const local = new Storage();
  const without = await tabWith({ local });
  without.remember(1, "Without a key");
  without.setApiKey("plv_a", true, "half a prompt");
  const session = globalThis.sessionStorage;
  const withKey = await tabWith({ local, session });
  assert.equal(withKey.apiKey(), "plv_a");
  assert.equal(withKey.draft(), "half a prompt");
  assert.deepEqual(withKey.conversations(), []);
});

test("what a key for one tab remembers is gone with the tab", async () => {
  const local = new Storage(), session = new Storage();
  (await tabWith({ local, session })).setApiKey("plv_a", false);
  (await tabWith({ local, session })).remember(1, "Hello");
  assert.equal((await tabWith({ local, session })).conversations().length, 1);
  assert.ok([...local.items.keys()].every((name) => !name.startsWith("palaver.conversations")));
  assert.equal((await tabWith({ local })).apiKey(), null);
});

test("each conversation has the model that was chosen for it", async () => {
  const local = new Storage();
  const store = await tabWith({ local });
  assert.equal(store.chosenModel(1), null);
  store.chooseModel(1, "a");
  store.chooseModel(null, "b");
  const later = await tabWith({ local });
  assert.deepEqual([later.chosenModel(1), later.chosenModel(2), later.chosenModel(null)], ["a", null, "b"]);
  later.chooseModel(1, null);
  assert.equal(later.chosenModel(1), null);
  later.chooseModel(2, "c");
  later.forget(2);
  assert.equal(later.chosenModel(2), null);
});

test("a choice that cannot be read is none", async () => {
  const local = new Storage();
  local.setItem("palaver.models", '{"1": {"a": 1}}');
  assert.equal((await tabWith({ local })).chosenModel(1), null);
});

test("a draft keeps its files, which are not written with each key", async () => {
  const session = new Storage();
  const store = await load("store.js", { session });
  const files = [{ name: "a.txt", content: "A" }];
  store.keepDraftOf("Sum", files);
  const written = [];
  session.setItem = function setItem(name, value) {
    written.push(name);
    this.items.set(name, value);
  };
  store.keepDraftOf("Sum up.", files);
  assert.deepEqual(written, ["palaver.draft"]);
  const prompt = "Sum up.\n\nFile: a.txt (1 byte)\n```txt\nA\n```";
  assert.equal((await load("store.js", { session })).draft(), prompt);
  store.keepDraft("");
  assert.equal(store.draft(), "");
  store.keepDraft(prompt);
  assert.equal(store.draft(), prompt);
});
