// The chat page: wires its parts together.

import "./page_texts.js";
import { addressed } from "./address.js";
import { combined } from "./attached.js";
import { Client, Problem } from "./client.js";
import { Composer } from "./composer.js";
import { adopt, Conversation } from "./conversation.js";
import { announce, byId, confirmed } from "./dom.js";
import { Drawer } from "./drawer.js";
import { Exchange } from "./exchange.js";
import { exportAs } from "./export_one.js";
import { t } from "./language.js";
import { MemoryView } from "./memory.js";
import { wireMenu } from "./menu.js";
import { ModelView } from "./model.js";
import { Notice } from "./notice.js";
import { describe } from "./plain.js";
import { ShareDialog } from "./share_dialog.js";
import { Sidebar } from "./sidebar.js";
import * as store from "./store.js";
import { Thread } from "./thread.js";
import { tooLong } from "./token_count.js";
import { Tuning } from "./tuning.js";
import { keepAboveKeyboard } from "./viewport.js";
import { Welcome } from "./welcome.js";

/** So often it is looked whether somebody is there while a prompt waits. */
const WORKERS_MS = 5000;
const HAS_KEYS = document.documentElement.dataset.keys === "on";

let current;

const notice = new Notice();
const client = new Client(store.apiKey, notice);
const memory = new MemoryView(client, (mode) => guarded(() => current.remember(mode)));
const thread = new Thread(client, byId("messages"), byId("scroller"), memory.opener, { retry, edit, putBack, pin, goOn: () => isFree() && guarded(() => tuning.goOn(current)) });
const welcome = new Welcome({
  ask: (prompt) => { if (isFree()) say(prompt, composer.context, null); },
  become: (persona) => tuning.use(persona),
});
const model = new ModelView(client, (hasSeveral, possible) => {
  thread.nameModels(hasSeveral);
  welcome.answeredBy(possible);
  current?.mannedIs(possible?.length !== 0);
});
const drawer = new Drawer({ opened: () => sidebar.reveal() });
const composer = new Composer({
  send: (prompt, from) => say(prompt, composer.context, from),
  stop: () => guarded(() => current.stop()),
  persona: (context) => tuning.talksTo(context),
  tooLong: (prompt, signal) => tooLong(client, { prompt, ...current.instructed(composer.context), model: model.chosen ?? current.model }, signal),
});
const share = new ShareDialog(client);
const tuning = new Tuning(client, { composer, model, welcome, failed });
const sidebar = new Sidebar(client, {
  changed: () => drawTitle(),
  told: (found) => learn(found),
  open: (id) => { location.hash = id; },
  left: () => openNew(),
  gone(id) {
    // What was being written in it has its own end.
    if (id !== current.id || current.isBusy) return;
    current.isGone = true;
    if (current.isLoaded) leaveGone(current);
  },
  guarded: (action) => guarded(action),
  failed: (error) => failed(error),
});

/** Nothing is said while something runs, or before it is known what was said already. */
const isFree = () => current.isLoaded && !current.isChecking && !current.isBusy;

/** What holds in the open conversation may have been changed in another tab, or on another device. */
function learn(found) {
  const { id, context, metadata, memory: mode = null } = found;
  if (id !== current.id || !current.isLoaded) return;
  guarded(() => current.elsewhere.show(found));
  guarded(() => memory.changed(id));
  if (current.isChecking) return;
  const isUntouched = composer.context === (current.context?.trim() || null) && document.activeElement !== composer.persona;
  current.context = context;
  // What a new one was begun with is known with its first reply.
  if (!current.isBusy) current.memory = mode;
  memory.show(current);
  if (isUntouched) composer.show(context);
  tuning.learn(id, metadata);
}

function say(prompt, context, from) {
  notice.clear();
  composer.rest();
  guarded(() => tuning.say(current, prompt, context, from));
}

function retry(prompt, from) {
  if (isFree()) say(prompt, composer.context, from);
}

function edit(prompt, from) {
  if (isFree()) composer.edit(prompt, { replaceFrom: from });
}

function putBack(alternative, number, step) {
  if (!isFree()) return;
  const { id, context } = current;
  guarded(async () => {
    try {
      await current.putBack(alternative);
      composer.show(current.context);
      if (current.context !== context) tuning.speaksAs(id, current.context);
      thread.focusAlternatives(number, step);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // It is not what it was here: something else was sent or put back elsewhere.
      await open(id);
      notice.show(describe(error), "stale");
    }
  });
}

function pin(number, isPinned) {
  guarded(async () => {
    await current.pin(number, isPinned);
    announce(t(isPinned ? "message.pinned" : "message.unpinned"));
  });
}

const view = {
  changed: draw,
  accepted() {
    history.replaceState(null, "", `#${current.id}`);
    draw();
  },
  began: (id, notes) => tuning.began(id, notes),
  gone() {
    tuning.gone();
    history.replaceState(null, "", location.pathname);
    draw();
  },
  status(text) {
    // Said again with every piece of a reply.
    if (byId("status").textContent !== text) byId("status").textContent = text;
  },
  edit,
  again: (prompt, context, from) => { if (isFree()) say(prompt, context, from); },
  refused(prompt, from, error, { text = describe(error), wasStopped = false } = {}) {
    if (prompt !== null) composer.edit(combined(prompt, composer.written.trim()), from === null ? null : { replaceFrom: from });
    if (!wasStopped) notice.show(t("turn.not_sent", { reason: text }), "error");
    if (error.status === 401) guarded(askForKey);
    model.lookAgain();
  },
  unauthorized: () => guarded(askForKey),
  stale: (prompt) => guarded(async () => {
    composer.edit(prompt, null);
    await open(current.id);
    notice.show(t("conversation.stale"), "stale");
  }),
};

