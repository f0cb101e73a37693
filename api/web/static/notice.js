// The bar above the messages: a connection that is lost, and what went wrong.

import { byId, withCode } from "./dom.js";
import { t } from "./language.js";

const DELAY_MS = 400;
/** A server that restarts is back sooner. */
const LONG_MS = 15_000;

export class Notice {
  constructor() {
    this.bar = byId("connection");
    this.timers = [];
  }

  show(text, kind = "lost") {
    this.bar.replaceChildren(...withCode(text));
    this.bar.dataset.kind = kind;
    this.bar.hidden = text === "";
  }

  clear() {
    this.show("");
  }

  lost() {
    // Not for every hiccup: a stream that another process takes over is back at once.
    if (this.timers.length > 0) return;
    this.timers = [
      setTimeout(() => this.show(t("connection.lost")), DELAY_MS),
      setTimeout(() => this.show(stillLost()), LONG_MS),
    ];
  }

  found() {
    this.timers.forEach(clearTimeout);
    this.timers = [];
    if (!this.bar.hidden && this.bar.dataset.kind === "lost") this.clear();
  }
}

function stillLost() {
  if (!navigator.onLine) return t("connection.offline");
  return t("connection.silent");
}
