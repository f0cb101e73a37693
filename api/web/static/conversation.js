// One conversation that is open: what is said in it, and the turns that run.

import { Problem } from "./client.js";
import { Elsewhere } from "./elsewhere.js";
import { t } from "./language.js";
import { LARGEST_PAGE, PAGE } from "./messages.js";
import { RunningTurn } from "./running_turn.js";
import * as store from "./store.js";
import { TurnLine } from "./turn_line.js";

/** As many as a turn may have brought along, and a few more. */
const NEWEST = 20;

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
    /** What becomes of turns that leave the window; null: the server decides. */
    this.memory = null;
    this.earlier = null;
    this.isLoaded = id === null;
    this.isChecking = false;
    /** Whether it was deleted elsewhere, even while it is being loaded. */
    this.isGone = false;
    this.isManned = true;
    this.leaving = new AbortController();
    this.line = new TurnLine(this.leaving.signal);
    this.elsewhere = new Elsewhere(this);
    /** Jobs of all turns that were shown here, also of those that came to nothing. */
    this.jobs = new Set();
  }

  get isBusy() {
    return this.line.turns.length > 0;
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
    await this.elsewhere.join(found.pending);
    this.join();
    this.view.changed();
    return found;
  }

  /** The newest messages of what the server has. */
  async show(found) {
    const page = await this.get(`/messages?limit=${PAGE}`);
    this.context = found.context;
    this.earlier = page.next;
    this.thread.reset(page.messages);
    this.hold(found);
  }

  /** What was said elsewhere stands here, too; what stood already stays as it is. */
  update(found, page) {
    if (!this.thread.update(page)) this.earlier = page.next;
    this.hold(found);
    this.view.changed();
  }

  /** What goes with the messages that are shown. */
  hold(found) {
    this.window = found.window;
    this.model = found.model ?? null;
    this.memory = found.memory ?? null;
    this.elsewhere.shown = found.updated_at;
    this.thread.markWindow(this.window);
  }

  /** Let an alternative change places with what stands there now; nothing is sent meanwhile. */
  async putBack(alternative) {
    const { signal } = this.leaving;
    await this.checking(async () => {
      await this.show(await this.client.untilAnswered("POST", `/conversations/${this.id}/alternatives/${alternative}`, { signal }));
    });
  }

  /** Keep a message in view, or let it leave. */
  async pin(number, isPinned) {
    const { signal } = this.leaving;
    await this.client.untilAnswered("PATCH", `/conversations/${this.id}/messages/${number}`, { body: { pinned: isPinned }, signal });
    signal.throwIfAborted();
    this.thread.pinnedIs(number, isPinned);
  }

  /** What is to become of turns that leave the window. @param {"fifo"|"summary"|null} mode null: the server decides */
  async remember(mode) {
    if (this.id === null) {
      // It is begun with it.
      this.memory = mode;
      return;
    }
    const { signal } = this.leaving;
    try {
      const found = await this.client.untilAnswered("PATCH", `/conversations/${this.id}`, { body: { memory: mode }, signal });
      this.memory = found.memory ?? null;
    } finally {
      if (this.isOpen) this.view.changed();
    }
  }

  /** Nothing is sent meanwhile. */
  async checking(action) {
    this.isChecking = true;
    this.view.changed();
    try {
      return await action();
    } finally {
      this.isChecking = false;
      this.line.changed();
      if (this.isOpen) this.view.changed();
    }
  }

  /** A resource of this conversation; an AbortError once it is left. */
  async get(path) {
    return this.look(`/conversations/${this.id}${path}`);
  }

  async look(path) {
    const { signal } = this.leaving;
    const answer = await this.client.untilAnswered("GET", path, { signal });
    signal.throwIfAborted();
    return answer;
  }

  /** Whether a job's turn, or its messages, are or were shown. */
  knows(job) {
    return this.jobs.has(job) || this.thread.has(job);
  }

  /** Returns when the server has answered what was sent from here. */
  async untilHeard() {
    await this.line.until(() => !this.isChecking && this.line.turns.every(({ turn }) => turn.job !== null));
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
    return this.line.turns.some(({ turn: one }) => one.key === turn.key || (one.job !== null && one.job === turn.job));
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

  /** What the last reply's model saw beside its window; known as long as its job is kept. */
  async showReceipt() {
    const reply = this.thread.entries.at(-1);
    if (reply?.role !== "assistant" || !reply.job) return;
    try {
      const { result } = await this.look(`/jobs/${reply.job}`);
      if (result?.memory) this.thread.keepAtEnd(() => reply.remembered(result.memory, this.id));
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
  }

  /** What a prompt is read behind: this conversation as it is, or other instructions. */
  instructed(context) {
    const isOther = context !== null && context !== this.context?.trim();
    return { conversation: this.id, context: isOther ? context : null };
  }

  /**
   * Say something; instead of what stands from `replaceFrom` on, if that is given.
   * @param wishes which model is to answer (null: the server decides), how much it is to think, where the
   *   prompt is looked for, sampling options, and what a new conversation keeps in its metadata
   */
  async send(prompt, persona, replaceFrom = null, { model = null, reasoning = "auto", recall = "own", sampling = {}, notes = {} } = {}) {
    if (replaceFrom !== null && !await this.mayReplace(prompt, replaceFrom)) return;
    const body = { prompt, ...sampling };
    if (this.id !== null) body.id = this.id;
    else if (this.memory !== null) body.memory = this.memory;
    const { context } = this.instructed(persona);
    if (context !== null) body.context = context;
    if (replaceFrom !== null) body.replace_from = replaceFrom;
    if (model !== null) body.model = model;
    if (reasoning !== "auto") body.reasoning = reasoning;
    if (recall !== "own") body.recall = recall;
    const turn = { key: randomKey(), body, job: null, conversation: this.id, ...(this.id === null && { notes }) };
    store.keepTurn(turn);
    await this.run(turn, { isFromHere: true });
  }

  /** Go on with the last reply, which was cut or stopped. @param wishes as for `send` */
  async goOn({ model = null, sampling = {} } = {}) {
    const body = { id: this.id, continue: true, ...sampling };
    if (model !== null) body.model = model;
    const turn = { key: randomKey(), body, job: null, conversation: this.id };
    store.keepTurn(turn);
    await this.run(turn, { isFromHere: true });
  }

  /** Not if somebody has said something here that is not shown: it must not be replaced unseen. */
  async mayReplace(prompt, replaceFrom) {
    return this.checking(async () => {
      try {
        const [last] = (await this.get("/messages?limit=1")).messages;
        if (replaceFrom <= this.thread.lastNumber && this.thread.endsWith(last)) return true;
        this.view.stale(prompt);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        this.view.refused(prompt, replaceFrom, error);
      }
      return false;
    });
  }

  /**
   * See a turn through to its end.
   * @param {{isFromHere?: boolean, before?: RunningTurn|null}} place whether it is sent from this tab; which turn comes next
   */
  async run(turn, place = {}) {
    const running = new RunningTurn(this, turn, place);
    this.line.add(running, place.before ?? null);
    this.view.changed();
    try {
      await running.toEnd();
    } finally {
      this.line.delete(running);
      if (this.isOpen) this.view.changed();
    }
  }

  /** Whether a turn waits for a worker. */
  get isWaiting() {
    return this.line.turns.some((one) => one.place !== null);
  }

  /** Whether there is any worker to wait for. */
  mannedIs(isManned) {
    if (isManned === this.isManned) return;
    this.isManned = isManned;
    for (const one of this.line.turns) one.tellPlace();
  }

  /** A reply is there, and `context`, if it was sent with its prompt, holds from now on. */
  learn(reply, context = this.context) {
    this.window = reply.window;
    this.model = reply.model ?? null;
    this.context = context;
  }

  /** A turn has completed: it stands among the stored ones, as they are now. */
  async settle(live) {
    const newest = await this.newest(live.job);
    const isJoined = this.thread.settle(live, newest?.page ?? null);
    if (newest === null) {
      this.thread.markWindow(this.window);
      return;
    }
    if (!isJoined) this.earlier = newest.page.next;
    this.hold(newest.found);
  }

  /** The conversation and its newest messages, with those of a job; null where they cannot be had now. */
  async newest(job) {
    try {
      const found = await this.get("");
      const page = await this.newestPage(NEWEST, job);
      this.context ??= found.context;
      return { found, page };
    } catch (error) {
      // What is shown can be edited once the page is loaded anew.
      if (error.name === "AbortError") throw error;
      return null;
    }
  }

  /** So many of the newest messages; more of them where something would be missing before them. */
  async newestPage(limit, job = null) {
    const page = await this.get(`/messages?limit=${limit}`);
    const isThere = job === null || page.messages.some((one) => one.job === job);
    return isThere && this.thread.joins(page) ? page : this.get(`/messages?limit=${LARGEST_PAGE}`);
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
    for (const one of this.line.turns) await one.stop();
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
