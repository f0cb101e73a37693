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
    byId("cancel-edit").addEventListener("click", () => this.edit("", null));
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
    if (this.editing === null) store.keepDraft(this.prompt.value);
    byId("send").disabled = this.prompt.value.trim() === "";
  }

  pressed(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape" && this.isBusy) {
      this.actions.stop();
    } else if (event.key === "Escape" && this.editing !== null) {
      this.edit("", null);
    }
  }

  send() {
    const prompt = this.prompt.value.trim();
    if (prompt === "" || this.isBusy) return;
    const from = this.editing;
    this.edit("", null);
    this.actions.send(prompt, from?.replaceFrom ?? null);
  }

  /** Begin with a text; `editing` tells what it will replace. */
  edit(text, editing) {
    this.editing = editing;
    byId("editing").hidden = editing === null;
    this.prompt.value = text;
    this.typed();
    // On a touch screen a keyboard would cover half of what there is to read.
    if (editing !== null || matchMedia("(hover: hover)").matches) this.prompt.focus();
  }

  busy(isBusy) {
    this.isBusy = isBusy;
    byId("send").hidden = isBusy;
    byId("stop").hidden = !isBusy;
  }
}
