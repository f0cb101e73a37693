// One conversation that is open: what is said in it, and the turns that run.

import { Problem } from "./client.js";
import { t } from "./language.js";
import { LARGEST_PAGE } from "./messages.js";
import { RunningTurn } from "./running_turn.js";
import * as store from "./store.js";

const PAGE = 50;

export class Conversation {
  /**
   * @param {string|null} id null until its first prompt is accepted
   * @param view what it changes: `{changed, accepted, status, edit, refused, unauthorized, stale}`
   */
  constructor(client, thread, id, view) {
    Object.assign(this, { client, thread, id, view });
    this.context = null;
    this.window = null;
    this.model = null;
    this.earlier = null;
    this.isLoaded = id === null;
    this.isChecking = false;
    /** Whether it was deleted elsewhere, even while it is being loaded. */
    this.isGone = false;
    this.isManned = true;
    this.leaving = new AbortController();
    this.running = new Set();
    this.before = Promise.resolve();
  }

  get isBusy() {
    return this.running.size > 0;
  }

  get isOpen() {
    return !this.leaving.signal.aborted;
  }

  /** Show what the server knows, and go on with what is not ended; gives the conversation. */
  async load() {
    // First, so that what the server tells has them.
    for (const turn of this.ours()) if (turn.job === null) await this.hear(turn);
    const found = await this.get("");
    await this.show(found);
    this.isLoaded = true;
    const known = new Set(this.ours().map((one) => one.job));
    const others = found.pending.filter((job) => !known.has(job));
    for (const job of others) this.run({ key: null, job, body: { prompt: null, continue: await this.continues(job) } });
    this.join();
    this.view.changed();
    return found;
  }

  /** Whether a turn that was begun elsewhere goes on with a reply. */
  async continues(job) {
    const { signal } = this.leaving;
    try {
      return (await this.client.untilAnswered("GET", `/jobs/${job}`, { signal })).continues ?? false;
    } catch (error) {
      // It has ended, and is not kept any more.
      if (error.status === 404) return false;
      throw error;
    }
  }

  /** The newest messages of what the server has. */
  async show(found) {
    const page = await this.get(`/messages?limit=${PAGE}`);
    this.context = found.context;
    this.window = found.window;
    this.model = found.model ?? null;
    this.earlier = page.next;
    this.thread.reset(page.messages);
    this.thread.markWindow(this.window);
  }

  /** Let an alternative change places with what stands there now; nothing is sent meanwhile. */
  async putBack(alternative) {
    const { signal } = this.leaving;
    this.isChecking = true;
    this.view.changed();
    try {
      await this.show(await this.client.untilAnswered("POST", `/conversations/${this.id}/alternatives/${alternative}`, { signal }));
    } finally {
      this.isChecking = false;
      if (this.isOpen) this.view.changed();
    }
  }

  /** A resource of this conversation; an AbortError once it is left. */
  async get(path) {
    const { signal } = this.leaving;
    const answer = await this.client.untilAnswered("GET", `/conversations/${this.id}${path}`, { signal });
    signal.throwIfAborted();
    return answer;
  }

  ours() {
    return store.openTurns().filter((one) => one.conversation === this.id);
  }

