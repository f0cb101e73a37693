// How the replies of one conversation are made: temperature, longest reply, thinking.
//
// They are kept as texts, because a conversation's metadata are. What is missing is the server's own.

const LEVELS = ["off", "low", "medium", "high"];

/** By the name that requests give them: what people call it, what it may be, how it is summed up. */
const NUMBERS = {
  temperature: {
    label: "Temperature",
    allowed: "a number from 0 to 2",
    isAllowed: (text) => /^\d(\.\d{1,6})?$/.test(text) && Number(text) <= 2,
    summary: (value) => `temperature ${value}`,
  },
  max_tokens: {
    label: "Longest reply",
    allowed: "a number of tokens",
    isAllowed: (text) => /^[1-9]\d{0,8}$/.test(text),
    summary: (value) => `at most ${value.toLocaleString("en")} ${value === 1 ? "token" : "tokens"}`,
  },
};

export const NUMBER_NAMES = Object.keys(NUMBERS);

/** The number that a text stands for, or null where it stands for none that is allowed. */
export function numberOf(name, text) {
  // A comma, where people write one in place of a point.
  const written = String(text ?? "").trim().replace(",", ".");
  return NUMBERS[name].isAllowed(written) ? Number(written) : null;
}

/** What people call a member of requests, or null where it is none of these settings. */
export function labelOf(name) {
  return Object.hasOwn(NUMBERS, name) ? NUMBERS[name].label : null;
}

/** Why a text cannot be taken, and what is to be written instead. */
export function refusalOf(name) {
  return `${NUMBERS[name].label} is ${NUMBERS[name].allowed}.`;
}

/** How much to think, or null where that is not chosen. */
export function reasoningOf(notes) {
  return LEVELS.includes(notes.reasoning) ? notes.reasoning : null;
}

/** What a request is sent with; metadata may hold anything. */
export function samplingOf(notes) {
  const numbers = NUMBER_NAMES.map((name) => [name, numberOf(name, notes[name])]);
  return Object.fromEntries(numbers.filter(([, value]) => value !== null));
}

/** In a few words; empty where all is the server's own. */
export function summaryOf(notes) {
  const sampling = samplingOf(notes);
  return Object.entries(sampling).map(([name, value]) => NUMBERS[name].summary(value)).join(" · ");
}
