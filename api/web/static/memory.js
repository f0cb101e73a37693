// What becomes of turns that leave the view: choosing it, and opening what is remembered of them.

import { Problem } from "./client.js";
import { button, byId, element } from "./dom.js";
import { t } from "./language.js";
import { MemoryDialog } from "./memory_dialog.js";

export class MemoryView {
  /** @param {(mode: "fifo"|"summary"|null) => void} choose called when another way is chosen; null: the server's own */
  constructor(client, choose) {
    Object.assign(this, { client, id: null, looked: undefined, mode: byId("memory-mode") });
    this.dialog = new MemoryDialog(client);
    /** For the line where the view begins. */
    this.opener = element("span");
    byId("memory").addEventListener("click", () => this.dialog.open());
    this.mode.addEventListener("change", () => choose(this.mode.value || null));
    this.offer(false);
  }

  /**
   * Another conversation may be open, or another way chosen. Where all turns are in view there is nothing to remember.
   * @param {{id: number|null, window: {turns_dropped: number}|null, memory: string|null}} conversation
   */
  show({ id, window, memory }) {
    this.mode.value = memory ?? "";
    if (id !== this.id) {
      Object.assign(this, { id, looked: undefined });
      this.dialog.choose(id);
      this.offer(false);
    }
    if (!window?.turns_dropped || memory === this.looked) return;
    this.looked = memory;
    this.look();
  }

  /** Something of a conversation has changed on the server. */
  async changed(id) {
    if (id === this.id && this.dialog.isOpen) await this.look();
  }

  /** Only the server knows what its own way is. */
  async look() {
    const { id } = this;
    try {
      const memory = await this.client.untilAnswered("GET", `/conversations/${id}/memory`);
      if (id !== this.id) return;
      this.offer(memory.memory === "summary");
      this.dialog.learn(memory);
    } catch (error) {
      // An older server has none; what else is wrong is told by whatever is tried next.
      if (!(error instanceof Problem)) throw error;
    }
  }

  offer(isOffered) {
    byId("memory").hidden = !isOffered;
    if (isOffered === this.opener.hasChildNodes()) return;
    this.opener.replaceChildren(...(isOffered ? [button(t("memory.title"), () => this.dialog.open())] : []));
  }
}
