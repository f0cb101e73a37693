// What the model remembers of the turns out of view: where the page offers it.

import { button, byId, element } from "./dom.js";
import { t } from "./language.js";
import { MemoryDialog } from "./memory_dialog.js";

export class MemoryView {
  /** @param {(mode: "fifo"|"summary"|null) => void} choose called when another way is chosen; null: the server's own */
  constructor(client, choose) {
    Object.assign(this, { client, id: null, isKnown: false });
    this.dialog = new MemoryDialog(client, (memory) => this.show(memory));
    /** For the line where the view begins. */
    this.opener = element("span");
    byId("memory").addEventListener("click", () => this.dialog.open());
    this.mode = byId("memory-mode");
    this.mode.addEventListener("change", () => choose(this.mode.value || null));
    this.show(null);
  }

  /**
   * Another conversation may be open. One whose turns are all in view has nothing to remember.
   * @param {{id: number|null, window: {turns_dropped: number}|null, memory: string|null}} conversation
   */
  choose({ id, window, memory }) {
    this.mode.value = memory ?? "";
    if (id !== this.id) {
      this.id = id;
      this.isKnown = false;
      this.dialog.choose(id);
      this.show(null);
    }
    if (this.isKnown || !window?.turns_dropped) return;
    this.isKnown = true;
    this.look();
  }

  /** Something may have changed on the server: the way of remembering, or what is remembered. */
  changed(id) {
    if (id === this.id && this.isKnown) this.look();
  }

  async look() {
    const { id } = this;
    try {
      const memory = await this.client.json("GET", `/conversations/${id}/memory`);
      if (id !== this.id) return;
      this.show(memory);
      this.dialog.learn(memory);
    } catch {
      // It is asked for again with the next change. What was offered says itself that the server is away.
    }
  }

  /** @param memory as the server has it; null where nothing is known */
  show(memory) {
    const isOffered = memory?.memory === "summary";
    byId("memory").hidden = !isOffered;
    if (isOffered === this.opener.hasChildNodes()) return;
    this.opener.replaceChildren(...(isOffered ? [button(t("memory.title"), () => this.dialog.open())] : []));
  }
}
