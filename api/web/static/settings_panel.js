// The panel by the prompt with the settings of a conversation.

import { byId } from "./dom.js";
import { t } from "./language.js";
import { NUMBER_NAMES, numberOf, reasoningOf, recallsAll, refusalOf, summaryOf, written } from "./settings.js";

export class SettingsPanel {
  /** @param {(changes: Object<string, string|null>) => void} changed called with what was chosen; null: the server's own */
  constructor(changed) {
    this.changed = changed;
    this.notes = {};
    this.inputs = NUMBER_NAMES.map((name) => ({ name, input: byId(`setting-${name}`) }));
    this.thinking = byId("reasoning");
    this.recall = byId("recall");
    for (const { name, input } of this.inputs) {
      input.addEventListener("change", () => this.write(name, input));
      input.addEventListener("keydown", (event) => this.pressed(event, name, input));
    }
    this.thinking.addEventListener("change", () => {
      this.changed({ reasoning: this.thinking.value === "auto" ? null : this.thinking.value });
    });
    this.recall.addEventListener("change", () => this.changed({ recall: this.recall.value || null }));
    byId("clear-settings").addEventListener("click", () => {
      this.explain("");
      this.changed(Object.fromEntries([...NUMBER_NAMES, "recall"].map((name) => [name, null])));
      this.inputs[0].input.focus();
    });
  }

  /** Open it, to be changed at once. */
  reveal() {
    byId("settings-box").open = true;
    this.inputs[0].input.focus();
  }

  /** What holds for the conversation that is open. @param {number|null} id its own */
  show(notes, id) {
    const isOther = id !== this.id;
    Object.assign(this, { notes, id });
    for (const { name, input } of this.inputs) {
      // Nobody is interrupted who is typing.
      if (isOther || input !== document.activeElement) input.value = this.textOf(name);
    }
    this.thinking.value = reasoningOf(notes) ?? "auto";
    this.recall.value = recallsAll(notes) ? "all" : "";
    const summary = summaryOf(notes);
    byId("settings-summary").textContent = summary === "" ? "" : t("after_label", { text: summary });
    byId("clear-settings").hidden = summary === "";
  }

  /** Whether the server quotes from other conversations: where it lists them. */
  offerRecall(isOffered) {
    for (const part of [this.recall, ...this.recall.labels]) part.hidden = !isOffered;
  }

  textOf(name) {
    const value = numberOf(name, this.notes[name]);
    return value === null ? "" : written(value);
  }

  /** Take what was written; what cannot be taken is not kept and is explained. */
  write(name, input) {
    const number = numberOf(name, input.value);
    const isWrong = number === null && input.value.trim() !== "";
    this.explain(isWrong ? refusalOf(name) : "");
    if (isWrong) input.value = this.textOf(name);
    else this.changed({ [name]: number === null ? null : String(number) });
  }

  /** Enter takes it, and sends no prompt. */
  pressed(event, name, input) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    this.write(name, input);
  }

  explain(refusal) {
    byId("settings-hint").textContent = refusal || t("settings.hint");
    byId("settings-hint").classList.toggle("bad", refusal !== "");
  }
}
