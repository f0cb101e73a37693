// What an operator can do: cancel and requeue turns, drain workers. What cannot be undone is asked for first.

import { Problem } from "./client.js";
import { byId, confirmed } from "./dom.js";

export class Actions {
  /** @param {() => Promise<void>} refresh called when something was done */
  constructor(client, refresh) {
    this.client = client;
    this.refresh = refresh;
  }

  /** Buttons of a turn: `[label, action]`. */
  ofTurn(turn) {
    const cancel = ["Cancel", () => this.cancel(turn)];
    if (turn.status === "queued") return [cancel];
    return turn.status === "in_progress" ? [["Requeue", () => this.requeue(turn)], cancel] : [];
  }

  ofWorker(worker) {
    return worker.draining ? [] : [["Drain", () => this.drain(worker)]];
  }

  async cancel(turn) {
    const text = "What is written of its reply is lost, and its client is told that it was cancelled. This cannot be undone.";
    if (!await confirm(`Cancel turn ${turn.job}?`, text, "Cancel the turn")) return;
    await this.run(`/ops/turns/${turn.job}/cancel`, ({ status }) => (
      status === "cancelled" ? "The turn was cancelled." : "The turn had ended already."));
  }

  async requeue(turn) {
    await this.run(`/ops/turns/${turn.job}/requeue`, () => (
      "The turn is in the line again: any worker goes on behind what is written of its reply."));
  }

  async drain(worker) {
    const text = "It takes no more turns, finishes those that it has, and ends. There is no way back: start another worker instead.";
    if (!await confirm(`Drain worker ${worker.worker}?`, text, "Drain the worker")) return;
    await this.run(`/ops/workers/${encodeURIComponent(worker.worker)}/drain`, () => "The worker drains.");
  }

  async run(path, outcome) {
    try {
      report(outcome(await this.client.json("POST", path)), false);
    } catch (error) {
      if (error.name === "AbortError") return;
      report(error instanceof Problem ? error.message : "The server does not answer: look whether it was done.", true);
    }
    await this.refresh();
  }
}

function confirm(title, text, label) {
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-ok").textContent = label;
  return confirmed(byId("confirm-dialog"));
}

function report(text, isBad) {
  byId("done").textContent = text;
  byId("done").classList.toggle("bad", isBad);
}
