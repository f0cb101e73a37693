// What keys have used of each model: of a day, or of all seven.

import { Problem, Unreachable } from "./client.js";
import { byId, element } from "./dom.js";
import { drawRows } from "./ops_table.js";

const EVERY_MS = 30_000;
const WEEK = "week";
const COUNTERS = ["turns", "prompt_tokens", "cached_tokens", "completion_tokens", "unfinished_tokens"];

/**
 * The rows of all these days together, the one with the most tokens in front.
 * @param {{usage: object[]}[]} days
 */
export function summed(days) {
  const rows = new Map();
  for (const row of days.flatMap(({ usage }) => usage)) {
    const key = JSON.stringify([row.owner, row.model]);
    const sum = rows.get(key) ?? { ...row, ...Object.fromEntries(COUNTERS.map((name) => [name, 0])) };
    for (const name of COUNTERS) sum[name] += row[name];
    rows.set(key, sum);
  }
  const tokens = (row) => row.prompt_tokens + row.completion_tokens + row.unfinished_tokens;
  return [...rows.values()].sort((a, b) => tokens(b) - tokens(a));
}

/** What a row's owner is called. */
export function ownerOf({ owner, key }) {
  if (key !== null) return key;
  return owner === null ? "–" : `${owner} (no key any more)`;
}

const number = (value) => ({ text: value.toLocaleString("en"), className: "number" });

export class UsageTable {
  constructor(client) {
    this.client = client;
    this.days = [];
    this.nextMs = 0;
    byId("usage-day").addEventListener("change", () => this.draw());
  }

  /** Ask now and then: days change slowly. */
  async look() {
    if (performance.now() < this.nextMs) return;
    try {
      this.days = (await this.client.json("GET", "/ops/usage")).days;
      this.nextMs = performance.now() + EVERY_MS;
      byId("usage-section").hidden = false;
      this.drawChoice();
      this.draw();
    } catch (error) {
      if (!(error instanceof Problem || error instanceof Unreachable)) throw error;
    }
  }

  drawChoice() {
    const wanted = [[WEEK, "the last 7 days"], ...this.days.map(({ day }) => [day, day])];
    const select = byId("usage-day");
    if ([...select.options].map(({ value }) => value).join() === wanted.map(([value]) => value).join()) return;
    const chosen = select.value;
    select.replaceChildren(...wanted.map(([value, textContent]) => element("option", { value, textContent })));
    if (wanted.some(([value]) => value === chosen)) select.value = chosen;
  }

  draw() {
    const chosen = byId("usage-day").value;
    const rows = summed(this.days.filter(({ day }) => chosen === WEEK || day === chosen));
    byId("no-usage").hidden = rows.length > 0;
    drawRows(byId("usage"), rows, {
      keyOf: ({ owner, model }) => JSON.stringify([owner, model]),
      cellsOf: (row) => [ownerOf(row), row.model ?? "–", ...COUNTERS.map((name) => number(row[name]))],
    });
  }
}
