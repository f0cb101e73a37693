// Where prompts are written.

import { byId } from "./dom.js";
import * as store from "./store.js";

export class Composer {
  /** @param {{send: (prompt: string, replaceFrom: number|null) => void, stop: () => void}} actions */
  constructor(actions) {
    this.actions = actions;
    this.prompt = byId("prompt");
    this.persona = byId("persona");
    this.editing = null;
    this.isBusy = false;
    this.prompt.value = store.draft();
    this.prompt.addEventListener("input", () => this.typed());
    this.prompt.addEventListener("keydown", (event) => this.pressed(event));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    byId("stop").addEventListener("click", () => this.actions.stop());
    byId("cancel-edit").addEventListener("click", () => this.toDraft());
    this.typed();
  }

  /** What the persona says, or null where the server's own is wanted. */
  get context() {
    return this.persona.value.trim() || null;
  }

  show(context) {
    this.persona.value = context ?? "";
  }

  typed() {
    // As high as its text, up to what the style allows.
    this.prompt.style.height = "auto";
    this.prompt.style.height = `${this.prompt.scrollHeight + 2}px`;
    // A text that replaces another one can be had again by editing that.
    if (!this.editing?.replaceFrom) store.keepDraft(this.prompt.value);
    byId("send").disabled = this.prompt.value.trim() === "";
  }

  pressed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape" && this.isBusy) {
      this.actions.stop();
    } else if (event.key === "Escape" && this.editing !== null) {
      this.toDraft();
    }
  }

  send() {
    const prompt = this.prompt.value.trim();
    if (prompt === "" || this.isBusy) return;
    const from = this.editing?.replaceFrom ?? null;
    if (from === null) store.keepDraft("");
    this.toDraft();
    this.actions.send(prompt, from);
  }

  /** Show what was being written before something else was edited. */
  toDraft() {
    this.edit(store.draft(), null);
  }

  /** Begin with a text; `editing` tells what it will replace: `{replaceFrom}`. */
  edit(text, editing) {
    this.editing = editing;
    byId("editing").hidden = !editing?.replaceFrom;
    this.prompt.value = text;
    this.typed();
    // On a touch screen a keyboard would cover half of what there is to read.
    if (editing !== null || matchMedia("(hover: hover)").matches) this.prompt.focus();
  }

  /** Whether something may be sent, and whether there is something to stop. */
  busy(isBusy, canStop) {
    this.isBusy = isBusy;
    const hadFocus = byId("stop").contains(document.activeElement);
    byId("send").hidden = canStop;
    byId("stop").hidden = !canStop;
    if (hadFocus && !canStop) this.prompt.focus();
  }
}
