// Talks to the API: requests with a key where one is needed, errors as values of two classes.

import { t } from "./language.js";

/** The server answered, but not with what was asked for. */
export class Problem extends Error {
  constructor(status, body, retryAfterMs) {
    super(body.detail ?? t("error.not_ready"));
    this.status = status;
    this.code = body.code ?? "";
    this.body = { ...body, code: this.code, detail: this.message };
    this.retryAfterMs = retryAfterMs;
  }
}

/** The server could not be reached, or went away in mid-answer. */
export class Unreachable extends Error {
  constructor() {
    super(t("connection.none"));
  }
}

/** What a server that starts, stops or is full answers, and a proxy in front of one. */
const PASSING = new Set([500, 502, 503, 504]);
const PATIENCE = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
const LONGEST_WAIT_MS = 60_000;
const ANSWER_MS = 30_000;
/** A stream says something every 15 s: after so long without a byte it is dead. */
const SILENCE_MS = 40_000;

export class Client {
  /**
   * @param {() => string|null} readKey the API key, if there is one
   * @param {{lost: () => void, found: () => void}} connection told when it breaks and when it is back
   */
  constructor(readKey, connection) {
    this.readKey = readKey;
    this.connection = connection;
  }

  /** A response with a good status. Throws Problem, Unreachable; AbortError if `signal` says so. */
  async open(method, path, { body, headers = {}, signal, limitMs, keepalive = false } = {}) {
    const key = this.readKey();
    const sent = { ...headers };
    if (key) sent.Authorization = `Bearer ${key}`;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const signals = [signal, limitMs && AbortSignal.timeout(limitMs)].filter(Boolean);
    let response;
    try {
      response = await fetch(path, {
        method, headers: sent, signal: AbortSignal.any(signals), cache: "no-store", keepalive,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Unreachable();
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    throw new Problem(response.status, problem, 1000 * Number(response.headers.get("Retry-After") ?? 0));
  }

  async json(method, path, options) {
    const response = await this.open(method, path, { limitMs: ANSWER_MS, ...options });
    if (response.status === 204) return null;
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Unreachable();
    }
  }

  /**
   * As `json`, again and again while the server is away; for requests that may be repeated.
   * @param {(error: Problem) => boolean} goesOn whether to go on although the server refuses for now
   */
  async untilAnswered(method, path, { goesOn = null, ...options } = {}) {
    let refusals = 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await this.json(method, path, options);
        this.connection.found();
        return answer;
      } catch (error) {
        if (error instanceof Problem) {
          this.connection.found();
          refusals += 1;
          const mayGoOn = () => (goesOn ? goesOn(error) : refusals <= PATIENCE);
          if (!PASSING.has(error.status) || !mayGoOn()) throw error;
          await pause(Math.max(error.retryAfterMs, growing(refusals)), options.signal);
        } else if (error instanceof Unreachable) {
          this.connection.lost();
          await pause(growing(attempt), options.signal);
        } else {
          throw error;
        }
      }
    }
  }

  /** Accept a prompt; whatever is lost on the way, it is accepted once. Gives its job. */
  submit(prompt, idempotencyKey, goesOn) {
    return this.untilAnswered("POST", "/jobs", {
      body: prompt, headers: { "Idempotency-Key": idempotencyKey }, goesOn,
    });
  }

  /** A job's events up to its end, behind one of them if `after` names it. Throws a Problem only if there is no such job, or the key is not valid (any more). */
  events(job, signal, after = null) {
    return this.follow(`/jobs/${job}/events`, { signal, after, isLast: (event) => TERMINAL.has(event.kind) });
  }

  /**
   * The events of a stream; resumes behind the last one when the connection breaks.
   * Throws a Problem only for 401 and 404; AbortError if `signal` says so.
   * @param {{after?: string|null, isLast?: (event) => boolean, connected?: () => void}} options
   *   `after`: the id of the event to resume behind; `connected`: called for each connection that
   *   resumes behind no event, so that what happened before it is not in it
   */
  async * follow(path, { signal, after = null, isLast = () => false, connected = () => {} }) {
    let last = after;
    for (let attempt = 0; ; attempt += 1) {
      let waitMs = 0;
      try {
        const headers = last === null ? {} : { "Last-Event-ID": last };
        const response = await this.open("GET", path, { headers, signal });
        this.connection.found();
        if (response.status === 204) return;
        if (last === null) connected();
        for await (const event of parsed(response.body)) {
          last = event.id;
          attempt = 0;
          yield event;
          if (isLast(event)) return;
        }
      } catch (error) {
        const isFinal = error instanceof Problem && (error.status === 401 || error.status === 404);
        if (error.name === "AbortError" || isFinal) throw error;
        waitMs = error.retryAfterMs ?? 0;
      }
      this.connection.lost();
      await pause(Math.max(waitMs, growing(attempt)), signal);
    }
  }
}

const growing = (attempt) => Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);

export const TERMINAL = new Set(["completed", "failed", "cancelled"]);

/** Wait; shorter if the network comes back meanwhile. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, Math.min(ms, LONGEST_WAIT_MS));
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal?.removeEventListener("abort", abort);
      resolve();
    }
    function abort() {
      done();
      reject(signal.reason);
    }
    addEventListener("online", done);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
  });
}

/** Server-sent events of a body: `{id, kind, data}`. */
async function* parsed(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const giveUp = () => { reader.cancel().catch(() => {}); };
  let rest = "";
  try {
    for (;;) {
      const timer = setTimeout(giveUp, SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    giveUp();
  }
}

function parseEvent(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return fields.event ? { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) } : null;
}
