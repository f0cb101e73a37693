// What a model thought before it answered: folded away, with its length and how long it took.

import { copyButton, element } from "./dom.js";

/** Characters of a running thought that its folded line shows. */
const PREVIEW = 100;

/** Measures a thought by the ids of events, which begin with the server's milliseconds. */
export class Stopwatch {
  constructor() {
    this.totalMs = 0;
    this.last = null;
    this.isThinking = false;
  }

  /** An event of the reply has come. A replayed stream gives the same time as a live one. */
  see({ id, kind }) {
    const now = Number.parseInt(id, 10);
    if (Number.isNaN(now)) return;
    if (this.isThinking) this.totalMs += Math.max(0, now - this.last);
    this.last = now;
    this.isThinking = kind === "reasoning";
  }
}

/** One line about a thought; `ms` and `tokens` are null where they are not known. */
export function summaryOf({ ms = null, tokens = null, characters }) {
  const length = tokens === null ? counted(characters, "character") : counted(tokens, "token");
  return `${ms === null ? "Thought" : `Thought for ${duration(ms)}`} · ${length}`;
}

export function duration(ms) {
  if (ms < 950) return "less than 1 s";
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The last words of a text, on one line. */
export function endOf(text) {
  const line = text.slice(-PREVIEW).replace(/\s+/g, " ").trim();
  return text.length > PREVIEW ? `… ${line.replace(/^\S{1,20} /, "")}` : line;
}

function counted(count, what) {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}

/** The thought of one reply; hidden while there is none. */
export class Thought {
  constructor(text = "") {
    this.content = text;
    this.watch = new Stopwatch();
    this.label = element("span", { className: "label" });
    // Who listens instead of looking is not read every piece of it.
    this.preview = element("span", { className: "preview", ariaHidden: "true" });
    this.body = element("div", { className: "thought-text", tabIndex: 0, role: "group", ariaLabel: "Thought", textContent: text });
    const copy = element("div", { className: "actions" }, copyButton(() => this.content, "Copy thought"));
    this.node = element("details", { className: "thought" }, element("summary", {}, this.label, this.preview), this.body, copy);
    this.node.addEventListener("toggle", () => this.showPreview());
    this.isRunning = false;
    this.close();
  }

  add(piece) {
    this.content += piece;
    this.body.append(piece);
    this.isRunning = true;
    this.node.hidden = false;
    this.label.textContent = "Thinking …";
    this.showPreview();
  }

  showPreview() {
    const isShown = this.isRunning && !this.node.open;
    this.preview.textContent = isShown ? endOf(this.content) : "";
  }

  /** It has ended; what is not known of it is left out. */
  close({ tokens = null } = {}) {
    const { totalMs } = this.watch;
    this.isRunning = false;
    this.node.hidden = this.content === "";
    this.label.textContent = summaryOf({ ms: totalMs > 0 ? totalMs : null, tokens, characters: this.content.length });
    this.showPreview();
  }

  /** All of it, as the reply object has it: what was streamed may be only its beginning. */
  complete(text, tokens) {
    if (this.content !== text) this.content = this.body.textContent = text;
    this.close({ tokens });
  }
}
