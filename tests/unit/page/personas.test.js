// The library of personas (`personas.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { Storage, load } from "./browser.js";
import { Refusal, ScriptedClient } from "./server.js";

const ANN = { id: "ann-1", name: "Ann", context: "You are Ann." };
const BEN = { id: "ben-1", name: "ben", context: "You are Ben.", model: "B" };

async function libraryOn(handle, storages = {}) {
  const { Personas } = await load("personas.js", storages);
  const client = new ScriptedClient(handle);
  const library = new Personas(client, () => {});
  await library.load();
  return { library, client };
}

function refuse(status) {
  return () => { throw new Refusal(status); };
}

test("they are the server's, by name", async () => {
  const answer = (method, path, body) => (method === "GET" ? { personas: [BEN, ANN] } : { id: path.slice(10), ...body });
  const { library } = await libraryOn(answer);
  assert.deepEqual(library.kept, [ANN, BEN]);
  await library.keep({ ...ANN, name: "Zoe" });
  assert.deepEqual(library.kept.map((one) => one.name), ["ben", "Zoe"]);
  await library.remove("ben-1");
  assert.deepEqual(library.kept.map((one) => one.name), ["Zoe"]);
});

test("a server that keeps none leaves them to the browser", async () => {
  const storages = { local: new Storage() };
  const { library, client } = await libraryOn(refuse(404), storages);
  await library.keep(BEN);
  await library.keep(ANN);
  await library.keep({ ...ANN, context: "You are Ann, the queen." });
  const again = (await libraryOn(refuse(404), storages)).library;
  assert.deepEqual(again.kept, [{ ...ANN, context: "You are Ann, the queen." }, BEN]);
  await again.remove("ann-1");
  assert.deepEqual((await libraryOn(refuse(404), storages)).library.kept, [BEN]);
  assert.deepEqual(client.requests, ["GET /personas"], "it is asked once");
});

test("a refusal is not hidden, and changes nothing", async () => {
  let status = null;
  const { library } = await libraryOn(() => (status === null ? { personas: [ANN] } : refuse(status)()));
  status = 409;
  await assert.rejects(library.keep(BEN), { status: 409 });
  assert.deepEqual(library.kept, [ANN]);
});

test("one that was deleted elsewhere is no trouble, and takes no others along", async () => {
  const { library } = await libraryOn((method) => (method === "GET" ? { personas: [ANN, BEN] } : refuse(404)()));
  await library.remove("ann-1");
  assert.deepEqual(library.kept, [BEN]);
  assert.ok(library.isServers);
});

test("instructions have the name of the persona that has them", async () => {
  const { library } = await libraryOn(() => ({ personas: [{ ...ANN, context: " You are Ann.\n" }] }));
  assert.equal(library.with("You are Ann.").name, "Ann");
  assert.equal(library.with("You are a storyteller. Answer with a short and vivid story.").name, "Storyteller");
  assert.equal(library.with("You are me."), null);
  assert.equal(library.with(null), null);
});

test("an id is one that the server takes, whatever the name", async () => {
  const { idFor } = await load("personas.js");
  const names = ["Patient teacher", "Émile", "  -- ", "画家", "x".repeat(100), "a ".repeat(50)];
  for (const name of names) assert.match(idFor(name), /^[a-z0-9][a-z0-9-]{0,63}$/);
  assert.match(idFor("Émile Zola!"), /^emile-zola-/);
  assert.notEqual(idFor("Ann"), idFor("Ann"));
});

test("the list is read once at a time, and again after a failure", async () => {
  let isAway = false;
  const { library, client } = await libraryOn(() => {
    if (isAway) throw new Refusal(503);
    return { personas: [ANN] };
  });
  await Promise.all([library.load(), library.load()]);
  assert.equal(client.requests.length, 2);
  isAway = true;
  await assert.rejects(library.load(), { status: 503 });
  isAway = false;
  await library.load();
  assert.deepEqual(library.kept, [ANN]);
});

test("a list that was asked for before a change does not undo it", async () => {
  let answerLate;
  const late = new Promise((resolve) => { answerLate = resolve; });
  let isLate = false;
  const { library } = await libraryOn((method, path, body) => {
    if (method !== "GET") return { id: path.slice(10), ...body };
    return isLate ? late : { personas: [] };
  });
  isLate = true;
  const loading = library.load();
  await library.keep(ANN);
  answerLate({ personas: [] });
  await loading;
  assert.deepEqual(library.kept, [ANN]);
});
