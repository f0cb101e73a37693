// One turn of the open conversation, from its prompt to its end.

import { callLine } from "./calls.js";
import { Problem } from "./client.js";
import { announce } from "./dom.js";
import { sentences, t } from "./language.js";
import { causeOf, describe, inPlainWords, queuePlace } from "./plain.js";
import * as store from "./store.js";

/** So often a prompt is sent again while no worker runs the model that was chosen. */
const MODEL_PATIENCE = 4;

export class RunningTurn {
  /**
   * @param turn what this browser remembers of it: `{key, body, job, conversation}`
   * @param {{isFromHere?: boolean, before?: RunningTurn|null}} place as for `Conversation.run`
   */
  constructor(conversation, turn, { isFromHere = false, before = null }) {
    const { client, thread, view } = conversation;
    Object.assign(this, { conversation, client, thread, view, turn });
    /** Its place in the queue, in words, while it waits. */
    this.place = null;
    this.hasStarted = false;
    /** The last event that was seen, and what ends the stream before the turn has ended. */
    this.after = null;
    this.following = null;
    this.learnJob(turn.job);
    const { prompt = null, replace_from: from = null, continue: continues = false } = turn.body;
    this.live = thread.begin({ prompt, from, job: turn.job, continues }, { isFromHere, before: before?.live ?? null });
  }

  async toEnd() {
    try {
      if (this.turn.job !== null || await this.submit()) await this.follow();
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
    }
  }

  /** Whether it was accepted, and is shown by this turn alone. */
  async submit() {
    const { conversation, turn, live } = this;
    this.view.status(t("turn.sending"));
    try {
      const accepted = await this.client.submit(turn.body, turn.key, this.goesOn());
      turn.job = live.job = accepted.job;
      this.learnJob(turn.job);
      turn.conversation = accepted.id;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.refused(error);
      return false;
    }
    store.keepTurn(turn);
    if (!this.live.continues) store.remember(turn.conversation, turn.body.prompt);
    if (turn.body.model) store.chooseModel(turn.conversation, turn.body.model);
    this.view.began(turn.conversation, turn.notes);
    if (turn.stopping) await this.enough();
    this.view.changed();
    if (!conversation.isOpen) return false;
    conversation.id ??= turn.conversation;
    this.view.accepted();
    if (!this.thread.has(turn.job, live)) return true;
    this.thread.drop(live);
    this.over();
    return false;
  }

  /** Whether it is sent again, refusal by refusal. */
  goesOn() {
    const { conversation, turn } = this;
    let tries = 0;
    return (problem) => {
      tries += 1;
      // There may be another model that would answer at once.
      if (isOfModel(problem, turn) && tries > MODEL_PATIENCE) return false;
      if (conversation.isOpen) this.say(sentences(causeOf(problem.body, turn.body.model), t("turn.again")));
      // What may have been accepted is not forgotten, but stopped once its job is known.
      return !turn.stopping || problem.code === "outcome_unknown";
    };
  }

  /** It was not accepted: the prompt is its writer's again. */
  refused(error) {
    const { turn } = this;
    // In another conversation by now: it is tried again when this one is opened.
    if (!this.conversation.isOpen) return;
    this.over();
    this.thread.drop(this.live);
    const text = inPlainWords(error.body, isOfModel(error, turn) ? turn.body.model : null);
    this.view.refused(turn.body.prompt ?? null, turn.body.replace_from ?? null, error, { text, wasStopped: turn.stopping });
  }

  /** While others come first it waits, also where it is heard of them only now. */
  async follow() {
    const { line, leaving } = this.conversation;
    for (;;) {
      await line.until(() => line.first === this);
      this.following = new AbortController();
      const { signal } = this.following;
      try {
        await this.see(AbortSignal.any([signal, leaving.signal]));
        return;
      } catch (error) {
        if (leaving.signal.aborted || !signal.aborted) throw error;
      }
    }
  }

  async see(signal) {
    for await (const event of this.client.events(this.turn.job, signal, this.after)) {
      this.after = event.id;
      if (await this.seen(event)) return;
    }
  }

