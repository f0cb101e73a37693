// Everybody's turns on the operations page: what runs, waits and has failed, and who is looked for.

import { Problem } from "./client.js";
import { byId } from "./dom.js";
import { drawRows } from "./ops_table.js";

const STATES = ["running", "waiting", "failed"];
const MINUTE_S = 60;
const HOUR_S = 3600;

const WAITS = {
  slot: ({ queue }) => (queue ? `for a free slot: place ${queue.position}${eta(queue)}` : "for a free slot"),
  home: ({ home, queue }) => `for ${home}, which has its conversation${queue ? `: place ${queue.position}` : ""}`,
  earlier_turn: ({ behind }) => `for the turn before it, ${behind}`,
  no_worker: () => "no worker of its model runs: start one",
  workers_drain: () => "all workers of its model drain: start another",
};

/** Nothing until starts have been measured. */
const eta = ({ eta_seconds: seconds }) => (seconds > 0 ? `, in about ${age(seconds)}` : "");

/** Seconds as people say them. */
export function age(seconds) {
  if (seconds < MINUTE_S) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min ${Math.round(seconds % MINUTE_S)} s`;
  return `${Math.floor(seconds / HOUR_S)} h ${Math.round((seconds % HOUR_S) / MINUTE_S)} min`;
}

const since = (time) => ({
  text: time ? age((Date.now() - Date.parse(time)) / 1000) : "–",
  title: time ? new Date(time).toLocaleString() : "",
  className: "number",
});

const SINCE = {
  running: (turn) => turn.started_at,
  waiting: (turn) => turn.created_at,
  failed: (turn) => turn.finished_at,
};

/** Why a turn is where it is. */
export function reasonOf(turn) {
  if (turn.wait) return WAITS[turn.wait.reason]?.(turn.wait) ?? turn.wait.reason;
  if (turn.status === "in_progress") return turn.suspect ? "runs alone: its last worker died" : "runs";
  return turn.error ? turn.error.replaceAll("_", " ") : turn.status;
}

export class TurnTables {
  /** @param {import("./ops_actions.js").Actions} actions */
  constructor(client, actions) {
    this.client = client;
    this.actions = actions;
    this.sought = "";
    /** Whether the server shows turns at all (without keys at its own machine only); null: not known. */
    this.isShown = null;
    byId("lookup").addEventListener("submit", (event) => {
      event.preventDefault();
      this.sought = byId("sought").value.trim();
      this.lookUp();
    });
    byId("lookup-end").addEventListener("click", () => this.endLookUp());
  }

  /** Ask for all turns, and for those that are looked for, and show them. */
  async look() {
    if (this.isShown === false) return;
    try {
      this.draw(await this.client.json("GET", "/ops/turns"));
      this.isShown = true;
      byId("turns").hidden = false;
      await this.lookUp();
    } catch (error) {
      if (!(error instanceof Problem)) return;
      if (error.status === 404) this.isShown = false;
      byId("turns").hidden = !this.isShown;
    }
  }

  draw(overview) {
    for (const state of STATES) {
      const { count, turns } = overview[state];
      byId(`${state}-count`).textContent = countText(count, turns.length);
      byId(`${state}-table`).hidden = turns.length === 0;
      drawRows(byId(state), turns, {
        keyOf: (turn) => turn.job,
        cellsOf: (turn) => this.cells(turn, SINCE[state](turn), state === "running"),
        actionsOf: (turn) => this.actions.ofTurn(turn),
      });
    }
  }

  cells(turn, time, hasWorker) {
    return [
      { text: turn.job, className: "id" },
      { text: String(turn.id), className: "id" },
      turn.key ?? "–",
      turn.model ?? "–",
      since(time),
      { text: String(turn.attempts), className: turn.attempts > 1 ? "number bad" : "number" },
      ...(hasWorker ? [turn.worker ?? "–"] : []),
      { text: reasonOf(turn), className: isBad(turn) ? "reason bad" : "reason" },
    ];
  }

  async lookUp() {
    if (!this.sought) return;
    try {
      const { turns } = await this.client.json("GET", `/ops/lookup?id=${encodeURIComponent(this.sought)}`);
      this.drawFound(turns, turns.length ? countText(turns.length, turns.length) : "Nothing is known of this id. Turns that have ended well are known by their job or conversation; the log has their request.");
    } catch (error) {
      if (!(error instanceof Problem)) return;
      this.drawFound([], error.status === 422 ? "This is no id of a job, a conversation or a request." : error.message);
      this.sought = "";
    }
  }

  drawFound(turns, text) {
    byId("found-section").hidden = false;
    if (byId("found-count").textContent !== text) byId("found-count").textContent = text;
    byId("found-table").hidden = turns.length === 0;
    drawRows(byId("found"), turns, {
      keyOf: (turn) => turn.job,
      cellsOf: (turn) => this.cells(turn, turn.finished_at ?? turn.started_at ?? turn.created_at, true),
      actionsOf: (turn) => this.actions.ofTurn(turn),
    });
  }

  endLookUp() {
    this.sought = "";
    byId("sought").value = "";
    byId("found-section").hidden = true;
    byId("sought").focus();
  }
}

function countText(count, shown) {
  if (count === 0) return "None.";
  const number = count === 1 ? "1 turn" : `${count.toLocaleString("en")} turns`;
  return shown < count ? `${number}; ${shown} are shown.` : `${number}.`;
}

function isBad(turn) {
  return turn.status === "failed" || turn.suspect || ["no_worker", "workers_drain"].includes(turn.wait?.reason);
}
