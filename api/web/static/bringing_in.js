// Files of conversations on their way to the server: read one after the other, sent one request at a time.

import { pause, Problem } from "./client.js";
import { conversationsIn } from "./importing.js";
import { t } from "./language.js";
import { describe } from "./plain.js";
import { bytesOf, sizeOf } from "./sizes.js";

const LARGEST_FILE = 50_000_000;
/** A problem that does not say how long to wait. */
const SHORTEST_PAUSE_MS = 1000;
/** What is wrong with one conversation, not with the server or the key. */
const OF_ONE = new Set([400, 409, 413, 415, 422]);
const ZIP = "PK\u0003\u0004";

/** A file that cannot be imported; its message says why, in plain words. */
export class Unreadable extends Error {}

/** One import, and what it has done so far. */
export class Import {
  /**
   * @param {{progress: (done: number, total: number, name: string) => void, waits: () => void}} view
   *   `name`: of the file; `waits`: the server wants a while before the next request
   */
  constructor(client, view) {
    Object.assign(this, { client, view, signal: undefined, skipped: 0 });
    /** `{name, text}` each: of a file or a conversation, and what is wrong with it. */
    this.problems = [];
    /** `{id, name}` each. */
    this.arrived = [];
  }

  /** How many conversations came in. */
  get imported() {
    return this.arrived.length;
  }

  /** Import all conversations of these files. Throws what concerns the rest of them, too. */
  async run(files, signal) {
    this.signal = signal;
    for (const file of files) {
      try {
        await this.take(file);
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        this.problems.push({ name: file.name, text: error.message });
      }
      this.signal?.throwIfAborted();
    }
  }

  async take(file) {
    this.view.progress(0, 0, file.name);
    const { bodies, skipped } = conversationsOf(await textOf(file));
    this.skipped += skipped;
    for (const [place, body] of bodies.entries()) {
      this.view.progress(place, bodies.length, file.name);
      this.signal?.throwIfAborted();
      await this.send(body);
    }
    this.view.progress(bodies.length, bodies.length, file.name);
  }

  async send(body) {
    try {
      const { id, title } = await this.accepted(body);
      this.arrived.push({ id, name: title ?? nameOf(body) });
    } catch (error) {
      if (!(error instanceof Problem) || !OF_ONE.has(error.status)) throw error;
      this.problems.push({ name: nameOf(body), text: refusal(error, body) });
    }
  }

  /** Sent until the limits of the key allow it. What was lost on the way may come in twice. */
  async accepted(body) {
    for (;;) {
      try {
        return await this.client.untilAnswered("POST", "/conversations", { body, signal: this.signal });
      } catch (error) {
        if (error.status !== 429) throw error;
        this.view.waits();
        await pause(Math.max(error.retryAfterMs, SHORTEST_PAUSE_MS), this.signal);
      }
    }
  }
}

async function textOf(file) {
  if (file.size > LARGEST_FILE) {
    throw new Unreadable(t("import.too_large", { limit: sizeOf(LARGEST_FILE) }));
  }
  try {
    return await file.text();
  } catch {
    throw new Unreadable(t("import.unreadable"));
  }
}

function conversationsOf(text) {
  if (text.startsWith(ZIP)) throw new Unreadable(t("import.archive"));
  let data;
  try {
    data = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    throw new Unreadable(t("import.no_json"));
  }
  try {
    return conversationsIn(data);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Unreadable(t("import.no_export"));
  }
}

function nameOf({ title, messages }) {
  const text = [title, messages?.[0]?.content].find((each) => typeof each === "string") ?? "";
  const name = text.slice(0, 1000).trim().replaceAll(/\s+/g, " ");
  return name.length > 60 ? `${name.slice(0, 59)}…` : name || t("import.unnamed");
}

function refusal(error, body) {
  if (error.status !== 413) return describe(error);
  const size = sizeOf(bytesOf(JSON.stringify(body)));
  return t("import.too_long", { size });
}