  /** Another turn comes first. */
  pause() {
    this.following?.abort();
  }

  learnJob(job) {
    if (job === null) return;
    this.conversation.jobs.add(job);
    this.conversation.line.changed();
  }

  /** Whether that was the end. */
  async seen(event) {
    this.live.see(event);
    const { kind, data } = event;
    switch (kind) {
      case "completed":
        await this.complete(data);
        return true;
      case "failed":
        await this.conversation.lookWhetherGone();
        this.giveUp(sentences(t("turn.failed"), inPlainWords(data.error)), true);
        return true;
      case "cancelled":
        await this.conversation.lookWhetherGone();
        this.giveUp(t("turn.cancelled"), false);
        return true;
      default:
        this.show(kind, data);
        return false;
    }
  }

  /** What happens before the end; kinds that are not known are of a newer server. */
  show(kind, data) {
    const { live } = this;
    if (kind !== "queued") this.hasStarted = true;
    switch (kind) {
      case "queued":
        this.place = queuePlace(data);
        this.tellPlace();
        break;
      case "started":
        this.place = null;
        this.say(t("turn.reading"));
        break;
      case "resumed":
        this.say(t("turn.handed_over"));
        break;
      case "reasoning":
        if (!live.bot.thought.isRunning) announce(t("thought.running"));
        live.reasoning(data.text);
        this.writes(t("thought.running"));
        break;
      case "token":
        live.piece(data.text);
        this.writes(t("turn.writing"));
        break;
      case "call":
        live.call(data);
        this.writes(t("turn.writing"));
        break;
    }
  }

  /** Where it waits, or that there is nobody to wait for. */
  tellPlace() {
    if (this.place === null) return;
    const { isManned } = this.conversation;
    this.say(isManned ? this.place : sentences(causeOf({ code: "no_worker" }), t("turn.waits")));
  }

  /** Where the reply will stand, and nowhere else. */
  say(text) {
    this.live.tell(text);
    this.view.status("");
    announce(text.replaceAll("`", ""));
  }

  writes(status) {
    this.live.bot.noted?.remove();
    this.view.status(status);
  }

  async complete(reply) {
    const { conversation, live } = this;
    live.complete(reply);
    this.over();
    conversation.learn(reply, this.turn.body.context);
    const calls = (reply.tool_calls ?? []).map((one) => t("call.said", { call: callLine(one) }));
    announce(sentences(reply.finish_reason === "stopped" && t("turn.stopped"), t("turn.reply", { reply: reply.reply }), ...calls));
    await conversation.settle(live);
  }

  /** It was accepted, and now nobody tells what becomes of it. */
  failed(error) {
    if (error instanceof Problem && error.status === 401) this.view.unauthorized();
    else this.giveUp(describe(error), true);
  }

  giveUp(text, bad) {
    this.over();
    announce(text.replaceAll("`", ""));
    const { prompt = null, replace_from: from = null, context = null } = this.turn.body;
    // It is stored nowhere else: a reload must not take it away.
    if (bad && this.turn.key && prompt !== null && store.draft() === "") store.keepDraft(prompt);
    this.live.giveUp(text, bad, {
      retry: () => {
        if (store.draft() === prompt) store.keepDraft("");
        this.view.again(prompt, context, from);
      },
      edit: () => this.view.edit(prompt, from),
    });
  }

  over() {
    this.conversation.ended(this.turn);
    this.view.status("");
  }

  async stop() {
    const { turn } = this;
    turn.stopping = true;
    if (turn.key) store.keepTurn(turn);
    if (turn.job !== null) await this.enough();
  }

  /** What is written of its reply stays; where nothing is, the turn is cancelled. */
  async enough() {
    await this.client.untilAnswered("POST", `/jobs/${this.turn.job}/stop`);
  }
}

/** Whether a prompt was refused because of the model that was chosen for it. */
function isOfModel(problem, turn) {
  return turn.body.model !== undefined && (problem.code === "no_worker" || problem.code === "model_not_found");
}
