// What the open conversation is held with: its persona, settings and model, and where people choose them.

import { byId, element } from "./dom.js";
import { t } from "./language.js";
import { Notes } from "./notes.js";
import { PersonaDialog } from "./persona_dialog.js";
import { Personas } from "./personas.js";
import { recallsAll, samplingOf } from "./settings.js";
import { SettingsPanel } from "./settings_panel.js";
import * as store from "./store.js";

export class Tuning {
  /** @param page `{composer, model, welcome, failed(error)}` */
  constructor(client, page) {
    Object.assign(this, { page, id: null });
    this.notes = new Notes(client);
    this.panel = new SettingsPanel((changes) => this.change(changes));
    this.personas = new Personas(client, () => this.drawPersonas());
    this.dialog = new PersonaDialog(this.personas, {
      use: (persona) => this.use(persona),
      models: () => page.model.models.map((one) => one.id),
    });
    byId("keep-persona").addEventListener("click", () => {
      this.dialog.openNew({ name: this.persona?.name, context: page.composer.context });
    });
    byId("tune").addEventListener("click", () => this.panel.reveal());
    for (const id of ["all-personas", "welcome-personas"]) byId(id).addEventListener("click", () => this.dialog.open());
    byId("model-choice").addEventListener("change", () => this.keepModel());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.learnPersonas(); });
  }

  /** The persona whose instructions are in the composer, or null. */
  get persona() {
    return this.personas.with(this.page.composer.context);
  }

  async learnPersonas() {
    try {
      await this.personas.load();
    } catch (error) {
      this.page.failed(error);
    }
  }

  /** Hold the next prompt with a persona; null: with the server's own instructions. */
  use(persona) {
    this.page.composer.show(persona?.context ?? null);
    if (!persona?.model) return;
    this.page.model.choose(persona.model);
    this.keepModel();
  }

  /** Other instructions are in the composer. */
  talksTo(context) {
    const name = this.persona?.name ?? context?.split("\n", 1)[0];
    byId("persona-name").textContent = name === undefined ? "" : t("after_label", { text: name });
    byId("keep-persona").disabled = context === null || this.personas.kept.includes(this.persona);
    this.page.welcome.talksTo(context);
    this.drawHead();
  }

  drawPersonas() {
    this.dialog.draw();
    this.page.welcome.offerPersonas(this.personas.kept);
    this.panel.offerRecall(this.personas.isServers);
    this.talksTo(this.page.composer.context);
  }

  /** Another conversation may be open. */
  draw(id) {
    this.id = id;
    this.panel.show(this.settings, id);
    this.drawHead();
  }

  drawHead() {
    const name = (this.id === null ? this.persona?.name : this.notes.of(this.id).persona) ?? "";
    const label = element("span", { className: "visually-hidden", textContent: t("persona.speaks") });
    byId("persona-head").replaceChildren(...(name === "" ? [] : [label, name]));
    byId("persona-head").hidden = name === "";
  }

  /** What was chosen for the open conversation, as texts. */
  get settings() {
    const notes = this.notes.of(this.id);
    return this.id === null ? { ...notes, reasoning: store.reasoning() } : notes;
  }

  /** What is chosen for a new conversation about thinking, and its model, is offered for the next one, too. */
  change({ reasoning, ...changes }) {
    const isThinking = reasoning !== undefined;
    if (isThinking && this.id === null) store.keepReasoning(reasoning ?? "auto");
    else this.notes.change(this.id, isThinking ? { ...changes, reasoning } : changes);
    this.draw(this.id);
  }

  keepModel() {
    if (this.id !== null) this.notes.change(this.id, { model: this.page.model.chosen });
  }

  /** What the server knows of a conversation that was opened. */
  learn(id, metadata) {
    this.notes.learn(id, metadata);
    const { model } = this.notes.of(id);
    if (model) this.page.model.choose(model);
    this.draw(id);
  }

  /** Send a prompt with what is chosen; returns when its turn has ended. */
  async say(conversation, prompt, context, from) {
    for (const box of document.querySelectorAll(".tuning details")) box.open = false;
    const { id, context: before } = conversation;
    await conversation.send(prompt, context, from, this.wishes);
    if (id !== null && conversation.id === id && conversation.context !== before) this.speaksAs(id, conversation.context);
  }

  /** A conversation has other instructions from now on. */
  speaksAs(id, context) {
    this.notes.change(id, { persona: this.personas.with(context)?.name ?? null });
    this.drawHead();
  }

  /** Go on with the last reply, with what is chosen now. */
  async goOn(conversation) {
    await conversation.goOn(this.wishes);
  }

  get wishes() {
    const { model, reasoning } = this.page.model.wishes;
    const sampling = samplingOf(this.settings);
    const recall = this.personas.isServers && recallsAll(this.settings) ? "all" : "own";
    return { model, reasoning, recall, sampling, notes: this.notesToBegin(model, reasoning) };
  }

  /** What a conversation that begins now is to keep. */
  notesToBegin(model, reasoning) {
    return {
      ...this.notes.of(null),
      ...(this.persona && { persona: this.persona.name }),
      ...(model && { model }),
      ...(reasoning !== "auto" && { reasoning }),
    };
  }

  /** A conversation was accepted that was begun with these notes. */
  began(id, notes) {
    if (id !== undefined && notes) this.notes.began(id, notes);
  }

  /** The open conversation is gone with its first turn. */
  gone() {
    this.notes.gone(this.id);
  }
}
