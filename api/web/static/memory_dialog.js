// The summary of the turns out of view: what it says, what it stands for, correcting and deleting it.

import { byId } from "./dom.js";
import { date, sentences, t } from "./language.js";
import { describe } from "./plain.js";

export class MemoryDialog {
  constructor(client) {
    Object.assign(this, { client, id: null, memory: null, leaving: new AbortController(), dialog: byId("memory-dialog"), summary: byId("memory-summary") });
    byId("memory-keep").addEventListener("click", () => this.keep());
    byId("memory-delete").addEventListener("click", () => this.delete());
    byId("memory-close").addEventListener("click", () => this.dialog.close());
  }

  /** Another conversation is open: what is on its way is not about it. */
  choose(id) {
    this.dialog.close();
    this.leaving.abort(new DOMException("another conversation is open", "AbortError"));
    Object.assign(this, { id, leaving: new AbortController() });
  }

  get isOpen() {
    return this.dialog.open;
  }

  ask(method, body) {
    return this.client.untilAnswered(method, `/conversations/${this.id}/memory`, { body, signal: this.leaving.signal });
  }

  async open() {
    this.show(null);
    this.say("");
    this.dialog.showModal();
    await this.act(async () => this.show(await this.ask("GET")));
  }

  /** A worker, or somebody elsewhere, may have changed it; what is being written here stays. */
  learn(memory) {
    if (!this.isOpen || this.memory === null) return;
    const isOther = textOf(memory) !== textOf(this.memory);
    const isWritten = ![textOf(this.memory), textOf(memory)].includes(this.summary.value);
    if (isOther && isWritten) this.say(t("memory.changed"));
    this.show(memory, { isWritten });
  }

  async keep() {
    await this.act(async () => {
      this.show(await this.ask("PATCH", { summary: this.summary.value }));
      this.say(t("memory.kept"));
    });
  }

  async delete() {
    await this.act(async () => {
      await this.ask("DELETE");
      this.show(await this.ask("GET"));
      this.say(t("memory.deleted"));
      this.summary.focus();
    });
  }

  /** What goes wrong is said in the dialog, which hides everything else. */
  async act(action) {
    try {
      await action();
    } catch (error) {
      if (error.name !== "AbortError") this.say(describe(error));
    }
  }

  say(text) {
    byId("memory-status").textContent = text;
  }

  /** @param memory as the server has it; null while that is not known */
  show(memory, { isWritten = false } = {}) {
    this.memory = memory;
    byId("memory-facts").textContent = memory === null ? "" : factsOf(memory);
    if (!isWritten) this.summary.value = textOf(memory);
    this.summary.disabled = byId("memory-keep").disabled = memory === null;
    byId("memory-delete").hidden = !memory?.summary;
  }
}

function textOf(memory) {
  return memory?.summary?.text ?? "";
}

/** What it stands for, who wrote it, and whether it will be made anew. */
function factsOf({ summary, due }) {
  if (summary === null) return sentences(t("memory.none"), due && t("memory.soon"));
  const { turns: count, first, last, model, made_at: at } = summary;
  const time = date(new Date(at));
  return sentences(
    t("memory.stands_for", { count, first, last }),
    model === null ? t("memory.corrected", { time }) : t("memory.written", { model, time }),
    due && t("memory.due"),
  );
}
