// Texts, numbers and times in the page's language.

import english from "./languages/en.json" with { type: "json" };

/** Chosen in the head (choose_language.js). Pages without a choice are English, and so is what has no page. */
const language = globalThis.document?.documentElement.lang || "en";
const isRightToLeft = globalThis.document?.documentElement.dir === "rtl";
const texts = language === "en" ? english : { ...english, ...await translated() };

/** Dates as where the reader lives; digits as people type them, and as models and programs write them. */
const region = globalThis.navigator?.languages?.find((tag) => tag.startsWith(`${language}-`)) ?? language;
const LOCALE = `${region}-u-nu-latn`;
const plurals = new Intl.PluralRules(LOCALE);

async function translated() {
  try {
    return (await import(`./languages/${language}.json`, { with: { type: "json" } })).default;
  } catch {
    return {};
  }
}

/**
 * A text of the page, with values in its places. Where it has several forms, `count` decides.
 * @param {Object<string, string|number>} values
 */
export function t(key, values = {}) {
  const text = texts[key];
  const form = typeof text === "string" ? text : text[plurals.select(values.count)] ?? text.other;
  return form.replaceAll(/\{(\w+)\}/g, (_, name) => inserted(values[name]));
}

function inserted(value) {
  return typeof value === "number" ? number(value) : isolated(value);
}

/** A name, or an error: in another script it must not turn the words around it. */
export function isolated(text) {
  return isRightToLeft ? `\u2068${text}\u2069` : text;
}

/** @param {Intl.NumberFormatOptions} [options] */
export function number(value, options) {
  return value.toLocaleString(LOCALE, options);
}

/** @param {Intl.DateTimeFormatOptions} [options] */
export function date(moment, options) {
  return moment.toLocaleString(LOCALE, options);
}

/** One behind the other; empty ones are left out. */
export function sentences(...all) {
  return all.filter(Boolean).join(t("between_sentences"));
}
