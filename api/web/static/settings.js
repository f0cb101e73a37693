// How the replies of one conversation are made: temperature, longest reply, thinking.
//
// They are kept as texts, because a conversation's metadata are. What is missing is the server's own.

import { number, t } from "./language.js";

const LEVELS = ["off", "low", "medium", "high"];

/** By the name that requests give them: what people call it, why a text is refused, how it is summed up. */
const NUMBERS = {
  temperature: {
    label: t("settings.temperature"),
    refusal: t("settings.temperature_refused"),
    isAllowed: (text) => /^\d(\.\d{1,6})?$/.test(text) && Number(text) <= 2,
    summary: (value) => t("settings.temperature_short", { value: written(value) }),
  },
  max_tokens: {
    label: t("settings.longest"),
    refusal: t("settings.longest_refused"),
    isAllowed: (text) => /^[1-9]\d{0,8}$/.test(text),
    summary: (value) => t("settings.longest_short", { count: value }),
  },
};

export const NUMBER_NAMES = Object.keys(NUMBERS);

/** The number that a text stands for, or null where it stands for none that is allowed. */
export function numberOf(name, text) {
  // A comma, where people write one in place of a point.
  const plain = String(text ?? "").trim().replace(",", ".");
  return NUMBERS[name].isAllowed(plain) ? Number(plain) : null;
}

/** As `numberOf` reads it. */
export function written(value) {
  return number(value, { useGrouping: false, maximumFractionDigits: 6 });
}

/** What people call a member of requests, or null where it is none of these settings. */
export function labelOf(name) {
  return Object.hasOwn(NUMBERS, name) ? NUMBERS[name].label : null;
}

/** Why a text cannot be taken, and what is to be written instead. */
export function refusalOf(name) {
  return NUMBERS[name].refusal;
}

/** How much to think, or null where that is not chosen. */
export function reasoningOf(notes) {
  return LEVELS.includes(notes.reasoning) ? notes.reasoning : null;
}

/** Whether prompts are looked for in the owner's other conversations, too. */
export function recallsAll(notes) {
  return notes.recall === "all";
}

/** What a request is sent with; metadata may hold anything. */
export function samplingOf(notes) {
  const numbers = NUMBER_NAMES.map((name) => [name, numberOf(name, notes[name])]);
  return Object.fromEntries(numbers.filter(([, value]) => value !== null));
}

/** In a few words; empty where all is the server's own. */
export function summaryOf(notes) {
  const numbers = Object.entries(samplingOf(notes)).map(([name, value]) => NUMBERS[name].summary(value));
  return [...numbers, ...(recallsAll(notes) ? [t("recall.short")] : [])].join(" · ");
}
