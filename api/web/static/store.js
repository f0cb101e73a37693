// What this browser remembers: which conversations it had, and prompts whose end it has not seen.
// Everything said lives on the server; without storage the page works for as long as it is open.

const CONVERSATIONS = "palaver.conversations";
const OPEN_TURNS = "palaver.turns";
const KEY = "palaver.key";
const DRAFT = "palaver.draft";
const NAME_LENGTH = 60;

const memory = new Map();

function read(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? fallback;
  } catch {
    return memory.get(name) ?? fallback;
  }
}

function write(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Full or forbidden: it is remembered until the page is closed.
  }
}

/** `{id, name}` of each conversation, the latest first. */
export function conversations() {
  return read(CONVERSATIONS, []);
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
}

export function nameOf(prompt) {
  const line = prompt.trim().replace(/\s+/g, " ");
  return line.length > NAME_LENGTH ? `${line.slice(0, NAME_LENGTH - 1)}…` : line;
}

/**
 * Prompts that were sent from this browser and have not ended as far as it knows:
 * `{key, body, job, conversation}`; `job` and a new `conversation` are null until they are accepted.
 */
export function openTurns() {
  return read(OPEN_TURNS, []);
}

export function keepTurn(turn) {
  write(OPEN_TURNS, [...openTurns().filter((one) => one.key !== turn.key), turn]);
}

export function dropTurn(key) {
  write(OPEN_TURNS, openTurns().filter((one) => one.key !== key));
}

export function apiKey() {
  try {
    return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  } catch {
    return memory.get(KEY) ?? null;
  }
}

/** Use a key; until the tab is closed, or for longer if `forGood`. */
export function setApiKey(key, forGood) {
  memory.set(KEY, key);
  try {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    (forGood ? localStorage : sessionStorage).setItem(KEY, key);
  } catch {
    // As above.
  }
}

/** Another key: what its owner's predecessor did is nobody else's business. */
export function forgetAll() {
  write(CONVERSATIONS, []);
  write(OPEN_TURNS, []);
  write(DRAFT, "");
}

export function draft() {
  return read(DRAFT, "");
}

export function keepDraft(text) {
  write(DRAFT, text);
}

/** Call when another tab has changed what is remembered. */
export function onChange(listener) {
  addEventListener("storage", (event) => {
    if (event.key === CONVERSATIONS || event.key === OPEN_TURNS) listener();
  });
}
