// Files on their way to the server (`bringing_in.js`), with a client that answers from a script.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { Import } = await load("bringing_in.js");
const { Problem, Unreachable } = await import(new URL("../../../api/web/static/client.js", import.meta.url));

const own = (title) => ({ title, messages: [{ role: "user", content: `About ${title}.` }] });
const file = (name, ...entries) => new File([JSON.stringify(entries)], name);
const problem = (status, retryAfterMs = 0) => new Problem(status, { code: "x", detail: "No" }, retryAfterMs);

/** Gives each answer in turn: what is thrown, or a new conversation where there is none left. */
class ScriptedClient {
  sent = [];

  constructor(...refusals) {
    this.refusals = refusals;
  }

  async untilAnswered(method, path, { body }) {
    this.sent.push(body.title);
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    return { id: this.sent.length, title: body.title ?? null };
  }
}

const quiet = { progress() {}, waits() {} };

test("one request for each conversation, file by file", async () => {
  const client = new ScriptedClient();
  const seen = [];
  const running = new Import(client, { ...quiet, progress: (...state) => seen.push(state.join(" ")) });
  await running.run([file("a.json", own("A"), own("B")), file("c.json", own("C"), { messages: [] })]);
  assert.deepEqual(client.sent, ["A", "B", "C"]);
  assert.deepEqual([running.imported, running.skipped, running.problems], [3, 1, []]);
  assert.deepEqual(seen.slice(0, 4), ["0 0 a.json", "0 2 a.json", "1 2 a.json", "2 2 a.json"]);
});

for (const status of [400, 409, 413, 422]) {
  test(`a conversation that is refused with ${status} does not keep the others out`, async () => {
    const running = new Import(new ScriptedClient(problem(status)), quiet);
    await running.run([file("a.json", own("A"), own("B"))]);
    assert.deepEqual(running.arrived.map(({ name }) => name), ["B"]);
    assert.deepEqual(running.problems.map(({ name }) => name), ["A"]);
  });
}

for (const error of [problem(401), problem(404), problem(503), problem(507), new Unreachable()]) {
  test(`${error.status ?? "no answer"} concerns the rest, too`, async () => {
    const client = new ScriptedClient(null, error);
    const running = new Import(client, quiet);
    await assert.rejects(running.run([file("a.json", own("A"), own("B"), own("C"))]), error);
    assert.deepEqual(client.sent, ["A", "B"]);
    assert.equal(running.imported, 1);
  });
}

test("a limit of the key is waited for", async () => {
  const client = new ScriptedClient(problem(429, 1));
  let waits = 0;
  const running = new Import(client, { ...quiet, waits: () => { waits += 1; } });
  await running.run([file("a.json", own("A"))]);
  assert.deepEqual([client.sent, waits, running.imported], [["A", "A"], 1, 1]);
});

test("a file that is too large is not read", async () => {
  const huge = { name: "huge.json", size: 50_000_001, text: () => assert.fail("it was read") };
  const running = new Import(new ScriptedClient(), quiet);
  await running.run([huge, file("a.json", own("A"))]);
  assert.equal(running.imported, 1);
  assert.match(running.problems[0].text, /^The file is larger than 50 MB/);
});

for (const [name, text] of [["text", "no JSON"], ["empty", ""], ["a list of numbers", "[1]"], ["an archive", "PK\u0003\u0004"], ["deep", "[".repeat(100_000)]]) {
  test(`${name}: a problem of this file alone`, async () => {
    const running = new Import(new ScriptedClient(), quiet);
    await running.run([new File([text], "<b>.json"), file("a.json", own("A"))]);
    assert.equal(running.imported, 1);
    assert.deepEqual(running.problems.map((each) => each.name), ["<b>.json"]);
  });
}

test("whoever leaves ends it", async () => {
  const leaving = new AbortController();
  const client = new ScriptedClient();
  const view = { ...quiet, progress: (done) => { if (done === 1) leaving.abort(); } };
  await assert.rejects(new Import(client, view).run([file("a.json", own("A"), own("B"))], leaving.signal), { name: "AbortError" });
  assert.deepEqual(client.sent, ["A"]);
});