  /** Find out the job of a prompt that may have been accepted; a refusal is told when it runs. */
  async hear(turn) {
    try {
      turn.job = (await this.client.submit(turn.body, turn.key)).job;
      store.keepTurn(turn);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
    this.leaving.signal.throwIfAborted();
  }

  /** Follow what was begun before, or in another tab. */
  join() {
    if (!this.isLoaded || this.id === null) return;
    for (const turn of this.ours()) {
      const isShown = turn.job !== null && this.thread.has(turn.job);
      if (isShown && !this.isRunning(turn)) this.ended(turn);
      else if (!isShown && !this.isRunning(turn)) this.run(turn);
    }
  }

  isRunning(turn) {
    return [...this.running].some(({ turn: one }) => one.key === turn.key || (one.job !== null && one.job === turn.job));
  }

  async showEarlier(limit = PAGE) {
    const before = this.earlier;
    const page = await this.get(`/messages?limit=${limit}&before=${before}`);
    if (this.earlier !== before) return;
    this.earlier = page.next;
    this.thread.prepend(page.messages);
    this.thread.markWindow(this.window);
    this.view.changed();
  }

  /** Load as far back as a message, and bring it into view. */
  async showMessage(number) {
    while (this.earlier !== null && number < this.earlier) await this.showEarlier(LARGEST_PAGE);
    this.thread.lookAt(number);
  }

  /** What a prompt is read behind: this conversation as it is, or other instructions. */
  instructed(context) {
    const isOther = context !== null && context !== this.context?.trim();
    return { conversation: this.id, context: isOther ? context : null };
  }

  /**
   * Say something; instead of what stands from `replaceFrom` on, if that is given.
   * @param wishes which model is to answer (null: the server decides), how much it is to think, sampling
   *   options, and what a new conversation keeps in its metadata
   */
  async send(prompt, persona, replaceFrom = null, { model = null, reasoning = "auto", sampling = {}, notes = {} } = {}) {
    if (replaceFrom !== null && !await this.mayReplace(prompt, replaceFrom)) return;
    const body = { prompt, ...sampling };
    if (this.id !== null) body.id = this.id;
    const { context } = this.instructed(persona);
    if (context !== null) body.context = context;
    if (replaceFrom !== null) body.replace_from = replaceFrom;
    if (model !== null) body.model = model;
    if (reasoning !== "auto") body.reasoning = reasoning;
    const turn = { key: randomKey(), body, job: null, conversation: this.id, ...(this.id === null && { notes }) };
    store.keepTurn(turn);
    await this.run(turn);
  }

  /** Go on with the last reply, which was cut or stopped. @param wishes as for `send` */
  async goOn({ model = null, sampling = {} } = {}) {
    const body = { id: this.id, continue: true, ...sampling };
    if (model !== null) body.model = model;
    const turn = { key: randomKey(), body, job: null, conversation: this.id };
    store.keepTurn(turn);
    await this.run(turn);
  }

  /** Not if somebody has said something here that is not shown: it must not be replaced unseen. */
  async mayReplace(prompt, replaceFrom) {
    this.isChecking = true;
    this.view.changed();
    try {
      const [last] = (await this.get("/messages?limit=1")).messages;
      if ((last?.number ?? 0) === this.thread.lastNumber) return true;
      this.view.stale(prompt);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.view.refused(prompt, replaceFrom, error);
    } finally {
      this.isChecking = false;
      if (this.isOpen) this.view.changed();
    }
    return false;
  }

  /** See a turn through to its end. */
  async run(turn) {
    const running = new RunningTurn(this, turn);
    this.running.add(running);
    this.view.changed();
    try {
      await running.toEnd();
    } finally {
      this.running.delete(running);
      if (this.isOpen) this.view.changed();
    }
  }

  /** Those of one conversation are followed one after the other. */
  async follow(running) {
    const following = this.before.then(() => running.follow());
    this.before = following.catch(() => {});
    await following;
  }

  /** Whether a turn waits for a worker. */
  get isWaiting() {
    return [...this.running].some((one) => one.place !== null);
  }

  /** Whether there is any worker to wait for. */
  mannedIs(isManned) {
    if (isManned === this.isManned) return;
    this.isManned = isManned;
    for (const one of this.running) one.tellPlace();
  }

  /** A reply is there, and `context`, if it was sent with its prompt, holds from now on. */
  learn(reply, context = this.context) {
    this.window = reply.window;
    this.model = reply.model ?? null;
    this.context = context;
  }

  /** The newest messages; none where they cannot be had now. */
  async newest() {
    let messages = [];
    try {
      ({ messages } = await this.get("/messages?limit=20"));
      if (this.context === null) this.context = (await this.get("")).context;
    } catch (error) {
      // What is shown can be edited once the page is loaded anew.
      if (error.name === "AbortError") throw error;
    }
    return messages;
  }

  /** A conversation whose first turn came to nothing is gone: what is said next begins another. */
  async lookWhetherGone() {
    if (this.thread.lastNumber > 0) return;
    try {
      await this.get("");
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (!(error instanceof Problem) || error.status !== 404) return;
      store.forget(this.id);
      this.id = this.context = this.window = this.model = null;
      this.view.gone();
    }
  }

  /** It needs not be remembered any more. */
  ended(turn) {
    if (turn.key) store.dropTurn(turn.key);
  }

  /** Stop what is being written. */
  async stop() {
    this.view.status(t("turn.stopping"));
    for (const one of this.running) await one.stop();
  }

  /** Follow nothing any more; on the server everything goes on. */
  leave() {
    this.leaving.abort(new DOMException("another conversation is open", "AbortError"));
  }

  receipt() {
    return this.window?.turns_dropped ? t("messages.turns_out", { count: this.window.turns_dropped }) : "";
  }
}

/** Send again what was written for a new conversation and never heard of, without showing it; gives its id if it was accepted. */
export async function adopt(client, turn) {
  try {
    const accepted = await client.submit(turn.body, turn.key);
    store.keepTurn({ ...turn, job: accepted.job, conversation: accepted.id });
    store.remember(accepted.id, turn.body.prompt);
    return accepted.id;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    store.dropTurn(turn.key);
  }
}

function randomKey() {
  // `crypto.randomUUID` exists only on pages from this machine or by TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
