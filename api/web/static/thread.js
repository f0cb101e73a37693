// The messages of one conversation, as they are shown.

import { alternativesBox } from "./alternatives.js";
import { callBox } from "./calls.js";
import { button, element } from "./dom.js";
import { ENDS, Entry } from "./entry.js";
import { EachFrame } from "./frames.js";
import { withIcon } from "./icons.js";
import { t } from "./language.js";
import { Growing, renderAll } from "./markdown.js";
import { showPrompt } from "./prompt_view.js";

const NEAR_THE_END = 120;

/** A turn that has not ended: its prompt, and its reply as it comes. */
export class LiveTurn {
  /** @param {boolean} continues whether it goes on with the last reply: then its prompt stands already */
  constructor(thread, prompt, replaceFrom, job, continues) {
    Object.assign(this, { thread, replaceFrom, job, continues });
    this.prompt = prompt;
    this.user = new Entry({ role: "user", content: prompt ?? t("messages.from_elsewhere") });
    this.bot = new Entry({ role: "assistant", content: "" });
    this.bot.node.classList.add("writing");
    this.growing = new Growing(thread.client, this.bot.text);
    /** What has come and is not shown yet. */
    this.coming = { text: "", thought: "" };
    this.showing = new EachFrame(() => this.showComing());
  }

  get entries() {
    return this.continues ? [this.bot] : [this.user, this.bot];
  }

  piece(text) {
    this.bot.content += text;
    this.coming.text += text;
    this.showing.soon();
  }

  reasoning(text) {
    this.coming.thought += text;
    this.showing.soon();
    // From its first word on it is known that a thought runs.
    if (!this.bot.thought.isRunning) this.showing.now();
  }

  showComing() {
    const { text, thought } = this.coming;
    this.coming = { text: "", thought: "" };
    this.thread.keepAtEnd(() => {
      if (thought) this.bot.thought.add(thought);
      if (text) this.growing.add(text);
    });
  }

  /** A call is whole when it comes. */
  call(call) {
    this.showing.now();
    this.thread.keepAtEnd(() => this.bot.calls.append(callBox(call)));
  }

  /** Any event of the reply: what comes after a thought ends it. */
  see(event) {
    const { thought } = this.bot;
    thought.watch.see(event);
    if (event.kind !== "reasoning" && this.coming.thought) this.showing.now();
    if (thought.isRunning && (event.kind === "token" || event.kind === "call")) thought.close();
  }

  tell(text) {
    this.thread.keepAtEnd(() => this.bot.note(text));
  }

  /** Nothing of it was stored; it can be tried again. */
  giveUp(text, bad, { retry, edit }) {
    this.over();
    this.isGivenUp = true;
    this.bot.node.classList.add("given-up");
    this.bot.note(text, bad);
    if (this.prompt !== null) this.bot.offer(withIcon("retry", button(t("retry"), retry)), withIcon("edit", button(t("edit"), edit)));
    this.thread.restore(this.replaceFrom);
    this.thread.keepAtEnd(() => {});
  }

  complete(reply) {
    this.over();
    this.user.content = this.prompt ?? reply.prompt;
    showPrompt(this.user.text, this.user.content);
    this.bot.content = reply.reply;
    this.bot.end = reply.finish_reason;
    // Whole at once: what was streamed may be only its beginning.
    if (this.growing.text !== reply.reply) this.bot.text.textContent = reply.reply;
    this.bot.thought.complete(reply.reasoning ?? "", reply.usage.completion_tokens_details?.reasoning_tokens ?? null);
    this.bot.showCalls(reply.tool_calls);
    this.bot.writtenBy(reply.model ?? null);
    this.bot.noted?.remove();
    if (ENDS[reply.finish_reason]) this.bot.note(ENDS[reply.finish_reason]);
    this.thread.keepAtEnd(() => renderAll(this.thread.client, [[this.bot.text, reply.reply]]));
  }

