// Talks to the API: requests with a key where one is needed, errors as values of two classes.

/** The server answered, but not with what was asked for. */
export class Problem extends Error {
  constructor(status, body, retryAfterMs) {
    super(body.detail ?? `The server answered ${status}.`);
    this.status = status;
    this.code = body.code ?? "";
    this.retryAfterMs = retryAfterMs;
  }
}

/** The server could not be reached, or went away in mid-answer. */
export class Unreachable extends Error {}

const PATIENCE = 5;
const LONGEST_PAUSE_MS = 5000;

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
  async open(method, path, { body, headers = {}, signal } = {}) {
    const key = this.readKey();
    const sent = { ...headers };
    if (key) sent.Authorization = `Bearer ${key}`;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(path, {
        method, headers: sent, signal, cache: "no-store",
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
    const response = await this.open(method, path, options);
    if (response.status === 204) return null;
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Unreachable();
    }
  }

  /** As `json`, again and again while the server is away; for requests that may be repeated. */
  async untilAnswered(method, path, options = {}) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await this.json(method, path, options);
        this.connection.found();
        return answer;
      } catch (error) {
        const refused = error instanceof Problem;
        if (refused) this.connection.found();
        if (refused ? error.status !== 503 || attempt >= PATIENCE : !(error instanceof Unreachable)) throw error;
        if (!refused) this.connection.lost();
        await pause(refused ? error.retryAfterMs : 200 * 2 ** attempt, options.signal);
      }
    }
  }

  /** Accept a prompt; whatever is lost on the way, it is accepted once. Gives its job. */
  submit(prompt, idempotencyKey, signal) {
    return this.untilAnswered("POST", "/jobs", {
      body: prompt, headers: { "Idempotency-Key": idempotencyKey }, signal,
    });
  }

  /** A job's events up to its end; goes on behind the last one when the connection breaks. */
  async * events(job, signal) {
    let last = null;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const headers = last === null ? {} : { "Last-Event-ID": last };
        const response = await this.open("GET", `/jobs/${job}/events`, { headers, signal });
        this.connection.found();
        if (response.status === 204) return;
        for await (const event of parsed(response.body)) {
          last = event.id;
          attempt = 0;
          yield event;
          if (TERMINAL.has(event.kind)) return;
        }
      } catch (error) {
        if (error.name === "AbortError" || (error instanceof Problem && error.status !== 503)) throw error;
      }
      this.connection.lost();
      await pause(200 * 2 ** attempt, signal);
    }
  }
}

export const TERMINAL = new Set(["completed", "failed", "cancelled"]);

/** Wait; shorter if the network comes back meanwhile. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, Math.min(ms, LONGEST_PAUSE_MS));
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
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
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
