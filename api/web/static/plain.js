// Waits and errors in plain words: the cause, and what whoever reads it can do.
//
// The server's own details are for programs; they are shown where nothing better is known.

import { Problem, Unreachable } from "./client.js";
import { sentences, t } from "./language.js";
import { labelOf } from "./settings.js";

const SEND_LATER = t("error.send_later");
const WAIT = t("error.wait_reply");
const LOOK_INTO_LOG = t("error.look_into_log");

/** By the code of a problem, or of a failed turn's error: `{cause, remedy}`. */
const WORDS = {
  no_worker: () => ({ cause: t("error.no_worker") }),
  queue_full: () => ({ cause: t("error.queue_full"), remedy: SEND_LATER }),
  memory_short: () => ({ cause: t("error.memory_short"), remedy: t("error.memory_short_do") }),
  redis_away: () => ({ cause: t("error.redis_away"), remedy: t("error.redis_away_do") }),
  outcome_unknown: () => ({ cause: t("error.outcome_unknown") }),
  conversation_busy: () => ({ cause: t("error.conversation_busy"), remedy: WAIT }),
  nothing_to_continue: () => ({ cause: t("error.nothing_to_continue"), remedy: t("error.nothing_to_continue_do") }),
  nothing_to_summarise: () => ({ cause: t("error.nothing_to_summarise") }),
  context_length_exceeded: (error) => ({ cause: tooLong(error), remedy: t("error.too_long_do") }),
  deadline_exceeded: () => ({ cause: t("error.deadline_exceeded"), remedy: t("error.deadline_exceeded_do") }),
  worker_lost: () => ({ cause: t("error.worker_lost"), remedy: LOOK_INTO_LOG }),
  generation_failed: () => ({ cause: t("error.generation_failed"), remedy: LOOK_INTO_LOG }),
  internal_error: () => ({ cause: t("error.internal_error"), remedy: LOOK_INTO_LOG }),
  too_many_personas: () => ({ cause: t("error.too_many_personas"), remedy: t("error.too_many_personas_do") }),
  limit_requests: ({ limit }) => ({ cause: t("error.limit_requests", { limit }), remedy: t("error.limit_requests_do") }),
  limit_in_flight: ({ limit }) => ({ cause: t("error.limit_in_flight", { limit }), remedy: WAIT }),
  limit_queued: ({ limit }) => ({ cause: t("error.limit_queued", { limit }), remedy: WAIT }),
  limit_tokens: ({ limit }) => ({ cause: t("error.limit_tokens", { limit }), remedy: t("error.limit_tokens_do") }),
};

/**
 * The cause alone is for what is being tried again.
 * @param {{code: string, detail: string}} error as the server sends it, with its other members
 * @param {string|null} model that was asked for, if one was
 */
export function causeOf(error, model = null) {
  if (model !== null && error.code === "no_worker") return t("error.no_worker_of_model", { model });
  return wordsFor(error).cause;
}

/** Cause and remedy. */
export function inPlainWords(error, model = null) {
  return sentences(causeOf(error, model), model === null ? wordsFor(error).remedy : t("error.choose_model"));
}

/** What to say about whatever was thrown. */
export function describe(error) {
  if (error instanceof Problem) return inPlainWords(error.body);
  if (error instanceof Unreachable) return error.message;
  return t("error.page", { message: error.message });
}

/** A place in the queue, as a `queued` event tells it. */
export function queuePlace({ position, eta_seconds: eta }) {
  const place = position === 1 ? t("turn.next") : t("turn.place", { position });
  return eta == null ? place : t("turn.place_time", { place, time: aboutSeconds(eta) });
}

function aboutSeconds(seconds) {
  if (seconds < 60) return t("time.about_seconds", { seconds: Math.max(1, Math.round(seconds)) });
  return t("time.about_minutes", { minutes: Math.round(seconds / 60) });
}

/** A setting that this server refuses; null where it is about anything else. */
function aboutSetting({ errors = [] }) {
  const wrong = errors.find(({ field }) => labelOf(field) !== null);
  return wrong ? { cause: sentence(t("settings.refused", { setting: labelOf(wrong.field), reason: wrong.message })), remedy: t("error.change_setting") } : null;
}

function wordsFor(error) {
  const words = Object.hasOwn(WORDS, error.code) ? WORDS[error.code] : null;
  return words?.(error) ?? aboutSetting(error) ?? { cause: sentence(error.detail) };
}

function tooLong({ prompt_tokens: length, budget }) {
  if (!length || !budget) return t("error.too_long");
  return t("error.too_long_figures", { length, budget });
}

/** With an end, so that another one can follow. */
function sentence(text) {
  return /[.!?…。！？؟]\u2069?$/.test(text) ? text : `${text}.`;
}