  over() {
    this.showing.now();
    this.bot.node.classList.remove("writing");
    if (this.bot.thought.isRunning) this.bot.thought.close();
  }
}

export class Thread {
  /**
   * @param {{retry: (prompt: string, from: number) => void, edit: (prompt: string, from: number) => void,
   *   goOn: () => void, putBack: (id: string, number: number, step: number) => void}} actions
   */
  constructor(client, list, scroller, actions) {
    Object.assign(this, { client, list, scroller, actions, hasSeveral: false });
    this.isAtEnd = true;
    this.top = 0;
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    // Whoever reads the newest words goes on reading them when a keyboard takes half of the page, and
    // when messages turn out to be higher than they were taken for.
    const observer = new ResizeObserver(() => this.keepAtEnd(() => {}));
    for (const one of [scroller, list]) observer.observe(one);
    this.reset([]);
  }

  /** Whether several models are served: then it is told which one wrote what; also where several did. */
  nameModels(hasSeveral) {
    this.hasSeveral = hasSeveral;
    const writers = new Set(this.entries.map((one) => one.model).filter(Boolean));
    this.list.classList.toggle("several", hasSeveral || writers.size > 1);
  }

  /** Show these messages and no others. */
  reset(messages) {
    this.entries = messages.map((one) => new Entry(one));
    this.live = [];
    this.border = element("li", { className: "border" });
    this.list.replaceChildren(...this.entries.map((one) => one.node));
    this.refresh();
    this.toEnd();
    this.keepAtEnd(() => this.render(this.entries));
  }

  /** The number of the last stored message that is shown, or 0. */
  get lastNumber() {
    return this.entries.at(-1)?.number ?? 0;
  }

  /** Show the messages before those that are there, which stay where they are. */
  prepend(messages) {
    const earlier = messages.map((one) => new Entry(one));
    const below = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.list.prepend(...earlier.map((one) => one.node));
    this.entries.unshift(...earlier);
    for (const one of earlier) this.offer(one);
    this.nameModels(this.hasSeveral);
    this.isAtEnd = false;
    this.scroller.scrollTop = this.scroller.scrollHeight - below;
    this.render(earlier);
  }

  render(entries) {
    const replies = entries.filter((one) => one.role === "assistant");
    return renderAll(this.client, replies.map((one) => [one.text, one.content]));
  }

  /** Whether a job's messages, or its turn, are shown; `except` is not looked at. */
  has(job, except = null) {
    return [...this.entries, ...this.live].some((one) => one !== except && one.job === job);
  }

  /** A turn begins; what it replaces is out of sight, for good if it completes. One that continues replaces the last reply. */
  begin(prompt, from, job, continues = false) {
    this.dropGivenUp();
    const replaceFrom = continues ? this.lastNumber : from;
    for (const one of this.replaced(replaceFrom)) one.node.hidden = true;
    const turn = new LiveTurn(this, prompt, replaceFrom, job, continues);
    this.live.push(turn);
    this.list.append(...turn.entries.map((one) => one.node));
    this.refresh();
    this.toEnd();
    return turn;
  }

  /** It was stored; `messages` are the newest ones. */
  settle(turn, messages) {
    const first = messages.find((one) => one.job === turn.job);
    const replaced = this.replaced(first?.number ?? turn.replaceFrom);
    for (const one of replaced) one.node.remove();
    this.entries = this.entries.filter((one) => !replaced.includes(one));
    for (const entry of turn.entries) {
      const stored = messages.find((one) => one.job === turn.job && one.role === entry.role);
      Object.assign(entry, { number: stored?.number ?? null, job: turn.job, alternatives: stored?.alternatives ?? null });
    }
    this.entries.push(...this.prompting(turn, messages), turn.bot);
    this.live = this.live.filter((one) => one !== turn);
    this.keepAtEnd(() => this.refresh());
  }

