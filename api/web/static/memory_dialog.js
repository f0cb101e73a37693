// The summary of the turns out of view: what it says, what it stands for, correcting and deleting it.

import { byId } from "./dom.js";
import { date, sentences, t } from "./language.js";
import { describe } from "./plain.js";

export class MemoryDialog {
  /** @param {(memory: object) => void} changed called with what the server has now */
  constructor(client, changed) {
    Object.assign(this, { client, changed, id: null, memory: null, dialog: byId("memory-dialog"), summary: byId("memory-summary") });
    byId("memory-keep").addEventListener("click", () => this.keep());
    byId("memory-delete").addEventListener("click", () => this.delete());
    byId("memory-close").addEventListener("click", () => this.dialog.close());
  }

  /** Another conversation is open. */
  choose(id) {
    this.dialog.close();
    this.id = id;
  }

  get path() {
    return `/conversations/${this.id}/memory`;
  }

  async open() {
    this.show(null);
    this.say("");
    this.dialog.showModal();
    await this.act(async () => this.show(await this.client.untilAnswered("GET", this.path)));
  }

  /** A worker, or somebody elsewhere, may have changed it; what is being written here stays. */
  learn(memory) {
    if (!this.dialog.open || this.memory === null) return;
    const isOther = textOf(memory) !== textOf(this.memory);
    const isWritten = this.summary.value !== textOf(this.memory);
    if (isOther && isWritten) this.say(t("memory.changed"));
    this.show(memory, { isWritten });
  }

  async keep() {
    await this.act(async () => {
      const memory = await this.client.untilAnswered("PATCH", this.path, { body: { summary: this.summary.value } });
      this.show(memory);
      this.changed(memory);
      this.say(t("memory.kept"));
    });
  }

  async delete() {
    await this.act(async () => {
      await this.client.untilAnswered("DELETE", this.path);
      const memory = await this.client.untilAnswered("GET", this.path);
      this.show(memory);
      this.changed(memory);
      this.say(t("memory.deleted"));
      this.summary.focus();
    });
  }

  /** What goes wrong is said in the dialog, which hides everything else. */
  async act(action) {
    const { id } = this;
    try {
      await action();
    } catch (error) {
      if (id === this.id) this.say(describe(error));
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
