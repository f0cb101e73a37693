// Waits and errors in plain words: the cause, and what whoever reads it can do.
//
// The server's own details are for programs; they are shown where nothing better is known.

import { Problem, Unreachable } from "./client.js";
import { labelOf } from "./settings.js";

const SEND_LATER = "Send it again in a moment.";
const LOOK_INTO_LOG = "Try again. If it happens once more, the server's log says why.";

/** By the code of a problem, or of a failed turn's error: `{cause, remedy}`. */
const WORDS = {
  no_worker: () => ({ cause: "No worker is running. On the server: `make run`." }),
  queue_full: () => ({ cause: "The server has as many prompts waiting as it takes.", remedy: SEND_LATER }),
  memory_short: () => ({ cause: "The server's memory is full.", remedy: "Delete conversations that nobody needs, then send it again." }),
  redis_away: () => ({ cause: "The server cannot reach its database.", remedy: "On the server, `palaver doctor` says why." }),
  outcome_unknown: () => ({ cause: "It is not known yet whether this arrived." }),
  conversation_busy: () => ({ cause: "Too many prompts are waiting in this conversation.", remedy: "Wait for a reply, then send it again." }),
  nothing_to_continue: () => ({ cause: "That reply is whole, or something was said after it.", remedy: "Load this page again to see it." }),
  context_length_exceeded: (error) => ({ cause: tooLong(error), remedy: "Shorten it, or send it in parts." }),
  deadline_exceeded: () => ({ cause: "The reply took longer than this server allows.", remedy: "Try again, or ask for something shorter." }),
  worker_lost: () => ({ cause: "The worker crashed each time it wrote this reply.", remedy: LOOK_INTO_LOG }),
  generation_failed: () => ({ cause: "The model could not write this reply.", remedy: LOOK_INTO_LOG }),
  internal_error: () => ({ cause: "Something went wrong on the server.", remedy: LOOK_INTO_LOG }),
  too_many_personas: () => ({ cause: "100 personas are kept, and no more.", remedy: "Delete one first." }),
  limit_requests: ({ detail }) => ({ cause: sentence(detail), remedy: "Wait a minute, then send it again." }),
  limit_in_flight: ({ detail }) => ({ cause: sentence(detail), remedy: "Wait for a reply, then send it again." }),
  limit_queued: ({ detail }) => ({ cause: sentence(detail), remedy: "Wait for a reply, then send it again." }),
};

/**
 * The cause alone is for what is being tried again.
 * @param {{code: string, detail: string}} error as the server sends it, with its other members
 * @param {string|null} model that was asked for, if one was
 */
export function causeOf(error, model = null) {
  if (model !== null && error.code === "no_worker") return `No worker runs the model ${model} at the moment.`;
  return wordsFor(error).cause;
}

/** Cause and remedy. */
export function inPlainWords(error, model = null) {
  const remedy = model === null ? wordsFor(error).remedy ?? "" : "Choose another model, or try again later.";
  return `${causeOf(error, model)} ${remedy}`.trim();
}

/** What to say about whatever was thrown. */
export function describe(error) {
  if (error instanceof Problem) return inPlainWords(error.body);
  if (error instanceof Unreachable) return error.message;
  return `Something went wrong in this page: ${error.message}. Load it again.`;
}

/** A place in the queue, as a `queued` event tells it. */
export function queuePlace({ position, eta_seconds: eta }) {
  const place = position === 1 ? "Next in the queue" : `Place ${position} in the queue`;
  return eta == null ? place : `${place}; your turn comes in ${aboutSeconds(eta)}`;
}

function aboutSeconds(seconds) {
  if (seconds < 60) return `about ${Math.max(1, Math.round(seconds))} s`;
  return `about ${Math.round(seconds / 60)} min`;
}

/** A setting that this server refuses; null where it is about anything else. */
function aboutSetting({ errors = [] }) {
  const wrong = errors.find(({ field }) => labelOf(field) !== null);
  return wrong ? { cause: sentence(`${labelOf(wrong.field)} ${wrong.message}`), remedy: "Change it in the settings." } : null;
}

function wordsFor(error) {
  const words = Object.hasOwn(WORDS, error.code) ? WORDS[error.code] : null;
  return words?.(error) ?? aboutSetting(error) ?? { cause: sentence(error.detail) };
}

function tooLong({ prompt_tokens: length, budget }) {
  if (!length || !budget) return "This is too long for the model.";
  return `This is too long for the model: ${length.toLocaleString("en")} tokens of ${budget.toLocaleString("en")}, and a reply needs room, too.`;
}

/** With an end, so that another one can follow. */
function sentence(text) {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}
