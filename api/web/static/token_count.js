// How long a prompt is, counted by the server before it is sent.

import { Problem } from "./client.js";
import { t } from "./language.js";
import { inPlainWords } from "./plain.js";

/** A busy server need not count first: it refuses what is too long, too, later. */
const PATIENCE_MS = 15_000;

/**
 * Why a prompt is too long, in plain words; null where it is not, or where nobody can tell now.
 *
 * Earlier messages do not count: the oldest leave the window when a prompt needs their place.
 * @param {{prompt: string, conversation: number|null, context: string|null, model: string|null}} wanted
 *   `context`: instructions that are not those of the conversation yet
 */
export async function tooLong(client, { prompt, conversation, context, model }, signal) {
  const body = { input: prompt };
  if (context !== null) body.instructions = context;
  else if (conversation !== null) Object.assign(body, { conversation: `conv_${conversation}`, truncation: "auto" });
  if (model !== null) body.model = model;
  try {
    await client.json("POST", "/v1/responses/input_tokens", { body, signal, limitMs: PATIENCE_MS });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return error instanceof Problem ? wordsFor(error) : null;
  }
  return null;
}

function wordsFor({ status, body: { error = {} } }) {
  if (status === 413) return t("error.body_too_long");
  if (error.code !== "context_length_exceeded") return null;
  return inPlainWords({ ...error, detail: error.message });
}
