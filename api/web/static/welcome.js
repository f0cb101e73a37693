// The empty page: what this is, which model answers, and what to begin with.

import { button, byId, element, withCode } from "./dom.js";
import { PERSONAS, personaName } from "./personas.js";

/** Within reach of a model of a hundred million parameters: it invents, and knows next to nothing. */
const FOR_DEMO = [
  "Write a short poem about the sea.",
  "Tell me a story about a cat and a robot.",
  "Write a friendly birthday greeting.",
];
const FOR_ALL = [
  "Explain to a ten-year-old how a refrigerator works.",
  "Plan three quick dinners with potatoes.",
  "Write a polite mail that moves a meeting to Friday.",
];
const FOR_THINKERS = [
  "A bat and a ball cost 1.10 together. The bat costs 1.00 more than the ball. What does the ball cost?",
  ...FOR_ALL.slice(1),
];

/** What every one of these models can do. */
export function promptsFor(models) {
  if (models.some((model) => model.demo)) return FOR_DEMO;
  return models.every((model) => model.capabilities?.includes("reasoning")) ? FOR_THINKERS : FOR_ALL;
}

/** Which model answers, in a sentence; code stands in backticks. */
export function answering(models) {
  if (models.length === 0) return "No worker is running. On the server: `make run`";
  if (models.length > 1) return `${models.length} models can answer. Choose one below.`;
  const [{ id, demo }] = models;
  return demo ? `${id} answers: a demo model.` : `${id} answers.`;
}

export class Welcome {
  /** @param {{ask: (prompt: string) => void, become: (persona: string|null) => void}} actions */
  constructor(actions) {
    this.actions = actions;
    this.context = null;
    this.buttons = PERSONAS.map(({ name, text }) => button(name, () => actions.become(this.context === text ? null : text)));
    byId("personas").append(...this.buttons);
    this.talksTo(null);
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
    const items = prompts.map((prompt) => element("li", {}, button(prompt, () => this.actions.ask(prompt))));
    byId("starts").replaceChildren(...items);
  }

  /** The persona that the next prompt is sent with. */
  talksTo(context) {
    this.context = context;
    for (const [index, { text }] of PERSONAS.entries()) this.buttons[index].ariaPressed = String(text === context);
    byId("persona-name").textContent = context === null ? "" : `: ${personaName(context)}`;
  }
}