  /** The entries before a turn's reply: its prompt, or what tools gave instead of one. */
  prompting(turn, messages) {
    if (turn.continues) return [];
    const results = messages.filter((one) => one.job === turn.job && one.role === "tool");
    if (results.length === 0 || turn.user.number !== null) return [turn.user];
    const entries = results.map((one) => new Entry(one));
    turn.user.node.replaceWith(...entries.map((one) => one.node));
    return entries;
  }

  restore(replaceFrom) {
    for (const one of this.replaced(replaceFrom)) one.node.hidden = false;
  }

  replaced(from) {
    return from ? this.entries.filter((one) => one.number !== null && one.number >= from) : [];
  }

  dropGivenUp() {
    for (const turn of this.live.filter((one) => one.isGivenUp)) this.drop(turn);
  }

  /** As if it had never begun. */
  drop(turn) {
    for (const one of turn.entries) one.node.remove();
    this.restore(turn.replaceFrom);
    this.live = this.live.filter((one) => one !== turn);
    this.refresh();
  }

  /** Show where the bot's view begins: `kept` turns from the end. */
  markWindow(window) {
    this.border.remove();
    if (!window?.turns_dropped) return;
    const prompts = this.entries.filter((one) => one.role === "user");
    const first = prompts[prompts.length - window.turns_kept];
    if (!first) return;
    this.border.textContent = t("messages.turns_above", { count: window.turns_dropped });
    first.node.before(this.border);
  }

  /** Who may do what with which message. */
  refresh() {
    this.nameModels(this.hasSeveral);
    for (const one of this.entries) this.offer(one);
    const prompt = this.entries.findLast((one) => one.role === "user" && one.number !== null);
    const reply = this.entries.at(-1);
    if (this.live.length > 0 || !prompt) return;
    this.offer(prompt, withIcon("edit", button(t("edit"), () => this.actions.edit(prompt.content, prompt.number))));
    // Behind a tool's result the prompt alone would not bring the same question about.
    const buttons = reply.isCut ? [withIcon("continue", button(t("continue"), () => this.actions.goOn()))] : [];
    if (reply.role === "assistant" && this.entries.at(-2)?.role !== "tool") buttons.push(withIcon("retry", button(t("retry"), () => this.actions.retry(prompt.content, prompt.number))));
    if (buttons.length > 0) this.offer(reply, ...buttons);
  }

  /** What can be done with a message; where it has alternatives, also to choose another one. */
  offer(entry, ...buttons) {
    const { alternatives, number } = entry;
    if (alternatives === null) return entry.offer(...buttons);
    const isBusy = this.live.some((turn) => !turn.isGivenUp);
    return entry.offer(...buttons, alternativesBox(alternatives, isBusy, (id, step) => this.actions.putBack(id, number, step)));
  }

  /** Go on with the keyboard where one has chosen an alternative. */
  focusAlternatives(number, step) {
    const arrows = this.entries.find((one) => one.number === number)?.actions.querySelectorAll(".alternatives button:not(:disabled)");
    const [first, last] = arrows ?? [];
    (step > 0 ? last ?? first : first)?.focus();
  }

  /** Bring a stored message into view, with the focus on it; nothing happens where it is gone. */
  lookAt(number) {
    const entry = this.entries.find((one) => one.number === number);
    if (!entry) return;
    this.isAtEnd = false;
    entry.node.tabIndex = -1;
    entry.node.focus({ preventScroll: true });
    entry.node.scrollIntoView({ block: "start" });
  }

  /** Change something; who was at the end, and has not scrolled away meanwhile, stays there. */
  async keepAtEnd(change) {
    await change();
    if (this.isAtEnd) this.toEnd();
  }

  /** Only who scrolls up has left the end: what grows below has not moved anybody. */
  scrolled() {
    const { scrollTop } = this.scroller;
    if (this.isNearEnd()) this.isAtEnd = true;
    else if (scrollTop < this.top) this.isAtEnd = false;
    this.top = scrollTop;
  }

  isNearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
  }

  toEnd() {
    this.isAtEnd = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
