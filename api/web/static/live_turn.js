// A turn that has not ended, as it is shown: its prompt, and its reply as it comes.

import { callBox } from "./calls.js";
import { button } from "./dom.js";
import { ENDS, Entry } from "./entry.js";
import { EachFrame } from "./frames.js";
import { withIcon } from "./icons.js";
import { t } from "./language.js";
import { Growing, renderAll } from "./markdown.js";
import { showPrompt } from "./prompt_view.js";

export class LiveTurn {
  /**
   * @param {{prompt: string|null, from: number|null, job: string|null, continues: boolean}} asked
   *   `continues`: it goes on with the last reply, and its prompt stands already
   */
  constructor(thread, { prompt, from, job, continues }) {
    Object.assign(this, { thread, prompt, job, continues, isGivenUp: false });
    /** The number of the first message in whose place it comes; null: it is new, or not known yet. */
    this.replaceFrom = from;
    this.isInPlace = false;
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

  get fragment() {
    const fragment = new DocumentFragment();
    fragment.append(...this.entries.map((one) => one.node));
    return fragment;
  }

  /** It stands in the place of what it replaces, which is out of sight from now on. */
  takePlace() {
    if (this.isInPlace) return;
    this.isInPlace = true;
    // Which reply it goes on with is known once the turns before it have ended.
    if (this.continues) this.replaceFrom = this.thread.lastNumber;
    this.thread.hideReplaced();
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
      this.takePlace();
      if (thought) this.bot.thought.add(thought);
      if (text) this.growing.add(text);
    });
  }

  /** A call is whole when it comes. */
  call(call) {
    this.showing.now();
    this.thread.keepAtEnd(() => {
      this.takePlace();
      this.bot.calls.append(callBox(call));
    });
  }

  /** Any event of the reply: what comes after a thought ends it. */
  see(event) {
    const { thought } = this.bot;
    if (event.kind === "started" && !this.continues) this.takePlace();
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
    this.thread.hideReplaced();
    this.thread.keepAtEnd(() => {});
  }

  complete(reply) {
    this.over();
    this.takePlace();
    this.user.content = this.prompt ?? reply.prompt;
    showPrompt(this.user.text, this.user.content);
    this.bot.content = reply.reply;
    this.bot.end = reply.finish_reason;
    // Whole at once: what was streamed may be only its beginning.
    if (this.growing.text !== reply.reply) this.bot.text.textContent = reply.reply;
    this.bot.thought.complete(reply.reasoning ?? "", reply.usage.completion_tokens_details?.reasoning_tokens ?? null);
    this.bot.showCalls(reply.tool_calls);
    this.bot.writtenBy(reply.model ?? null);
    if (reply.memory) this.bot.remembered(reply.memory, reply.id);
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
