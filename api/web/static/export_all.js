// Conversations as JSON that can be imported again: one, or all of them in one file.

import { allMessages } from "./messages.js";

/** As many as the server lists at once. */
const LARGEST_PAGE = 500;

/** How what is exported is to be read; 1 had no alternatives. */
const VERSION = 2;

/** A conversation as the server has it, with all its messages and alternatives. */
export async function exported(client, id, signal) {
  const path = `/conversations/${id}`;
  const state = await client.untilAnswered("GET", path, { signal });
  const messages = await allMessages(client, path, signal);
  const { alternatives } = await client.untilAnswered("GET", `${path}/alternatives?all=true`, { signal });
  for (const one of alternatives) {
    if (one.length > one.messages.length) one.messages = await allMessages(client, `${path}/alternatives/${one.id}`, signal);
  }
  return { export_version: VERSION, ...state, messages, alternatives };
}

/** The ids of all conversations that the server lists, the one used last first. */
export async function listedIds(client, signal) {
  const ids = new Set();
  for (let before = null; ;) {
    const query = new URLSearchParams({ limit: LARGEST_PAGE, ...(before === null ? {} : { before }) });
    const page = await client.untilAnswered("GET", `/conversations?${query}`, { signal });
    for (const { id } of page.conversations) ids.add(id);
    if (page.next === null) return [...ids];
    before = page.next;
  }
}

/**
 * The parts of a file `{"conversations": [...]}`; joined they are its text. The last id comes first:
 * of a list, the conversation used last is then imported last, and stands in front again.
 *
 * @param {(done: number, total: number) => void} progress called before each conversation, and at the end
 * @returns {{parts: string[], count: number}} one that was deleted meanwhile is left out
 */
export async function exportFile(client, ids, progress, signal) {
  const texts = [];
  let done = 0;
  for (const id of ids.toReversed()) {
    progress(done, ids.length);
    const text = await textOf(client, id, signal);
    if (text !== null) texts.push(text);
    done += 1;
  }
  progress(done, ids.length);
  const separated = texts.flatMap((text, place) => (place === 0 ? [text] : [",\n", text]));
  return { parts: ['{"conversations": [\n', ...separated, "\n]}\n"], count: texts.length };
}

async function textOf(client, id, signal) {
  try {
    return JSON.stringify(await exported(client, id, signal));
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}
