// The dialog that shows how an import or an export gets on, and can end it.

import { byId, element, withCode } from "./dom.js";
import { sentences, t } from "./language.js";
import { describe } from "./plain.js";

/** More would not be read. */
const MOST_PROBLEMS = 50;

export class TransferDialog {
  constructor() {
    this.dialog = byId("transfer");
    this.bar = byId("transfer-progress");
    this.leaving = null;
    byId("transfer-close").addEventListener("click", () => this.dialog.close());
    // Escape and the browser's Back close it, too.
    this.dialog.addEventListener("close", () => this.leaving?.abort(new DOMException("the dialog was closed", "AbortError")));
  }

  get isOpen() {
    return this.dialog.open;
  }

  get isRunning() {
    return this.leaving !== null;
  }

  /** Open it; `choosesFiles`: with the choice of files to import. */
  open(title, choosesFiles) {
    byId("transfer-title").textContent = title;
    byId("import-choice").hidden = !choosesFiles;
    this.say("");
    this.list([]);
    if (!this.isOpen) this.dialog.showModal();
  }

  /** The state so far; a total of 0 is not known yet. */
  progress(done, total, text) {
    this.bar.hidden = false;
    if (total > 0) Object.assign(this.bar, { max: total, value: done });
    else this.bar.removeAttribute("value");
    this.say(text);
  }

  say(text) {
    byId("transfer-status").replaceChildren(...withCode(text));
  }

  /** What went wrong with what: `{name, text}` each. */
  list(problems) {
    const box = byId("transfer-problems");
    const rows = problems.slice(0, MOST_PROBLEMS).map(({ name, text }) => (
      element("li", {}, element("strong", { textContent: name }), ": ", ...withCode(text))
    ));
    const left = problems.length - rows.length;
    if (left > 0) rows.push(element("li", { textContent: t("transfer.more_problems", { count: left }) }));
    box.replaceChildren(...rows);
    box.hidden = rows.length === 0;
  }

  /**
   * Show `work` until it ends: done, failed, or because the dialog is closed.
   * @param {(signal: AbortSignal) => Promise<string>} work gives what to say at its end
   * @param {() => string} soFar what was done where it fails
   */
  async run(work, soFar) {
    if (this.isRunning) return;
    const leaving = new AbortController();
    this.leaving = leaving;
    this.show(true);
    let text;
    try {
      text = await work(leaving.signal);
    } catch (error) {
      text = leaving.signal.aborted ? "" : sentences(describe(error), soFar());
    }
    this.leaving = null;
    this.show(false);
    this.say(text);
  }

  /** What is on its way is shown, not read out step by step. */
  show(isRunning) {
    byId("transfer-close").textContent = t(isRunning ? "cancel" : "close");
    byId("transfer-status").setAttribute("aria-busy", String(isRunning));
    if (!isRunning) this.bar.hidden = true;
  }
}
