// Which model answers, and what it can do.

import { byId, element } from "./dom.js";
import * as store from "./store.js";

const AGAIN_MS = 5000;
const ABILITIES = { reasoning: "thinks", tools: "calls tools", embeddings: "embeds" };

/** Whether it is the one that is bundled, under its file's name or the name in its file. */
export function isDemo(name) {
  return /^smollm2[-_ ]135m/i.test(name);
}

/** One line: name, window, and what it can do beside chatting. */
export function described({ id, context_length: window, capabilities }) {
  const able = (capabilities ?? []).map((one) => ABILITIES[one]).filter(Boolean);
  return [id, window ? `${window.toLocaleString("en")} tokens` : "", ...able].filter(Boolean).join(" · ");
}

/** The head's line, the hint about the demo, and the switch for thinking. */
export class ModelView {
  constructor(client) {
    this.client = client;
    this.choice = byId("reasoning");
    this.choice.value = store.reasoning();
    // What is stored may be anything.
    if (this.choice.value === "") this.choice.value = "auto";
    this.choice.addEventListener("change", () => store.keepReasoning(this.choice.value));
    this.show([]);
  }

  /** How much the next reply is to think. */
  get reasoning() {
    return byId("reasoning-box").hidden ? "auto" : this.choice.value;
  }

  /** Find out; again and again until there is a worker. The page works without. */
  async learn() {
    try {
      const { data } = await this.client.json("GET", "/v1/models");
      this.show(data);
      if (data.length > 0) return;
    } catch (error) {
      if (error.status === 401 || error.status === 404) return;
    }
    setTimeout(() => this.learn(), AGAIN_MS);
  }

  show(models) {
    byId("model").replaceChildren(...models.map((one) => element("span", { textContent: described(one) })));
    byId("model").hidden = models.length === 0;
    byId("reasoning-box").hidden = !models.some((one) => one.capabilities?.includes("reasoning"));
    byId("demo").hidden = !models.some((one) => isDemo(one.id));
  }
}
