// The messages of one conversation, as they are shown.

import { alternativesBox } from "./alternatives.js";
import { button, element } from "./dom.js";
import { Entry } from "./entry.js";
import { withIcon } from "./icons.js";
import { t } from "./language.js";
import { LiveTurn } from "./live_turn.js";
import { renderAll } from "./markdown.js";

const NEAR_THE_END = 120;

/** Without words where fingers need room: every message has one. */
function pinButton(isPinned, change) {
  const label = t(isPinned ? "message.unpin" : "message.pin");
  const made = button("", change);
  made.className = "pin";
  made.dataset.pinned = isPinned;
  made.setAttribute("aria-label", label);
  made.append(element("span", { textContent: label }));
  return withIcon("pin", made);
}

export class Thread {
  /**
   * @param {HTMLElement} remembered what the line where the view begins offers
   * @param {{retry: (prompt: string, from: number) => void, edit: (prompt: string, from: number) => void,
   *   goOn: () => void, putBack: (id: string, number: number, step: number) => void,
   *   pin: (number: number, isPinned: boolean) => void}} actions
   */
  constructor(client, list, scroller, remembered, actions) {
    Object.assign(this, { client, list, scroller, remembered, actions, hasSeveral: false });
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

  /** Whether this is the last message that is shown; undefined stands for none. */
  endsWith(message) {
    return (message?.number ?? 0) === this.lastNumber && message?.job === this.entries.at(-1)?.job;
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

  /**
   * A turn begins. Only one that is sent from here moves what is being read out of sight.
   * @param {{prompt: string|null, from: number|null, job: string|null, continues: boolean}} asked
   * @param {{isFromHere: boolean, before: LiveTurn|null}} place `before`: the turn that comes next
   */
  begin(asked, { isFromHere, before }) {
    if (isFromHere) this.dropGivenUp();
    const turn = new LiveTurn(this, asked);
    const at = before === null ? this.live.length : this.live.indexOf(before);
    this.live.splice(at, 0, turn);
    this.list.insertBefore(turn.fragment, before?.entries[0].node ?? null);
    // Others may come first, and their messages are part of what it replaces.
    const isNext = this.live.find((one) => !one.isGivenUp) === turn;
    if (isNext && !turn.continues) turn.takePlace();
    this.refresh();
    if (isFromHere) this.toEnd();
    else this.keepAtEnd(() => {});
    return turn;
  }

  /**
   * It was stored. Whether what stands before the newest messages is shown, too.
   * @param page the newest messages, or null where they are not known
   */
  settle(turn, page) {
    this.live = this.live.filter((one) => one !== turn);
    const replaced = this.replaced(turn.replaceFrom);
    for (const one of replaced) one.node.remove();
    this.entries = [...this.entries.filter((one) => !replaced.includes(one)), ...turn.entries];
    for (const one of turn.entries) one.job = turn.job;
    const isJoined = page === null || this.update(page);
    this.hideReplaced();
    this.keepAtEnd(() => this.refresh());
    return isJoined;
  }

  /** Whether nothing is missing between what is shown and these messages. */
  joins({ messages, next }) {
    return next === null || this.entries.some((one) => one.number === messages[0].number - 1);
  }

  /**
   * These are the newest messages, wherever they were sent: what is shown already stays as it is.
   * Whether what stands before them is shown, too.
   */
  update({ messages, next }) {
    const running = new Set(this.live.filter((one) => !one.isGivenUp).map((one) => one.job));
    const ended = messages.filter((one) => !running.has(one.job));
    const isJoined = this.joins({ messages, next });
    const first = isJoined ? messages[0]?.number ?? 1 : 0;
    const before = this.entries.filter((one) => one.number !== null && one.number < first);
    const entries = [...before, ...ended.map((one) => this.entryOf(one))];
    const added = entries.filter((one) => !this.entries.includes(one));
    this.arrange(entries);
    this.hideReplaced();
    this.refresh();
    this.keepAtEnd(() => this.render(added));
    return isJoined;
  }

  /** A message's entry: the one that shows it, or a new one. */
  entryOf(message) {
    const { job, role, content, number, alternatives = null, pinned = false } = message;
    const isIt = (one) => one.job === job && one.role === role && one.content === content && (one.number ?? number) === number;
    const shown = this.entries.find(isIt);
    if (!shown) return new Entry(message);
    shown.pinnedIs(pinned);
    return Object.assign(shown, { number, alternatives });
  }

  /** Show these and no others, in front of what has not ended; nothing moves that is in its place. */
  arrange(entries) {
    for (const one of this.entries) if (!entries.includes(one)) one.node.remove();
    this.border.remove();
    let place = this.list.firstChild;
    for (const { node } of entries) {
      if (node === place) place = place.nextSibling;
      else this.list.insertBefore(node, place);
    }
    this.entries = entries;
  }

  /** What the turns that run replace is out of sight. */
  hideReplaced() {
    const hiding = this.live.filter((one) => one.isInPlace && !one.isGivenUp && one.replaceFrom);
    const from = Math.min(...hiding.map((one) => one.replaceFrom));
    for (const one of this.entries) one.node.hidden = one.number !== null && one.number >= from;
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
    this.live = this.live.filter((one) => one !== turn);
    this.hideReplaced();
    this.refresh();
  }

  /** Show where the bot's view begins: `kept` turns from the end. */
  markWindow(window) {
    this.border.remove();
    if (!window?.turns_dropped) return;
    const prompts = this.entries.filter((one) => one.role === "user");
    const first = prompts[prompts.length - window.turns_kept];
    if (!first) return;
    this.border.replaceChildren(element("span", { textContent: t("messages.turns_above", { count: window.turns_dropped }) }), this.remembered);
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
    const isBusy = this.live.some((turn) => !turn.isGivenUp);
    const pin = this.pinOf(entry);
    // A turn that runs may write the last message anew.
    for (const one of pin) one.disabled = isBusy && entry === this.entries.at(-1);
    if (alternatives === null) return entry.offer(...buttons, ...pin);
    return entry.offer(...buttons, ...pin, alternativesBox(alternatives, isBusy, (id, step) => this.actions.putBack(id, number, step)));
  }

  /** The button that pins a message or takes its pin away: none where it is not stored, or nobody has said it. */
  pinOf(entry) {
    const { number, role, pinned } = entry;
    if (number === null || (role !== "user" && role !== "assistant")) return [];
    if (entry.pinButton?.dataset.pinned !== String(pinned)) {
      entry.pinButton = pinButton(pinned, () => this.actions.pin(entry.number, !pinned));
    }
    return [entry.pinButton];
  }

  /** A message has been pinned, or its pin was taken away: who did it by keyboard goes on there. */
  pinnedIs(number, isPinned) {
    const entry = this.entries.find((one) => one.number === number);
    if (!entry) return;
    const hadFocus = entry.pinButton === document.activeElement;
    this.keepAtEnd(() => {
      entry.pinnedIs(isPinned);
      this.refresh();
    });
    if (hadFocus) entry.pinButton.focus();
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
