// The operations page: asks every few seconds, and draws.

import { clock, LineChart } from "./charts.js";
import { Client, Problem, pause } from "./client.js";
import { byId, element } from "./dom.js";
import { Actions } from "./ops_actions.js";
import { drawRows } from "./ops_table.js";
import { TurnTables } from "./ops_turns.js";
import { UsageTable } from "./ops_usage.js";
import * as store from "./store.js";

const EVERY_MS = 3000;

const client = new Client(store.apiKey, { lost() {}, found() {} });

const whole = (value) => Math.round(value).toLocaleString("en");
const tenth = (value) => value.toLocaleString("en", { maximumFractionDigits: 1 });
const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${tenth(value)} s`);
const bytes = (value) => (value < 1 << 20 ? `${whole(value / 1024)} KiB` : `${whole(value / (1 << 20))} MiB`);
const unknown = (value, format) => (value === null ? "–" : format(value));

const CHARTS = [
  ["Queue", ["waiting", "open"], whole, ["waiting", "open"]],
  ["Reply tokens a second", ["generated"], tenth, ["generated_per_s"]],
  ["Prompt tokens a second", ["evaluated", "cached"], tenth, ["evaluated_per_s", "cached_per_s"]],
  ["First token", ["median", "95th percentile"], seconds, ["first_token_p50_s", "first_token_p95_s"]],
  ["Whole turn", ["median", "95th percentile"], seconds, ["turn_p50_s", "turn_p95_s"]],
  ["Wait in the queue", ["median", "95th percentile"], seconds, ["queue_wait_p50_s", "queue_wait_p95_s"]],
  ["Failures in half a minute", ["failed"], whole, ["failed"]],
  ["Workers", ["heard of"], whole, ["workers"]],
].map(([title, names, format, fields]) => ({ chart: new LineChart(title, names, format), fields }));

const actions = new Actions(client, () => look());
const turns = new TurnTables(client, actions);
const usage = new UsageTable(client);

byId("charts").append(...CHARTS.map(({ chart }) => chart.figure));

function draw(data) {
  const last = data.points.at(-1);
  if (!last) return;
  const times = data.points.map((point) => point.at);
  for (const { chart, fields } of CHARTS) {
    chart.update(times, fields.map((field) => data.points.map((point) => point[field])));
  }
  drawNow(last, data);
  drawModels(data.models ?? []);
  drawWorkers(data.workers);
  drawSums(data.minutes);
  drawNotices(data.notices);
  byId("updated").textContent = `as of ${clock(last.at, true)}`;
}

function drawNotices(notices) {
  const bad = notices.filter((notice) => notice.is_bad).length;
  say(bad > 1 ? `${bad} problems` : bad ? "1 problem" : notices.length > 0 ? "Worth a look" : "All is well", bad > 0);
  byId("notices").hidden = notices.length === 0;
  const shown = JSON.stringify(notices);
  if (byId("notices").dataset.shown === shown) return;
  byId("notices").dataset.shown = shown;
  byId("notices").replaceChildren(...notices.map(({ text, advice, is_bad: isBad }) => element(
    "li", { className: isBad ? "bad" : "" },
    element("strong", { textContent: text }), ` ${advice}`,
  )));
}

function drawNow(last, { workers, minutes }) {
  const slots = workers.reduce((sum, one) => sum + one.slots, 0);
  const running = workers.reduce((sum, one) => sum + one.running, 0);
  const prompts = minutes.evaluated + minutes.cached;
  list("now", [
    ["Workers", unknown(last.workers, whole), last.workers === 0],
    ["Turns / slots", `${running} / ${slots}`],
    ["Waiting turns", unknown(last.waiting, whole)],
    ["Reply tokens a second", tenth(last.generated_per_s)],
    ["First token, median", unknown(minutes.first_token_p50_s, seconds)],
    ["First token, 95 %", unknown(minutes.first_token_p95_s, seconds)],
    ["Turn, median", unknown(minutes.turn_p50_s, seconds)],
    ["Turn, 95 %", unknown(minutes.turn_p95_s, seconds)],
    ["Prompt tokens cached", prompts ? `${tenth((100 * minutes.cached) / prompts)} %` : "–"],
  ]);
}

function drawSums(minutes) {
  const ago = Math.round(minutes.seconds / 60);
  byId("since").textContent = ago > 1 ? `${ago} minutes ago` : "a minute ago";
  const failures = Object.entries(minutes.outcomes).filter(([name]) => name !== "completed");
  list("sums", [
    ["Turns completed", whole(minutes.completed)],
    ["Turns failed", whole(minutes.failed), minutes.failed > 0],
    ...failures.map(([name, count]) => [`– ${name.replaceAll("_", " ")}`, whole(count), true]),
    ["Workers started", whole(minutes.started)],
    ["Turns taken over", whole(minutes.taken_over), minutes.taken_over > 0],
    ["Turns handed over", whole(minutes.handed_over)],
    ["Fenced writes", whole(minutes.fenced)],
    ["Preemptions", whole(minutes.preemptions)],
    ["Reply tokens", whole(minutes.generated)],
    ["Prompt tokens evaluated", whole(minutes.evaluated)],
    ["Prompt tokens cached", whole(minutes.cached)],
  ]);
}

const figure = (text, isBad = false) => ({ text, className: isBad ? "number bad" : "number" });

function drawModels(models) {
  const workers = ({ workers: all, draining }) => (draining ? `${whole(all)}, ${whole(draining)} draining` : whole(all));
  drawRows(byId("models"), models, {
    keyOf: (model) => model.model,
    cellsOf: (model) => [
      model.model,
      figure(workers(model), model.workers === 0),
      figure(`${whole(model.running)} / ${whole(model.slots)}`),
      figure(whole(model.free)),
      figure(whole(model.waiting), model.waiting > 0 && model.workers === 0),
      figure(whole(model.held)),
      figure(unknown(model.pace_s, seconds)),
      figure(tenth(model.tokens_per_s)),
    ],
  });
}

function drawWorkers(workers) {
  byId("no-workers").hidden = workers.length > 0;
  const stateOf = ({ draining, running }) => (draining ? "draining" : running > 0 ? "works" : "idle");
  drawRows(byId("workers"), workers, {
    keyOf: (worker) => worker.worker,
    cellsOf: (worker) => [
      worker.worker, stateOf(worker), worker.model, worker.runs_on,
      figure(`${worker.running} / ${worker.slots}`),
      figure(tenth(worker.batch_fill)),
      figure(tenth(worker.tokens_per_s)),
      figure(`${tenth(worker.step_ms)} ms`),
      figure(worker.lane_capacity ? `${whole((100 * worker.lane_tokens) / worker.lane_capacity)} %` : "–"),
      figure(`${worker.parked} (${bytes(worker.parked_bytes)})`),
    ],
    actionsOf: (worker) => (turns.isShown ? actions.ofWorker(worker) : []),
  });
}

function list(id, rows) {
  byId(id).replaceChildren(...rows.map(([term, text, isBad]) => element(
    "div", {},
    element("dt", { textContent: term }),
    element("dd", { textContent: text, className: isBad ? "bad" : "" }),
  )));
}

function say(text, isBad) {
  change("state", text);
  byId("state").classList.toggle("bad", isBad);
}

/** Only what is new: a screen reader reads it aloud. */
function change(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function refusalOf(problem) {
  if (problem.status === 403) return `This key is not an operator's. On the server: palaver keys role NAME operator`;
  return store.apiKey() === null ? "" : "The server does not know this key.";
}

async function look() {
  try {
    const data = await client.json("GET", "/ops/data");
    byId("key-form").hidden = true;
    await turns.look();
    if (turns.isShown) await usage.look();
    draw(data);
  } catch (error) {
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
      byId("key-form").hidden = false;
      change("key-refused", refusalOf(error));
      say("An operator's key is needed", true);
    } else {
      say(error instanceof Problem ? error.message : "The server does not answer", true);
    }
  }
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  store.setApiKey(byId("key").value.trim(), false);
  look();
});

for (;;) {
  // Who has no key is not to be taken for somebody who guesses one.
  if (!document.hidden && byId("key-form").hidden) await look();
  await pause(EVERY_MS);
}
