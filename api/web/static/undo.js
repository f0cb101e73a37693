// A notice that something will be done, and a while to take it back.

import { announce, byId } from "./dom.js";
import { sentences, t } from "./language.js";

const SHOWN_MS = 8000;

export class UndoNotice {
  constructor() {
    this.box = byId("undo");
    this.pending = null;
    byId("undo-button").addEventListener("click", () => this.end(false));
    byId("undo-close").addEventListener("click", () => this.end(true));
    // Nobody who is about to take it back is hurried.
    for (const name of ["pointerenter", "focusin"]) this.box.addEventListener(name, () => clearTimeout(this.timer));
    for (const name of ["pointerleave", "focusout"]) this.box.addEventListener(name, () => this.wait());
    addEventListener("pagehide", () => this.end(true));
  }

  /**
   * Show it. A notice that is there goes first, and what it is about is done.
   * @param {{text: string, done: () => void, undone: () => void}} pending
   */
  show(pending, takesFocus) {
    this.end(true);
    this.pending = pending;
    byId("undo-text").textContent = pending.text;
    this.box.hidden = false;
    announce(sentences(pending.text, t("undo.said")));
    this.wait();
    if (takesFocus) byId("undo-button").focus();
  }

  wait() {
    clearTimeout(this.timer);
    if (this.pending !== null) this.timer = setTimeout(() => this.end(true), SHOWN_MS);
  }

  end(isDone) {
    clearTimeout(this.timer);
    const { pending } = this;
    this.pending = null;
    if (pending === null) return;
    const hadFocus = this.box.contains(document.activeElement);
    this.box.hidden = true;
    if (hadFocus) byId("new-chat").focus();
    if (isDone) pending.done();
    else pending.undone();
  }
}
