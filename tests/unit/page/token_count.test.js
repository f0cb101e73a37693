// Whether a prompt is too long (`token_count.js`), as a server of a script counts it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { tooLong } = await load("token_count.js");
const { Problem, Unreachable } = await import(new URL("../../../api/web/static/client.js", import.meta.url));

const PROMPT = { prompt: "Hi.", conversation: null, context: null, model: null };

function clientThat(refusal) {
  const sent = [];
  const json = async (_method, path, { body }) => {
    sent.push([path, body]);
    if (refusal) throw refusal;
    return { input_tokens: 3 };
  };
  return { json, sent };
}

test("instructions and model are counted with it", async () => {
  const client = clientThat(null);
  assert.equal(await tooLong(client, { prompt: "Hi.", conversation: 7, context: "Be brief.", model: "m" }), null);
  assert.equal(await tooLong(client, PROMPT), null);
  assert.deepEqual(client.sent.map(([, body]) => body), [{ input: "Hi.", instructions: "Be brief.", model: "m" }, { input: "Hi." }]);
});

test("a conversation is counted with its own instructions; its oldest messages may leave", async () => {
  const client = clientThat(null);
  assert.equal(await tooLong(client, { ...PROMPT, conversation: 7 }), null);
  assert.deepEqual(client.sent, [["/v1/responses/input_tokens", { input: "Hi.", conversation: "conv_7", truncation: "auto" }]]);
});

test("what does not fit is told with both numbers", async () => {
  const error = { code: "context_length_exceeded", message: "…", prompt_tokens: 9000, budget: 4096 };
  const reason = await tooLong(clientThat(new Problem(422, { error }, 0)), PROMPT);
  assert.match(reason, /^This is too long for the model: 9,000 tokens of 4,096/);
});

test("a body that the server does not take is too long, too", async () => {
  assert.match(await tooLong(clientThat(new Problem(413, {}, 0)), PROMPT), /longer than the server accepts/);
});

for (const error of [new Problem(503, { error: { code: "no_worker", message: "" } }, 0), new Problem(404, {}, 0), new Unreachable()]) {
  test(`${error.status ?? "no answer"}: nobody knows, the prompt may be sent`, async () => {
    assert.equal(await tooLong(clientThat(error), PROMPT), null);
  });
}
