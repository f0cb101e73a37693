// What is kept with a conversation (`notes.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { Storage, load } from "./browser.js";
import { Refusal, ScriptedClient } from "./server.js";

/** A server with one conversation, whose metadata are `stored`; `status`: refuses with that. */
function serverWith(stored) {
  const server = { stored, status: null };
  server.client = new ScriptedClient((method, path, body) => {
    if (server.status !== null) throw new Refusal(server.status);
    if (method === "PATCH") server.stored = body.metadata;
    return { metadata: server.stored };
  });
  return server;
}

async function notesOn(server, storages = {}) {
  const { Notes } = await load("notes.js", storages);
  return new Notes(server.client);
}

test("a change is kept with the conversation, beside what others keep there", async () => {
  const server = serverWith({ theirs: "x", persona: "Ann" });
  const notes = await notesOn(server);
  notes.learn(1, { theirs: "x", persona: "Ann" });
  notes.change(1, { temperature: "0.2" });
  notes.change(1, { persona: null });
  assert.deepEqual(notes.of(1), { theirs: "x", temperature: "0.2" });
  await notes.sending;
  assert.deepEqual(server.stored, { theirs: "x", temperature: "0.2" });
});

test("what another browser has kept meanwhile stays", async () => {
  const server = serverWith({});
  const notes = await notesOn(server);
  notes.learn(1, {});
  server.stored = { max_tokens: "9" };
  notes.change(1, { temperature: "1" });
  await notes.sending;
  assert.deepEqual(notes.of(1), { max_tokens: "9", temperature: "1" });
});

test("what the server has not stored holds here, and is sent when it is opened again", async () => {
  const storages = { local: new Storage(), session: new Storage() };
  const server = serverWith({});
  const notes = await notesOn(server, storages);
  server.status = 503;
  notes.change(1, { temperature: "0.2" });
  await notes.sending;
  const later = await notesOn(server, storages);
  assert.deepEqual(later.of(1), { temperature: "0.2" });
  server.status = null;
  later.learn(1, {});
  await later.sending;
  assert.deepEqual(server.stored, { temperature: "0.2" });
  const requests = server.client.requests.length;
  later.learn(1, server.stored);
  await later.sending;
  assert.equal(server.client.requests.length, requests, "there is nothing left to send");
});

test("a conversation that is gone leaves nothing behind", async () => {
  const storages = { local: new Storage(), session: new Storage() };
  const server = serverWith({});
  server.status = 404;
  const notes = await notesOn(server, storages);
  notes.change(1, { temperature: "0.2" });
  await notes.sending;
  assert.deepEqual((await notesOn(server, storages)).of(1), {});
});

test("a new conversation's notes stay in their tab until it is accepted", async () => {
  const local = new Storage(), session = new Storage();
  const server = serverWith({});
  const notes = await notesOn(server, { local, session });
  notes.change(null, { temperature: "0.2", max_tokens: "8" });
  notes.change(null, { max_tokens: null });
  // A reload keeps them, another tab has its own.
  const reloaded = await notesOn(server, { local, session });
  assert.deepEqual(reloaded.of(null), { temperature: "0.2" });
  assert.deepEqual((await notesOn(server, { local })).of(null), {});
  const again = await notesOn(server, { local, session });
  again.began(7, { temperature: "0.2", persona: "Ann" });
  assert.deepEqual(again.of(null), {});
  assert.deepEqual(again.of(7), { temperature: "0.2", persona: "Ann" });
  await again.sending;
  assert.deepEqual(server.stored, { temperature: "0.2", persona: "Ann" });
});

test("what is chosen for the next conversation while one begins is kept for it", async () => {
  const notes = await notesOn(serverWith({}));
  notes.change(null, { temperature: "1" });
  notes.began(7, { temperature: "0.2" });
  assert.deepEqual(notes.of(null), { temperature: "1" });
});

test("a conversation that ends with its first turn gives its settings back", async () => {
  const notes = await notesOn(serverWith({}));
  notes.began(7, { temperature: "0.2", persona: "Ann", model: "A" });
  notes.gone(7);
  assert.deepEqual(notes.of(null), { temperature: "0.2" });
});

test("a conversation without choices is not written to", async () => {
  const server = serverWith({});
  const notes = await notesOn(server);
  notes.began(7, {});
  await notes.sending;
  assert.deepEqual(server.client.requests, []);
});

test("what is changed while a change is being stored is stored after it", async () => {
  const server = serverWith({});
  const notes = await notesOn(server);
  const { handle } = server.client;
  let isSecond = false;
  server.client.handle = (method, path, body) => {
    const answer = handle(method, path, body);
    if (method === "PATCH" && !isSecond) {
      isSecond = true;
      notes.change(1, { temperature: "2" });
    }
    return answer;
  };
  notes.change(1, { temperature: "1" });
  for (let before = null; before !== notes.sending;) {
    before = notes.sending;
    await before;
  }
  assert.deepEqual([server.stored, notes.of(1)], [{ temperature: "2" }, { temperature: "2" }]);
});
