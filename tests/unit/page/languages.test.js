// Every language has all texts, and a browser is given the language that it asks for.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

import { load } from "./browser.js";

const STATIC = new URL("../../../api/web/static/", import.meta.url);
const source = (name) => readFileSync(new URL(name, STATIC), "utf8");
const LANGUAGES = readdirSync(new URL("languages/", STATIC)).map((name) => name.replace(".json", ""));
const textsOf = (language) => JSON.parse(source(`languages/${language}.json`));
const english = textsOf("en");
/** They may name their number: "a file", "two files". */
const OF_ONE_NUMBER = ["zero", "one", "two"];

const formsOf = (text) => (typeof text === "string" ? { other: text } : text);
const placesIn = (text) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

for (const language of LANGUAGES) {
  const texts = textsOf(language);

  test(`${language} has the texts of English, in its order`, () => {
    assert.deepEqual(Object.keys(texts), Object.keys(english));
    // A key that is there twice would be read as one.
    assert.equal(source(`languages/${language}.json`).match(/^ {2}"/gm).length, Object.keys(english).length);
  });

  test(`${language} has the same places in each text`, () => {
    for (const [key, text] of Object.entries(texts)) {
      const wanted = placesIn(formsOf(english[key]).other);
      for (const [category, form] of Object.entries(formsOf(text))) {
        const mayLeaveOut = OF_ONE_NUMBER.includes(category) && !form.includes("{count}");
        assert.deepEqual(placesIn(form), mayLeaveOut ? wanted.filter((place) => place !== "{count}") : wanted, `${key}, ${category}`);
      }
    }
  });

  test(`${language} has all forms of its plurals`, () => {
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories.toSorted();
    for (const [key, text] of Object.entries(texts)) {
      assert.equal(typeof text, typeof english[key], key);
      if (typeof text !== "string") assert.deepEqual(Object.keys(text).toSorted(), categories, key);
    }
  });

  test(`${language} can be chosen`, () => {
    assert.equal(begun({ stored: language }).lang, language);
  });
}

/** The root of a page in whose head the language was chosen. */
function begun({ languages = [], stored = null }) {
  const root = { dataset: {} };
  const globals = {
    document: { documentElement: root, addEventListener() {} },
    localStorage: { getItem: () => stored },
    navigator: { languages },
  };
  vm.runInNewContext(source("choose_language.js"), globals);
  return root;
}

test("the first of the browser's languages that there is", () => {
  assert.equal(begun({ languages: ["en-GB", "de"] }).lang, "en");
  assert.equal(begun({ languages: ["de-AT", "en"] }).lang, "de");
  assert.equal(begun({ languages: ["tlh", "de", "en"] }).lang, "de");
  assert.equal(begun({ languages: ["tlh"] }).lang, "en");
  assert.equal(begun({ languages: ["zh-CN", "en"] }).lang, "zh-Hans");
  assert.equal(begun({ languages: ["zh-TW", "en"] }).lang, "en");
  assert.equal(begun({ languages: [] }).lang, "en");
});

test("what was chosen goes before what the browser wants, if it is there", () => {
  assert.equal(begun({ languages: ["en"], stored: "de" }).lang, "de");
  assert.equal(begun({ languages: ["de"], stored: "tlh" }).lang, "de");
  assert.equal(begun({ languages: ["de"], stored: "toString" }).lang, "de");
});

test("English is there as the page comes; others are shown once their texts are", () => {
  assert.equal("untranslated" in begun({ stored: "en" }).dataset, false);
  assert.equal("untranslated" in begun({ stored: "de" }).dataset, true);
});

test("Arabic runs from right to left", () => {
  assert.equal(begun({ stored: "ar" }).dir, "rtl");
  assert.equal(begun({ stored: "de" }).dir, "ltr");
});

async function inLanguage(lang, dir = "ltr") {
  globalThis.document = { documentElement: { lang, dir } };
  try {
    return await load("language.js");
  } finally {
    delete globalThis.document;
  }
}

test("texts, plurals, numbers and dates are the language's", async () => {
  const { t, number, date } = await inLanguage("de");
  assert.equal(t("cancel"), "Abbrechen");
  assert.equal(t("thought.tokens", { count: 1 }), "1 Token");
  assert.equal(t("thought.tokens", { count: 12_345 }), "12.345 Tokens");
  assert.equal(number(0.75), "0,75");
  assert.equal(date(new Date(2026, 10, 27), { weekday: "long", day: "numeric", month: "long" }), "Freitag, 27. November");
});

test("in Arabic there are six forms, and digits are those that people type into settings", async () => {
  const { t, date } = await inLanguage("ar", "rtl");
  const shown = [0, 1, 2, 3, 11, 100].map((count) => t("thought.tokens", { count }));
  assert.deepEqual(shown, ["لا رموز", "رمز واحد", "رمزان", "3 رموز", "11 رمزًا", "100 رمز"]);
  assert.match(date(new Date(2026, 10, 27), { day: "numeric", month: "long" }), /^27 /);
});

test("from right to left, a name in another script does not turn the words around it", async () => {
  const { t } = await inLanguage("ar", "rtl");
  assert.equal(t("row.deleted", { name: "notes.txt (2)" }), "تم الحذف: \u2068notes.txt (2)\u2069.");
});

test("what a user wrote is inserted as it is", async () => {
  const { t } = await inLanguage("en");
  assert.equal(t("row.deleted", { name: "$& {name} {count}" }), "Deleted: $& {name} {count}.");
});

test("a language whose file cannot be had is English", async () => {
  const { t } = await inLanguage("tlh");
  assert.equal(t("thought.tokens", { count: 2 }), "2 tokens");
});