function begin(id) {
  drawer.close();
  current?.leave();
  current = new Conversation(client, thread, id, view);
  current.mannedIs(model.isManned);
  composer.toDraft();
  composer.show(null);
  view.status("");
  notice.clear();
}

function openNew() {
  history.replaceState(null, "", location.pathname);
  begin(null);
  thread.reset([]);
  draw();
}

async function open(id, number = null) {
  history.replaceState(null, "", `#${id}`);
  begin(id);
  thread.reset([]);
  draw();
  const opened = current;
  try {
    const found = await opened.load();
    if (opened.isGone) return leaveGone(opened);
    tuning.learn(id, found.metadata);
    composer.show(opened.context);
    if (number !== null) await opened.showMessage(number);
    await opened.showReceipt();
    if (store.conversations().some((one) => one.id === id)) return;
    store.learn([{ id, name: found.title ?? t("row.untitled") }]);
    draw();
  } catch (error) {
    if (error.name === "AbortError" || opened !== current) return;
    if (error instanceof Problem && error.status === 404) leaveGone(opened);
    else failed(error);
  }
}

function leaveGone(conversation) {
  // A prompt that came to nothing is stored nowhere else.
  const [unsaid] = conversation.ours();
  if (unsaid?.body.prompt && store.draft() === "") store.keepDraft(unsaid.body.prompt);
  store.forget(conversation.id);
  openNew();
  notice.show(t("conversation.gone"), "gone");
}

function drawTitle() {
  const name = current.id === null ? null : sidebar.titleOf(current.id);
  byId("title").textContent = name ?? t("new_chat");
  document.title = name ? `${name} · Palaver` : "Palaver";
}

function draw() {
  const { id, isBusy } = current;
  model.open(id, current.model);
  drawTitle();
  byId("receipt").textContent = current.receipt();
  byId("receipt").hidden = current.receipt() === "";
  byId("earlier").hidden = current.earlier === null;
  const isEmpty = id === null && !isBusy && thread.live.length === 0;
  byId("welcome").hidden = !isEmpty;
  byId("scroller").hidden = isEmpty;
  for (const tool of ["export-markdown", "export-json", "delete"]) byId(tool).disabled = id === null;
  share.choose(id);
  memory.show(current);
  composer.busy(!isFree(), isBusy);
  const isWritten = composer.context !== null || document.activeElement === composer.persona;
  if (!isWritten && current.context !== null) composer.show(current.context);
  tuning.draw(id);
  sidebar.draw(id);
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
  else notice.show(describe(error), "error");
}

async function askForKey() {
  if (byId("key-dialog").open) return;
  byId("key").value = "";
  if (!await confirmed(byId("key-dialog"))) return;
  store.setApiKey(byId("key").value.trim(), byId("remember").checked, composer.written);
  // Nothing that was begun with another key goes on with this one.
  location.reload();
}

async function remove() {
  const { id } = current;
  if (sidebar.isServers) {
    sidebar.remove(id, false);
    return;
  }
  if (!await confirmed(byId("delete-dialog"))) return;
  await client.untilAnswered("DELETE", `/conversations/${id}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  store.forget(id);
  if (current.id === id) openNew();
  announce(t("conversation.deleted"));
}

/** A link in the list, Back, Forward: what the address says is opened. */
async function visit() {
  const { id, number } = addressed();
  if (id === null) openNew();
  else if (id === current.id && current.isLoaded && number !== null) await lookAt(number);
  else await open(id, number);
}

/** Bring a message of what is open into view. */
async function lookAt(number) {
  history.replaceState(null, "", `#${current.id}`);
  await current.showMessage(number);
}

/** Begin where the address says, or with what was sent last and never heard of. */
async function start() {
  const { id, number } = addressed();
  const orphans = store.orphans();
  if (id === null) {
    openNew();
    if (orphans.length > 0) current.run(orphans.shift());
  } else {
    await open(id, number);
  }
  for (const orphan of orphans) tuning.began(await adopt(client, orphan), orphan.notes);
  draw();
}

byId("change-key").hidden = !HAS_KEYS;
document.querySelector(".skip").addEventListener("click", (event) => {
  // Its address would be that of no conversation, and the open one would be left.
  event.preventDefault();
  composer.prompt.focus();
});
byId("new-chat").addEventListener("click", () => {
  // Back leads to what is open now; the drawer's own entry is taken over.
  if (current.id !== null && !drawer.isOpen) history.pushState(null, "", location.pathname);
  openNew();
});
byId("change-key").addEventListener("click", () => guarded(askForKey));
byId("earlier").addEventListener("click", () => guarded(() => current.showEarlier()));
byId("export-json").addEventListener("click", () => guarded(() => exportAs("json", client, current.id)));
byId("export-markdown").addEventListener("click", () => guarded(() => exportAs("markdown", client, current.id)));
byId("delete").addEventListener("click", () => guarded(remove));
setInterval(() => { if (current?.isWaiting) model.lookAgain(); }, WORKERS_MS);
wireMenu(byId("toggle-tools"), byId("tools"));
new Exchange(client, sidebar);
keepAboveKeyboard();
addEventListener("hashchange", () => guarded(visit));
// A server on this machine is there without a network too.
addEventListener("offline", () => guarded(() => client.untilAnswered("GET", "/healthz")));
store.onChange(() => {
  sidebar.drawOwn();
  current.join();
});

guarded(start);
guarded(() => sidebar.follow());
tuning.learnPersonas();
model.learn();
