// One conversation that is open: what is said in it, and what becomes of each prompt.

import { callLine } from "./calls.js";
import { Problem, Unreachable } from "./client.js";
import { announce } from "./dom.js";
import { causeOf, inPlainWords, queuePlace } from "./plain.js";
import * as store from "./store.js";
import { turns } from "./thread.js";

const PAGE = 50;
/** As many as the server gives at once. */
const LARGEST_PAGE = 500;
/** So often a prompt is sent again while no worker runs the model that was chosen. */
const MODEL_PATIENCE = 4;

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
    this.isManned = true;
    this.leaving = new AbortController();
    this.running = new Map();
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
    for (const job of others) this.run({ key: null, job, body: { prompt: null } });
    this.join();
    this.view.changed();
    return found;
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
    return [...this.running.values()].some((one) => one.key === turn.key || (one.job !== null && one.job === turn.job));
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

  /** All messages, oldest first. */
  async everything() {
    const pages = [];
    for (let before = null; ;) {
      const page = await this.get(`/messages?limit=${LARGEST_PAGE}${before ? `&before=${before}` : ""}`);
      pages.unshift(page.messages);
      if (page.next === null) return pages.flat();
      before = page.next;
    }
  }

  /**
   * Say something; instead of what stands from `replaceFrom` on, if that is given.
   * @param wishes which model is to answer (null: the server decides), and how much it is to think
   */
  async send(prompt, persona, replaceFrom = null, { model = null, reasoning = "auto" } = {}) {
    if (replaceFrom !== null && !await this.mayReplace(prompt, replaceFrom)) return;
    const body = { prompt };
    if (this.id !== null) body.id = this.id;
    if (persona !== null && persona !== this.context?.trim()) body.context = persona;
    if (replaceFrom !== null) body.replace_from = replaceFrom;
    if (model !== null) body.model = model;
    if (reasoning !== "auto") body.reasoning = reasoning;
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

  /** See a turn through to its end. Those of one conversation are followed one after the other. */
  async run(turn) {
    const { prompt, replace_from: from = null } = turn.body;
    const live = this.thread.begin(prompt, from, turn.job);
    this.running.set(live, turn);
    this.view.changed();
    try {
      if (turn.job === null && !await this.submit(turn, live)) return;
      const { before } = this;
      const following = before.then(() => this.follow(turn, live));
      this.before = following.catch(() => {});
      await following;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.failed(error, turn, live);
    } finally {
      this.running.delete(live);
      if (this.isOpen) this.view.changed();
    }
  }

  /** Whether it was accepted, and is shown by this turn alone. */
  async submit(turn, live) {
    this.view.status("Sending …");
    let tries = 0;
    try {
      const accepted = await this.client.submit(turn.body, turn.key, (problem) => {
        tries += 1;
        // There may be another model that would answer at once.
        if (isOfModel(problem, turn) && tries > MODEL_PATIENCE) return false;
        if (this.isOpen) this.say(live, `${causeOf(problem.body, turn.body.model)} Trying again …`);
        // What may have been accepted is not forgotten, but stopped once its job is known.
        return !turn.stopping || problem.code === "outcome_unknown";
      });
      turn.job = live.job = accepted.job;
      turn.conversation = accepted.id;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.refused(error, turn, live);
      return false;
    }
    store.keepTurn(turn);
    store.remember(turn.conversation, turn.body.prompt);
    if (turn.body.model) store.chooseModel(turn.conversation, turn.body.model);
    if (turn.stopping) await this.enough(turn);
    this.view.changed();
    if (!this.isOpen) return false;
    if (this.id === null) this.id = turn.conversation;
    this.view.accepted();
    if (!this.thread.has(turn.job, live)) return true;
    this.thread.drop(live);
    this.ended(turn);
    return false;
  }

  /** It was not accepted: the prompt is its writer's again. */
  refused(error, turn, live) {
    // In another conversation by now: it is tried again when this one is opened.
    if (!this.isOpen) return;
    this.ended(turn);
    this.thread.drop(live);
    this.view.status("");
    const text = inPlainWords(error.body, isOfModel(error, turn) ? turn.body.model : null);
    this.view.refused(turn.body.prompt, turn.body.replace_from ?? null, error, { text, wasStopped: turn.stopping });
  }

  async follow(turn, live) {
    for await (const event of this.client.events(turn.job, this.leaving.signal)) {
      if (await this.seen(event, turn, live)) return;
    }
  }

  /** Whether that was the end. */
  async seen(event, turn, live) {
    const { kind, data } = event;
    live.see(event);
    switch (kind) {
      case "queued":
        live.place = queuePlace(data);
        this.say(live, this.waitingFor(live));
        return false;
      case "started":
        live.place = null;
        this.say(live, "Reading …");
        return false;
      case "resumed":
        this.say(live, "Another worker goes on …");
        return false;
      case "reasoning":
        if (!live.bot.thought.isRunning) announce("Thinking …");
        live.reasoning(data.text);
        this.writes(live, "Thinking …");
        return false;
      case "token":
        live.piece(data.text);
        this.writes(live, "Writing …");
        return false;
      case "call":
        live.call(data);
        this.writes(live, "Writing …");
        return false;
      case "completed":
        await this.complete(data, turn, live);
        return true;
      case "failed":
        await this.lookWhetherGone();
        this.giveUp(turn, live, `This did not work. ${inPlainWords(data.error)}`, true);
        return true;
      case "cancelled":
        await this.lookWhetherGone();
        this.giveUp(turn, live, "Stopped. It is not part of the conversation.", false);
        return true;
      default:
        // Of a newer server.
        return false;
    }
  }

  /** Whether a turn waits for a worker. */
  get isWaiting() {
    return [...this.running.keys()].some((live) => live.place);
  }

  /** Whether there is any worker to wait for. */
  mannedIs(isManned) {
    if (isManned === this.isManned) return;
    this.isManned = isManned;
    for (const live of this.running.keys()) if (live.place) this.say(live, this.waitingFor(live));
  }

  waitingFor(live) {
    return this.isManned ? live.place : `${causeOf({ code: "no_worker" })} Your prompt waits for one.`;
  }

  writes(live, status) {
    live.bot.noted?.remove();
    this.view.status(status);
  }

  async complete(reply, turn, live) {
    live.complete(reply);
    this.ended(turn);
    this.window = reply.window;
    this.model = reply.model ?? null;
    if (turn.body.context !== undefined) this.context = turn.body.context;
    this.view.status("");
    const ending = reply.finish_reason === "stopped" ? ["Stopped."] : [];
    announce([...ending, `Reply: ${reply.reply}`, ...(reply.tool_calls ?? []).map((one) => `Calls ${callLine(one)}`)].join(" "));
    let newest = [];
    try {
      newest = (await this.get("/messages?limit=20")).messages;
      if (this.context === null) this.context = (await this.get("")).context;
    } catch (error) {
      // The reply is there all the same; it can be edited once the page is loaded anew.
      if (error.name === "AbortError") throw error;
    }
    this.thread.settle(live, newest);
    this.thread.markWindow(this.window);
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

  /** It was accepted, and now nobody tells what becomes of it. */
  failed(error, turn, live) {
    if (error instanceof Problem && error.status === 401) {
      this.view.unauthorized();
      return;
    }
    this.giveUp(turn, live, describe(error), true);
  }

  giveUp(turn, live, text, bad) {
    this.ended(turn);
    this.view.status("");
    announce(text.replaceAll("`", ""));
    const { prompt, replace_from: from = null, context = null } = turn.body;
    // It is stored nowhere else: a reload must not take it away.
    if (bad && prompt !== null && store.draft() === "") store.keepDraft(prompt);
    live.giveUp(text, bad, {
      retry: () => {
        if (store.draft() === prompt) store.keepDraft("");
        this.view.again(prompt, context, from);
      },
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
      if (turn.key) store.keepTurn(turn);
      if (turn.job !== null) await this.enough(turn);
    }
  }

  /** What is written of its reply stays; where nothing is, the turn is cancelled. */
  async enough(turn) {
    await this.client.untilAnswered("POST", `/jobs/${turn.job}/stop`);
  }

  /** Where the reply will stand, and nowhere else. */
  say(live, text) {
    live.tell(text);
    this.view.status("");
    announce(text.replaceAll("`", ""));
  }

  /** Follow nothing any more; on the server everything goes on. */
  leave() {
    this.leaving.abort(new DOMException("another conversation is open", "AbortError"));
  }

  receipt() {
    return this.window?.turns_dropped ? `${turns(this.window.turns_dropped)} no longer in view` : "";
  }
}

/** Send again what was written for a new conversation and never heard of, without showing it. */
export async function adopt(client, turn) {
  try {
    const accepted = await client.submit(turn.body, turn.key);
    store.keepTurn({ ...turn, job: accepted.job, conversation: accepted.id });
    store.remember(accepted.id, turn.body.prompt);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    store.dropTurn(turn.key);
  }
}

/** Whether a prompt was refused because of the model that was chosen for it. */
function isOfModel(problem, turn) {
  return turn.body.model !== undefined && (problem.code === "no_worker" || problem.code === "model_not_found");
}

export function describe(error) {
  if (error instanceof Problem) return inPlainWords(error.body);
  if (error instanceof Unreachable) return error.message;
  return `Something went wrong in this page: ${error.message}. Load it again.`;
}

function randomKey() {
  // `crypto.randomUUID` exists only on pages from this machine or by TLS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
