// The page's language: the one chosen in this browser, else the first of the browser's own that there is.
//
// A classic script in the head: language and direction are set before anything is painted.

"use strict";
{
  const NAME = "palaver.language";
  /** The page's HTML is written in it, and what a language lacks is taken from it. */
  const REFERENCE = "en";
  /** By the file in languages/: what it calls itself, and its direction unless that is from left to right. */
  const LANGUAGES = {
    en: { name: "English" },
    de: { name: "Deutsch" },
    es: { name: "Español" },
    fr: { name: "Français" },
    "zh-Hans": { name: "简体中文" },
    ar: { name: "العربية", dir: "rtl" },
  };

  function stored() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null;
    }
  }

  function keep(language) {
    try {
      if (language === "") localStorage.removeItem(NAME);
      else localStorage.setItem(NAME, language);
    } catch {
      // Forbidden: the browser's own language holds.
    }
  }

  const isThere = (language) => language !== null && Object.hasOwn(LANGUAGES, language);

  /** Language and script: who reads Traditional Chinese is not given the Simplified one. */
  function written(tag) {
    const { language, script } = new Intl.Locale(tag).maximize();
    return `${language}-${script}`;
  }

  function preferred() {
    const chosen = stored();
    if (isThere(chosen)) return chosen;
    const inOrder = navigator.languages.map((tag) => Object.keys(LANGUAGES).find((each) => written(each) === written(tag)));
    return inOrder.find(Boolean) ?? REFERENCE;
  }

  function apply(language) {
    const root = document.documentElement;
    root.lang = language;
    root.dir = LANGUAGES[language].dir ?? "ltr";
    if (language === REFERENCE) return;
    // Nothing is shown until the texts are in their places (page_texts.js). They are on their way meanwhile.
    root.dataset.untranslated = "";
    import(`/web/languages/${language}.json`, { with: { type: "json" } }).catch(() => {});
  }

  function wireChoice() {
    const choice = document.getElementById("language");
    for (const [language, { name, dir = "ltr" }] of Object.entries(LANGUAGES)) {
      choice.append(Object.assign(new Option(name, language), { lang: language, dir }));
    }
    choice.value = isThere(stored()) ? stored() : "";
    choice.addEventListener("change", () => {
      keep(choice.value);
      location.reload();
    });
  }

  apply(preferred());
  document.addEventListener("DOMContentLoaded", wireChoice);
}
