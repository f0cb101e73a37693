// Which model answers, and what it can do.

import { byId, element } from "./dom.js";
import { isolated, t } from "./language.js";
import * as store from "./store.js";

const AGAIN_MS = 5000;
/** The server itself looks no more often. */
const FRESH_MS = 2000;
const ABILITIES = { reasoning: t("model.thinks"), tools: t("model.calls"), embeddings: t("model.embeds") };

/** One line: name, window, and what it can do beside chatting. */
export function described({ id, context_length: window, capabilities }) {
  const able = (capabilities ?? []).map((one) => ABILITIES[one]).filter(Boolean);
  return [isolated(id), window ? t("model.window", { count: window }) : "", ...able].filter(Boolean).join(" · ");
}

/** Those that a prompt can be sent to. */
export function chatting(models) {
  return models.filter(({ capabilities = [] }) => capabilities.length === 0 || capabilities.includes("chat"));
}

/**
 * What there is to choose from: `{value, text}` each; none where there is no choice.
 * @param {string[]} names of the models that chat
 * @param {string|null} chosen by the user for this conversation
 * @param {string|null} current the one that wrote the conversation's last reply
 */
export function optionsOf(names, chosen, current) {
  const gone = [...new Set([chosen, current])].filter((name) => name !== null && !names.includes(name));
  const isGone = names.length > 0 && gone.includes(chosen);
  if (names.length < 2 && !isGone) return [];
  return [
    ...(current === null ? [{ value: "", text: t("model.default") }] : []),
    ...names.map((name) => ({ value: name, text: name })),
    ...gone.map((name) => ({ value: name, text: t("model.gone", { name }) })),
  ];
}

/** The head's line, and the switches for model and thinking. */
export class ModelView {
  /**
   * @param {(hasSeveral: boolean, possible: object[]|null) => void} changed called with whether several
   *   models are served, and those that may answer next; null while that is not known
   */
  constructor(client, changed) {
    Object.assign(this, { client, changed, models: [], conversation: null, current: null, looked: 0, isKnown: false });
    this.choice = byId("model-choice");
    this.choice.addEventListener("change", () => this.choose(this.choice.value || null));
    this.choice.addEventListener("focus", () => this.lookAgain());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.lookAgain(); });
    this.show();
  }

  /** What the next prompt is sent with, beside its text. */
  get wishes() {
    return { model: this.chosen, reasoning: byId("reasoning-box").hidden ? "auto" : byId("reasoning").value };
  }

  /** Whether a worker is there, as far as is known. */
  get isManned() {
    return !this.isKnown || this.models.length > 0;
  }

  /** The model that the user chose for this conversation, or null. */
  get chosen() {
    return store.chosenModel(this.conversation);
  }

  choose(name) {
    store.chooseModel(this.conversation, name);
    this.show();
  }

  /** Another conversation is open, or its last reply is another model's. */
  open(conversation, current) {
    if (conversation === this.conversation && current === this.current) return;
    Object.assign(this, { conversation, current });
    this.show();
    const isKnown = current === null || this.models.some((one) => one.id === current);
    if (!isKnown) this.lookAgain();
  }

  /** Find out; again and again until there is a worker. The page works without. */
  async learn() {
    this.looked = Date.now();
    try {
      const { data } = await this.client.json("GET", "/v1/models");
      this.models = chatting(data);
      this.isKnown = true;
      this.show();
      if (data.length > 0) return;
    } catch (error) {
      if (error.status === 401 || error.status === 404) return;
    }
    this.later(AGAIN_MS);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.learn(), ms);
  }

  /** Models come and go. */
  lookAgain() {
    if (this.looked > 0) this.later(Math.max(0, this.looked + FRESH_MS - Date.now()));
  }

  show() {
    const { models } = this;
    this.showChoice();
    const name = this.chosen ?? this.current;
    const next = models.length === 1 ? models[0] : models.find((one) => one.id === name);
    const head = next ? described(next) : models.length > 1 ? t("model.several", { count: models.length }) : "";
    byId("model").replaceChildren(...(head ? [element("span", { textContent: head })] : []));
    byId("model").hidden = head === "";
    const possible = next ? [next] : models;
    byId("reasoning-box").hidden = !possible.some((one) => one.capabilities?.includes("reasoning"));
    this.changed(models.length > 1, this.isKnown ? possible : null);
  }

  showChoice() {
    const options = optionsOf(this.models.map((one) => one.id), this.chosen, this.current);
    const shown = JSON.stringify(options);
    // A list that is open stays as it is unless something is new.
    if (shown !== this.shown) {
      this.shown = shown;
      this.choice.replaceChildren(...options.map(({ value, text }) => element("option", { value, textContent: text })));
    }
    this.choice.value = this.chosen ?? this.current ?? "";
    byId("model-box").hidden = options.length === 0;
  }
}
