// One message, as it is shown.

import { callBox, resultBox } from "./calls.js";
import { copyButton, element, withCode } from "./dom.js";
import { withIcon } from "./icons.js";
import { t } from "./language.js";
import { receiptLine } from "./memory_receipt.js";
import { showPrompt } from "./prompt_view.js";
import { Thought } from "./thought.js";

const WHO = { system: t("who.instructions"), user: t("who.user"), assistant: t("who.bot"), tool: t("who.tool") };

/** Ends of a reply that are worth a note. */
export const ENDS = {
  length: t("end.length"),
  stopped: t("end.stopped"),
  tool_calls: t("end.calls"),
};

/** One message. `number` is null as long as it is not stored. */
export class Entry {
  constructor(message) {
    const { role, content, number = null, job = null, alternatives = null, pinned = false, reasoning = "", tool_calls: calls = [], model = null, finish_reason: end } = message;
    Object.assign(this, { role, content, number, job, alternatives, end });
    this.text = element("div", { className: "text", textContent: role === "tool" ? "" : content });
    if (role === "tool") this.text.append(resultBox(message));
    if (role === "user") showPrompt(this.text, content);
    this.thought = new Thought(reasoning ?? "");
    this.calls = element("div", { className: "calls" });
    this.showCalls(calls);
    this.actions = element("div", { className: "actions" });
    /** What is beside copying; null while there is nothing at all. */
    this.controls = null;
    this.pinMark = element("p", { className: "pin-mark" }, withIcon("pin", element("span", { textContent: t("message.is_pinned") })));
    const who = element("span", { className: "visually-hidden", textContent: t("who.says", { who: WHO[role] ?? role }) });
    this.by = element("p", { className: "by" });
    this.writtenBy(model);
    const shown = role === "assistant" ? [this.thought.node, this.text, this.calls, this.by] : [this.text];
    this.node = element("li", { className: `message ${role}` }, who, ...shown, this.pinMark, this.actions);
    this.pinnedIs(pinned);
    // What calls give has come meanwhile, or a later prompt did without it.
    if (ENDS[end] && end !== "tool_calls") this.note(ENDS[end]);
  }

  /** Whether a reply can be gone on with. */
  get isCut() {
    return this.role === "assistant" && (this.end === "length" || this.end === "stopped");
  }

  /** Which model; shown where there are several. */
  writtenBy(model) {
    this.model = model;
    const label = element("span", { className: "visually-hidden", textContent: t("who.model") });
    this.by.replaceChildren(...(model ? [label, model] : []));
    this.by.hidden = !model;
  }

  /** @param memory what its model saw of earlier messages, as the reply's receipt has it; `id` of the conversation */
  remembered(memory, id) {
    this.memory?.remove();
    this.memory = receiptLine(memory, id);
    this.by.after(this.memory);
  }

  pinnedIs(isPinned) {
    this.pinned = isPinned;
    this.pinMark.hidden = !isPinned;
  }

  showCalls(calls) {
    this.calls.replaceChildren(...(calls ?? []).map(callBox));
  }

  /** What can be done with it, beside copying. Most of many messages stay as they are. */
  offer(...controls) {
    if (controls.length === this.controls?.length && controls.every((one, place) => one === this.controls[place])) return;
    this.controls = controls;
    this.actions.replaceChildren(withIcon("copy", copyButton(() => this.content)), ...controls);
  }

  note(text, bad = false) {
    this.noted?.remove();
    this.noted = element("p", { className: bad ? "note bad" : "note" }, ...withCode(text));
    this.actions.before(this.noted);
  }
}
