// Where prompts are written.

import { partsOf, promptWith } from "./attached.js";
import { Attachments } from "./attachments.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import * as store from "./store.js";

/** Their Enter has no Shift to begin a line with, and their keyboard hides half the page. */
const TOUCH = matchMedia("(pointer: coarse)");

export class Composer {
  /**
   * @param {{send: (prompt: string, replaceFrom: number|null) => void, stop: () => void,
   *   persona: (context: string|null) => void,
   *   tooLong: (prompt: string, signal: AbortSignal) => Promise<string|null>}} actions `tooLong` says why, or null
   */
  constructor(actions) {
    this.actions = actions;
    this.prompt = byId("prompt");
    this.persona = byId("persona");
    this.editing = null;
    this.isBusy = false;
    this.counting = null;
    this.attachments = new Attachments(() => this.typed());
    this.put(store.draft());
    this.prompt.addEventListener("input", () => this.typed());
    this.persona.addEventListener("input", () => this.actions.persona(this.context));
    this.prompt.addEventListener("keydown", (event) => this.pressed(event));
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    byId("stop").addEventListener("click", () => this.actions.stop());
    byId("cancel-edit").addEventListener("click", () => this.toDraft());
    TOUCH.addEventListener("change", () => this.explainKeys());
    this.explainKeys();
    this.typed();
  }

  /** What Enter does, in words and for the label of an on-screen keyboard's key. */
  explainKeys() {
    this.prompt.enterKeyHint = TOUCH.matches ? "enter" : "send";
    this.prompt.placeholder = t(TOUCH.matches ? "prompt.placeholder" : "prompt.placeholder_keys");
  }

  /** What the persona says, or null where the server's own is wanted. */
  get context() {
    return this.persona.value.trim() || null;
  }

  show(context) {
    this.persona.value = context ?? "";
    this.actions.persona(this.context);
  }

  /** The prompt so far: what is written, and the attached files. */
  get written() {
    return promptWith(this.prompt.value, this.attachments.files);
  }

  put(prompt) {
    const { text, files } = partsOf(prompt);
    this.prompt.value = text;
    this.attachments.show(files);
  }

  typed() {
    // As high as its text, up to what the style allows.
    this.prompt.style.height = "auto";
    this.prompt.style.height = `${this.prompt.scrollHeight + 2}px`;
    // A text that replaces another one can be had again by editing that.
    const { files } = this.attachments;
    if (!this.editing?.replaceFrom) store.keepDraftOf(this.prompt.value, files);
    byId("send").disabled = files.length === 0 && this.prompt.value.trim() === "";
  }

  pressed(event) {
    if (sends(event) && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape" && this.counting !== null) {
      this.counting.abort();
    } else if (event.key === "Escape" && this.isBusy) {
      this.actions.stop();
    } else if (event.key === "Escape" && this.editing !== null) {
      this.toDraft();
    }
  }

  async send() {
    const prompt = this.written.trim();
    if (prompt === "" || this.isBusy || this.counting !== null) return;
    if (this.attachments.files.length > 0 && !await this.fits(prompt)) return;
    const from = this.editing?.replaceFrom ?? null;
    if (from === null) store.keepDraft("");
    this.toDraft();
    this.actions.send(prompt, from);
  }

  /** Whether it can be sent: it is not too long, and nobody has gone elsewhere meanwhile. */
  async fits(prompt) {
    const counting = new AbortController();
    this.count(counting);
    const reason = await this.actions.tooLong(prompt, counting.signal).catch(() => "");
    this.count(null);
    if (counting.signal.aborted || this.isBusy) return false;
    this.attachments.say(reason ?? "");
    return reason === null;
  }

  /** While tokens are counted nothing is changed: what is counted is what is sent. */
  count(counting) {
    this.counting = counting;
    this.prompt.readOnly = this.attachments.isLocked = counting !== null;
    this.attachments.say(counting === null ? "" : t("prompt.counting"));
  }

  /** Show what was being written before something else was edited. */
  toDraft() {
    this.edit(store.draft(), null);
  }

  /** Begin with a text; `editing` tells what it will replace: `{replaceFrom}`. */
  edit(text, editing) {
    this.counting?.abort();
    this.editing = editing;
    byId("editing").hidden = !editing?.replaceFrom;
    this.put(text);
    this.typed();
    if (editing !== null || !TOUCH.matches) this.prompt.focus();
  }

  /** There is something to read: on a touch screen the keyboard goes, or stays away. */
  rest() {
    if (TOUCH.matches) this.prompt.blur();
    else this.prompt.focus();
  }

  /** Whether something may be sent, and whether there is something to stop. */
  busy(isBusy, canStop) {
    this.isBusy = isBusy;
    // A button that is not there any more would take the focus with it.
    const hadFocus = byId(canStop ? "send" : "stop").contains(document.activeElement);
    byId("send").hidden = canStop;
    byId("stop").hidden = !canStop;
    if (hadFocus) this.rest();
  }
}

/** With Ctrl or Command Enter sends on every keyboard. */
function sends({ key, shiftKey, ctrlKey, metaKey }) {
  if (key !== "Enter") return false;
  return ctrlKey || metaKey || !(shiftKey || TOUCH.matches);
}
