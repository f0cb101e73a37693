// One conversation that is open: what is said in it, and what becomes of each prompt.

import { Problem } from "./client.js";
import { announce } from "./dom.js";
import * as store from "./store.js";
import { turns } from "./thread.js";

const PAGE = 50;

export class Conversation {
  /**
   * @param {string|null} id null until its first prompt is accepted
   * @param view what it changes: `{changed, accepted, status, edit}`
   */
  constructor(client, thread, id, view) {
    Object.assign(this, { client, thread, id, view });
    this.context = null;
    this.window = null;
    this.earlier = null;
    this.leaving = new AbortController();
    this.running = new Map();
  }

  get isBusy() {
    return this.running.size > 0;
  }

  get isOpen() {
    return !this.leaving.signal.aborted;
  }

  /** Show what the server knows, and go on with what is not ended; gives the conversation. */
  async load() {
    const path = `/conversations/${this.id}`;
    const { signal } = this.leaving;
    const found = await this.client.untilAnswered("GET", path, { signal });
    const page = await this.client.untilAnswered("GET", `${path}/messages?limit=${PAGE}`, { signal });
    this.context = found.context;
    this.window = found.window;
    this.earlier = page.next;
    await this.thread.reset(page.messages);
    this.thread.markWindow(this.window);
    this.view.changed();
    this.takeUp(found.pending);
    return found;
  }

  /** Follow turns that were begun before, here or elsewhere. */
  takeUp(pending) {
    const ours = store.openTurns().filter((one) => one.conversation === this.id);
    const jobs = new Set(ours.map((one) => one.job));
    const others = pending.filter((job) => !jobs.has(job)).map((job) => ({ job, body: { prompt: null } }));
    for (const turn of [...ours, ...others]) {
      if (turn.job && this.thread.has(turn.job)) this.ended(turn);
      else if (!this.running.has(turn.key ?? turn.job)) this.run(turn);
    }
  }

  /** Another tab has said something here. */
  join() {
    for (const turn of store.openTurns()) {
      const isNew = turn.conversation === this.id && turn.job !== null && !this.thread.has(turn.job);
      if (isNew && !this.running.has(turn.key)) this.run(turn);
    }
  }

  async showEarlier() {
    const path = `/conversations/${this.id}/messages?limit=${PAGE}&before=${this.earlier}`;
    const page = await this.client.untilAnswered("GET", path, { signal: this.leaving.signal });
    this.earlier = page.next;
    await this.thread.prepend(page.messages);
    this.thread.markWindow(this.window);
    this.view.changed();
  }

  /** All messages, oldest first. */
  async everything() {
    const pages = [];
    for (let before = null; ;) {
      const path = `/conversations/${this.id}/messages?limit=500${before ? `&before=${before}` : ""}`;
      const page = await this.client.untilAnswered("GET", path);
      pages.unshift(page.messages);
      if (page.next === null) return pages.flat();
      before = page.next;
    }
  }

  /** Say something; instead of what stands from `replaceFrom` on, if that is given. */
  send(prompt, persona, replaceFrom = null) {
    const body = { prompt };
    if (this.id !== null) body.id = this.id;
    if (persona !== null && persona !== this.context) body.context = persona;
    if (replaceFrom !== null) body.replace_from = replaceFrom;
    const turn = { key: randomKey(), body, job: null, conversation: this.id };
    store.keepTurn(turn);
    return this.run(turn);
  }

  /** See a turn through to its end. */
  async run(turn) {
    const { prompt, replace_from: from = null } = turn.body;
    const live = this.thread.begin(prompt, from, turn.job);
    const name = turn.key ?? turn.job;
    this.running.set(name, turn);
    this.view.changed();
    try {
      await this.follow(turn, live);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.giveUp(turn, live, describe(error), true);
      if (error instanceof Problem && error.status === 401) this.view.unauthorized();
    } finally {
      this.running.delete(name);
      if (this.isOpen) this.view.changed();
    }
  }

  async follow(turn, live) {
    this.view.status("Sending …");
    if (turn.job === null) await this.submit(turn, live);
    if (!this.isOpen) return;
    if (turn.stopping) await this.stop();
    for await (const event of this.client.events(turn.job, this.leaving.signal)) {
      if (await this.seen(event, turn, live)) return;
    }
  }

  async submit(turn, live) {
    const accepted = await this.client.submit(turn.body, turn.key);
    turn.job = live.job = accepted.job;
    turn.conversation = accepted.id;
    store.keepTurn(turn);
    store.remember(accepted.id, turn.body.prompt);
    if (this.isOpen && this.id === null) this.id = accepted.id;
    this.view.accepted(this.isOpen);
  }

  /** Whether that was the end. */
  async seen({ kind, data }, turn, live) {
    switch (kind) {
      case "queued":
        this.say(live, queued(data));
        return false;
      case "started":
        this.say(live, "Reading …");
        return false;
      case "resumed":
        this.say(live, "Another worker goes on …");
        return false;
      case "token":
        live.piece(data.text);
        live.bot.noted?.remove();
        this.view.status("Writing …");
        return false;
      case "completed":
        await this.complete(data, turn, live);
        return true;
      case "failed":
        this.giveUp(turn, live, `This did not work: ${data.error.detail}`, true);
        return true;
      default:
        this.giveUp(turn, live, "Stopped. It is not part of the conversation.", false);
        return true;
    }
  }

  async complete(reply, turn, live) {
    live.complete(reply);
    this.ended(turn);
    this.window = reply.window;
    if (turn.body.context !== undefined) this.context = turn.body.context;
    this.view.status("");
    announce(`Reply: ${reply.reply}`);
    const path = `/conversations/${reply.id}/messages?limit=20`;
    const page = await this.client.untilAnswered("GET", path, { signal: this.leaving.signal });
    this.thread.settle(live, page.messages);
    this.thread.markWindow(this.window);
    if (this.context === null) await this.readContext();
  }

  async readContext() {
    const found = await this.client.untilAnswered("GET", `/conversations/${this.id}`, { signal: this.leaving.signal });
    this.context = found.context;
  }

  giveUp(turn, live, text, bad) {
    this.ended(turn);
    this.view.status("");
    announce(text);
    const { prompt, replace_from: from = null } = turn.body;
    live.giveUp(text, bad, {
      retry: () => this.send(prompt, turn.body.context ?? null, from),
      edit: () => this.view.edit(prompt, from),
    });
  }

  ended(turn) {
    if (turn.key) store.dropTurn(turn.key);
  }

  /** Stop what is being written. */
  async stop() {
    this.view.status("Stopping …");
    for (const turn of this.running.values()) {
      turn.stopping = true;
      if (turn.job !== null) await this.client.untilAnswered("DELETE", `/jobs/${turn.job}`);
    }
  }

  say(live, text) {
    live.tell(text);
    this.view.status(text);
    announce(text);
  }

  /** Follow nothing any more; on the server everything goes on. */
  leave() {
    this.leaving.abort(new DOMException("another conversation is open", "AbortError"));
  }

  receipt() {
    return this.window?.turns_dropped ? `${turns(this.window.turns_dropped)} no longer in view` : "";
  }
}

function queued({ position, eta_seconds: eta }) {
  return `Place ${position} in the queue${eta == null ? "" : `, about ${Math.max(1, Math.round(eta))} s`}`;
}

export function describe(error) {
  return error instanceof Problem ? error.message : `Something went wrong in this page: ${error.message}`;
}

function randomKey() {
  // `crypto.randomUUID` exists only on pages from this machine or by TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
