// How the page asks the API (`client.js`), with answers from a script instead of a server.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const json = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });

/** A stream of pieces, which may end in mid-event. */
const stream = (...pieces) => new Response(new Blob(pieces).stream());

const away = () => { throw new TypeError("fetch failed"); };

/** A client whose requests get these answers; `sent` keeps what it sent, `told` what it said of the connection. */
async function clientWith({ key = null, answers }) {
  const { Client, Problem } = await load("client.js");
  const sent = [], told = [];
  globalThis.fetch = async (path, options) => {
    sent.push({ path, ...options });
    const answer = answers.shift();
    return typeof answer === "function" ? answer() : answer;
  };
  const connection = { lost: () => told.push("lost"), found: () => told.push("found") };
  return { client: new Client(() => key, connection), Problem, sent, told };
}

async function all(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}

test("a key is sent where there is one", async () => {
  const { client, sent } = await clientWith({ key: "plv_a", answers: [json(200, {})] });
  await client.json("GET", "/conversations");
  assert.equal(sent[0].headers.Authorization, "Bearer plv_a");
});

test("a problem carries its status, its code and when to come back", async () => {
  const body = { code: "limit_requests", detail: "Too many." };
  const answers = [json(429, body, { "Retry-After": "3" })];
  const { client, Problem } = await clientWith({ answers });
  await assert.rejects(client.json("GET", "/"), (error) => {
    assert.ok(error instanceof Problem);
    assert.deepEqual([error.status, error.code, error.retryAfterMs], [429, "limit_requests", 3000]);
    return error.message === "Too many.";
  });
});

test("a prompt is submitted until it is accepted, with the same idempotency key", async () => {
  const answers = [away, json(503, {}), json(202, { job: "j" })];
  const { client, sent, told } = await clientWith({ answers });
  assert.deepEqual(await client.submit({ prompt: "Hello" }, "key-1"), { job: "j" });
  assert.deepEqual(sent.map((one) => one.headers["Idempotency-Key"]), ["key-1", "key-1", "key-1"]);
  assert.deepEqual(told, ["lost", "found", "found"]);
});

test("a refusal that does not pass is not tried again", async () => {
  const { client, sent } = await clientWith({ answers: [json(422, { code: "validation_failed" })] });
  await assert.rejects(client.submit({}, "key-1"), { code: "validation_failed" });
  assert.equal(sent.length, 1);
});

test("events are read however they are cut into pieces, pings left out", async () => {
  const text = 'id: 1\nevent: started\ndata: {}\n\n: ping\n\nid: 2\nevent: token\ndata: {"text":"é"}\n\n'
    + "id: 3\nevent: completed\ndata: {}\n\n";
  const bytes = new TextEncoder().encode(text);
  const pieces = Array.from(bytes, (byte) => new Uint8Array([byte]));
  const { client } = await clientWith({ answers: [stream(...pieces)] });
  assert.deepEqual(await all(client.events("j")), [
    { id: "1", kind: "started", data: {} },
    { id: "2", kind: "token", data: { text: "é" } },
    { id: "3", kind: "completed", data: {} },
  ]);
});

test("a stream that breaks off goes on behind the last event", async () => {
  const answers = [
    stream('id: 1\nevent: token\ndata: {"text":"a"}\n\nid: 2\nevent: tok'),
    away,
    stream('id: 2\nevent: token\ndata: {"text":"b"}\n\nid: 3\nevent: completed\ndata: {}\n\n'),
  ];
  const { client, sent, told } = await clientWith({ answers });
  const events = await all(client.events("j"));
  assert.deepEqual(events.map((one) => one.id), ["1", "2", "3"]);
  assert.deepEqual(sent.map((one) => one.headers["Last-Event-ID"]), [undefined, "1", "1"]);
  assert.deepEqual(told, ["found", "lost", "lost", "found"]);
});

test("whoever has seen everything is done; a job that is gone is a problem", async () => {
  const { client } = await clientWith({ answers: [new Response(null, { status: 204 }), json(404, {})] });
  assert.deepEqual(await all(client.events("j")), []);
  await assert.rejects(all(client.events("j")), { status: 404 });
});
