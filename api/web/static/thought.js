// What a model thought before it answered: folded away, with its length and how long it took.

import { copyButton, element } from "./dom.js";
import { t } from "./language.js";

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
  const length = tokens === null ? t("thought.characters", { count: characters }) : t("thought.tokens", { count: tokens });
  return `${ms === null ? t("thought.label") : t("thought.took", { time: duration(ms) })} · ${length}`;
}

export function duration(ms) {
  if (ms < 950) return t("time.below_second");
  const [minutes, seconds] = [Math.floor(Math.round(ms / 1000) / 60), Math.round(ms / 1000) % 60];
  if (minutes === 0) return t("time.seconds", { seconds });
  return seconds === 0 ? t("time.minutes", { minutes }) : t("time.minutes_seconds", { minutes, seconds });
}

/** The last words of a text, on one line. */
export function endOf(text) {
  const line = text.slice(-PREVIEW).replace(/\s+/g, " ").trim();
  return text.length > PREVIEW ? `… ${line.replace(/^\S{1,20} /, "")}` : line;
}

/** The thought of one reply; hidden while there is none. */
export class Thought {
  constructor(text = "") {
    this.content = text;
    this.watch = new Stopwatch();
    this.label = element("span", { className: "label" });
    // Who listens instead of looking is not read every piece of it.
    this.preview = element("span", { className: "preview", ariaHidden: "true" });
    this.body = element("div", { className: "thought-text", tabIndex: 0, role: "group", ariaLabel: t("thought.label"), textContent: text });
    const copy = element("div", { className: "actions" }, copyButton(() => this.content, t("thought.copy")));
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
    this.label.textContent = t("thought.running");
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
