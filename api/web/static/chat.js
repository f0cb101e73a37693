// The chat page: wires its parts together.

import { Client, Problem } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation, describe } from "./conversation.js";
import { announce, byId, confirmed, save } from "./dom.js";
import { drawSidebar, firstPrompt, learnFromServer } from "./sidebar.js";
import * as store from "./store.js";
import { Thread } from "./thread.js";

const DELAY_MS = 400;
const HAS_KEYS = document.documentElement.dataset.keys === "on";

let current;
let lostTimer;

const client = new Client(store.apiKey, {
  lost() {
    // Not for every hiccup: a stream that another process takes over is back at once.
    lostTimer ??= setTimeout(() => showConnection("The connection is lost. Trying again …"), DELAY_MS);
  },
  found() {
    clearTimeout(lostTimer);
    lostTimer = undefined;
    if (!byId("connection").hidden && byId("connection").dataset.kind === "lost") showConnection("");
  },
});

const thread = new Thread(client, byId("messages"), byId("scroller"), { retry, edit });
const composer = new Composer({
  send: (prompt, from) => {
    composer.persona.closest("details").open = false;
    current.send(prompt, composer.context, from);
  },
  stop: () => guarded(() => current.stop()),
});

function retry(prompt, from) {
  if (!current.isBusy) current.send(prompt, composer.context, from);
}

function edit(prompt, from) {
  if (!current.isBusy) composer.edit(prompt, { replaceFrom: from });
}

const view = {
  changed: draw,
  accepted(isOpen) {
    if (isOpen) history.replaceState(null, "", `#${current.id}`);
    draw();
  },
  status: (text) => { byId("status").textContent = text; },
  edit,
  unauthorized: () => guarded(askForKey),
};

function begin(id) {
  current?.leave();
  current = new Conversation(client, thread, id, view);
  composer.edit(store.draft(), null);
  composer.show(null);
  view.status("");
  byId("sidebar").classList.remove("open");
  byId("toggle-sidebar").setAttribute("aria-expanded", "false");
}

function openNew() {
  history.replaceState(null, "", location.pathname);
  begin(null);
  thread.reset([]);
  draw();
}

async function open(id) {
  history.replaceState(null, "", `#${id}`);
  begin(id);
  thread.reset([]);
  draw();
  const opened = current;
  try {
    const found = await opened.load();
    if (opened !== current) return;
    composer.show(opened.context);
    if (store.conversations().some((one) => one.id === id)) return;
    store.learn([{ id, name: await firstPrompt(client, found) }]);
    draw();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error instanceof Problem && error.status === 404) {
      store.forget(id);
      openNew();
      showConnection("That conversation does not exist any more.", "gone");
    } else {
      failed(error);
    }
  }
}

function draw() {
  const { id, isBusy } = current;
  const name = store.conversations().find((one) => one.id === id)?.name;
  byId("title").textContent = name ?? "New chat";
  document.title = name ? `${name} · Palaver` : "Palaver";
  byId("receipt").textContent = current.receipt();
  byId("receipt").hidden = current.receipt() === "";
  byId("earlier").hidden = current.earlier === null;
  byId("welcome").hidden = id !== null || isBusy || thread.live.length > 0;
  for (const tool of ["export-markdown", "export-json", "delete"]) byId(tool).disabled = id === null;
  composer.busy(isBusy);
  const isWritten = composer.context !== null || document.activeElement === composer.persona;
  if (!isWritten && current.context !== null) composer.show(current.context);
  drawSidebar(id, open);
}

function showConnection(text, kind = "lost") {
  byId("connection").textContent = text;
  byId("connection").dataset.kind = kind;
  byId("connection").hidden = text === "";
}

async function guarded(action) {
  try {
    await action();
  } catch (error) {
    if (error.name !== "AbortError") failed(error);
  }
}

function failed(error) {
  if (error instanceof Problem && error.status === 401) guarded(askForKey);
  else showConnection(describe(error), "error");
}

async function askForKey() {
  if (byId("key-dialog").open) return;
  byId("key").value = "";
  if (!await confirmed(byId("key-dialog"))) return;
  if (store.apiKey() !== null) store.forgetAll();
  store.setApiKey(byId("key").value.trim(), byId("remember").checked);
  showConnection("");
  await start();
}

async function exportAs(type) {
  const { id, context } = current;
  const messages = await current.everything();
  const name = `palaver-${id}`;
  if (type === "json") {
    save(`${name}.json`, "application/json", JSON.stringify({ id, context, messages }, null, 2));
    return;
  }
  const said = messages.map((one) => `## ${one.role === "user" ? "You" : "Bot"}\n\n${one.content}\n`);
  save(`${name}.md`, "text/markdown", [`# ${byId("title").textContent}\n`, `> ${context.replaceAll("\n", "\n> ")}\n`, ...said].join("\n"));
}

async function remove() {
  const { id } = current;
  if (!await confirmed(byId("delete-dialog"))) return;
  await client.untilAnswered("DELETE", `/conversations/${id}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  store.forget(id);
  openNew();
  announce("The conversation is deleted.");
}

/** Begin where the address says, or with what was sent last and never answered. */
async function start() {
  const id = /^#[1-9]\d{0,15}$/.test(location.hash) ? Number(location.hash.slice(1)) : null;
  if (id === null) openNew();
  else await open(id);
  const [orphan] = store.openTurns().filter((one) => one.job === null && one.conversation === null);
  if (id === null && orphan) current.run(orphan);
  if (!HAS_KEYS) return;
  byId("change-key").hidden = false;
  await learnFromServer(client);
  drawSidebar(current.id, open);
}

byId("new-chat").addEventListener("click", openNew);
byId("change-key").addEventListener("click", () => guarded(askForKey));
byId("earlier").addEventListener("click", () => guarded(() => current.showEarlier()));
byId("export-json").addEventListener("click", () => guarded(() => exportAs("json")));
byId("export-markdown").addEventListener("click", () => guarded(() => exportAs("markdown")));
byId("delete").addEventListener("click", () => guarded(remove));
byId("toggle-sidebar").addEventListener("click", () => {
  const isOpen = byId("sidebar").classList.toggle("open");
  byId("toggle-sidebar").setAttribute("aria-expanded", String(isOpen));
});
addEventListener("hashchange", () => guarded(start));
addEventListener("offline", () => client.connection.lost());
addEventListener("online", () => client.connection.found());
store.onChange(() => {
  drawSidebar(current.id, open);
  if (current.id !== null) current.join();
});

guarded(start);
