// The empty page: what this is, which model answers, and what to begin with.

import { button, byId, element, withCode } from "./dom.js";
import { t } from "./language.js";
import { SUGGESTED } from "./personas.js";

/** Within reach of a model of a hundred million parameters: it invents, knows next to nothing, and reads only English. */
const FOR_DEMO = [
  "Write a short poem about the sea.",
  "Tell me a story about a cat and a robot.",
  "Write a friendly birthday greeting.",
];
const FOR_ALL = [
  t("start.refrigerator"),
  t("start.dinners"),
  t("start.mail"),
];
const FOR_THINKERS = [
  t("start.riddle"),
  ...FOR_ALL.slice(1),
];

/** As many of somebody's own personas are offered; all are in the library. */
const OFFERED = 8;

/** What every one of these models can do. */
export function promptsFor(models) {
  if (models.some((model) => model.demo)) return FOR_DEMO;
  return models.every((model) => model.capabilities?.includes("reasoning")) ? FOR_THINKERS : FOR_ALL;
}

/** Which model answers, in a sentence; code stands in backticks. */
export function answering(models) {
  if (models.length === 0) return t("welcome.nobody");
  if (models.length > 1) return t("welcome.several", { count: models.length });
  const [{ id, demo }] = models;
  return t(demo ? "welcome.demo_answers" : "welcome.answers", { model: id });
}

export class Welcome {
  /** @param {{ask: (prompt: string) => void, become: (persona: object|null) => void}} actions */
  constructor(actions) {
    Object.assign(this, { actions, context: null, offered: [] });
    this.offerPersonas([]);
  }

  /** Somebody's own, and what is suggested. */
  offerPersonas(kept) {
    const suggested = SUGGESTED.filter(({ context }) => kept.every((persona) => persona.context !== context));
    const offered = [...kept.slice(0, OFFERED), ...suggested];
    if (JSON.stringify(offered) === JSON.stringify(this.offered)) return;
    this.offered = offered;
    this.buttons = offered.map((persona) => button(persona.name, () => this.actions.become(this.isChosen(persona) ? null : persona)));
    byId("persona-choice").replaceChildren(...this.buttons);
    this.talksTo(this.context);
  }

  isChosen(persona) {
    return persona.context.trim() === this.context;
  }

  /** Those that may answer the next prompt; null while that is not known. */
  answeredBy(models) {
    byId("answers").replaceChildren(...withCode(models === null ? "" : answering(models)));
    byId("answers").classList.toggle("bad", models?.length === 0);
    byId("demo").hidden = !models?.some((model) => model.demo);
    byId("beginnings").hidden = !models?.length;
    if (models?.length) this.offer(promptsFor(models));
  }

  offer(prompts) {
    const shown = prompts.join("\n");
    // Whoever is at one of them with the keyboard stays there.
    if (shown === this.shown) return;
    this.shown = shown;
    const items = prompts.map((prompt) => element("li", prompts === FOR_DEMO ? { lang: "en", dir: "ltr" } : {}, button(prompt, () => this.actions.ask(prompt))));
    byId("starts").replaceChildren(...items);
  }

  /** The persona that the next prompt is sent with. */
  talksTo(context) {
    this.context = context;
    for (const [index, persona] of this.offered.entries()) this.buttons[index].ariaPressed = String(this.isChosen(persona));
  }
}
