// What this browser remembers: which conversations it had, and prompts whose end it has not seen.
// Everything said lives on the server; without storage the page works for as long as it is open.
//
// Each API key has a memory of its own. That of a key which is to be forgotten with its tab is
// forgotten with it.

import { partsOf, promptWith } from "./attached.js";

const KEY = "palaver.key";
const HANDED_ON = "palaver.written";
const NAME_LENGTH = 60;
/** The server answers a repeated prompt with the same job for a day. */
const LONGEST_UNHEARD_MS = 23 * 3600 * 1000;
/** After so long the tab that was sending a prompt is taken for closed. */
const ABANDONED_MS = 60_000;

const memory = new Map();
let keptFiles = null;

function guarded(action, fallback) {
  try {
    return action();
  } catch {
    return fallback;
  }
}

export function apiKey() {
  return guarded(() => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY), memory.get(KEY) ?? null);
}

/**
 * Use a key; until the tab is closed, or for longer if `forGood`. The page is to be loaded anew then;
 * what was being written will still be there.
 */
export function setApiKey(key, forGood, written = "") {
  memory.set(KEY, key);
  guarded(() => {
    sessionStorage.setItem(HANDED_ON, JSON.stringify(written));
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    (forGood ? localStorage : sessionStorage).setItem(KEY, key);
  });
}

/** Not a secret one: it only keeps the memories of different keys apart. */
function digest(text) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(36);
}

const suffix = apiKey() === null ? "" : `.${digest(apiKey())}`;
const CONVERSATIONS = `palaver.conversations${suffix}`;
const OPEN_TURNS = `palaver.turns${suffix}`;
const DRAFT = `palaver.draft${suffix}`;
const DRAFT_FILES = `palaver.draft.files${suffix}`;
const REASONING = `palaver.reasoning${suffix}`;
const MODELS = `palaver.models${suffix}`;
const TAB = "palaver.tab";
/** Stands for the id of a conversation that has none yet. */
const NEW = "new";

const lasting = () => (guarded(() => sessionStorage.getItem(KEY) !== null, false) ? sessionStorage : localStorage);

function read(name, fallback, storage = lasting) {
  if (memory.has(name)) return memory.get(name);
  return guarded(() => JSON.parse(storage().getItem(name)), null) ?? fallback;
}

function write(name, value, storage = lasting) {
  memory.delete(name);
  try {
    storage().setItem(name, JSON.stringify(value));
  } catch {
    // Full or forbidden: it is remembered until the page is closed.
    memory.set(name, value);
  }
}

const session = () => sessionStorage;

/** This tab, also after a reload. */
const tab = read(TAB, null, session) ?? String(Math.random());
write(TAB, tab, session);

/** `{id, name}` of each conversation, the latest first. */
export function conversations() {
  return read(CONVERSATIONS, []);
}

export function nameOf(prompt) {
  const line = prompt.trim().replace(/\s+/g, " ");
  return line.length > NAME_LENGTH ? `${line.slice(0, NAME_LENGTH - 1)}…` : line;
}

/** Put a conversation first; its name is that of its first prompt. */
export function remember(id, prompt) {
  const others = conversations().filter((one) => one.id !== id);
  const known = conversations().find((one) => one.id === id);
  write(CONVERSATIONS, [known ?? { id, name: nameOf(prompt) }, ...others]);
}

/** Add those that are not known yet, behind the others. */
export function learn(found) {
  const known = conversations();
  const ids = new Set(known.map((one) => one.id));
  write(CONVERSATIONS, [...known, ...found.filter((one) => !ids.has(one.id))]);
}

export function forget(id) {
  write(CONVERSATIONS, conversations().filter((one) => one.id !== id));
  write(OPEN_TURNS, openTurns().filter((one) => one.conversation !== id));
  chooseModel(id, null);
}

/**
 * Prompts that were sent from this browser and have not ended as far as it knows:
 * `{key, body, job, conversation, at, tab}`; `job` and a new `conversation` are null until they are
 * accepted.
 */
export function openTurns() {
  const turns = read(OPEN_TURNS, []);
  return turns.filter((one) => one.job !== null || Date.now() - one.at < LONGEST_UNHEARD_MS);
}

/** Prompts for new conversations of which was never heard whether they were accepted. */
export function orphans() {
  const isOurs = (one) => one.tab === tab || Date.now() - one.at > ABANDONED_MS;
  return openTurns().filter((one) => one.job === null && one.conversation === null && isOurs(one));
}

export function keepTurn(turn) {
  turn.at ??= Date.now();
  turn.tab ??= tab;
  write(OPEN_TURNS, [...openTurns().filter((one) => one.key !== turn.key), turn]);
}

export function dropTurn(key) {
  write(OPEN_TURNS, openTurns().filter((one) => one.key !== key));
}

/** What is written in this tab and not sent: a prompt, with the files that belong to it. */
export function draft() {
  return promptWith(read(DRAFT, "", session), read(DRAFT_FILES, [], session));
}

export function keepDraft(prompt) {
  const { text, files } = partsOf(prompt);
  keepDraftOf(text, files);
}

/** As `keepDraft`, for each key that is pressed: the same list of files is not written again. */
export function keepDraftOf(text, files) {
  write(DRAFT, text, session);
  if (files === keptFiles) return;
  write(DRAFT_FILES, files, session);
  keptFiles = files;
}

/** How much models are to think, as chosen in this browser. */
export function reasoning() {
  return read(REASONING, "auto");
}

export function keepReasoning(choice) {
  write(REASONING, choice);
}

/** The model that was chosen for a conversation, or null; without an id: for new ones. */
export function chosenModel(id) {
  const name = read(MODELS, {})[id ?? NEW];
  return typeof name === "string" ? name : null;
}

export function chooseModel(id, name) {
  const { [id ?? NEW]: before = null, ...others } = read(MODELS, {});
  if (name === before) return;
  write(MODELS, name === null ? others : { ...others, [id ?? NEW]: name });
}

/** A value that another part of the page keeps under a name: in this browser, or in this tab. */
export function slot(name, fallback, { isOfTab = false } = {}) {
  const full = `palaver.${name}${suffix}`;
  const storage = isOfTab ? session : lasting;
  return { read: () => read(full, fallback, storage), write: (value) => write(full, value, storage) };
}

const handedOn = read(HANDED_ON, "", session);
if (handedOn) keepDraft(handedOn);
guarded(() => sessionStorage.removeItem(HANDED_ON));

/** Call when another tab has changed what is remembered. */
export function onChange(listener) {
  addEventListener("storage", (event) => {
    if (event.key === CONVERSATIONS || event.key === OPEN_TURNS) listener();
  });
}
