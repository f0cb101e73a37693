// The dialog with the library of personas: choose, keep, edit, delete.

import { announce, byId, button, element } from "./dom.js";
import { t } from "./language.js";
import { describe } from "./plain.js";
import { idFor } from "./personas.js";

export class PersonaDialog {
  /**
   * @param personas the library
   * @param {{use: (persona: object) => void, models: () => string[]}} actions
   *   `models`: the names of those that are served
   */
  constructor(personas, actions) {
    Object.assign(this, { personas, actions, edited: null, deleted: null, editButtons: new Map() });
    this.dialog = byId("persona-dialog");
    this.form = byId("persona-form");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.guarded(() => this.keep());
    });
    byId("new-persona").addEventListener("click", () => this.edit({}));
    byId("close-personas").addEventListener("click", () => this.dialog.close());
    byId("cancel-persona").addEventListener("click", () => this.cancel());
    byId("restore-persona").addEventListener("click", () => this.guarded(() => this.restore()));
  }

  /** Show what is kept. */
  open() {
    this.begin();
    this.showList();
    this.guarded(() => this.personas.load());
  }

  /** Write a new one. @param {{context?: string}} persona as far as it is known */
  openNew(persona) {
    this.begin();
    // Nothing but this was asked for: it ends the dialog.
    this.isAlone = true;
    this.edit(persona);
  }

  begin() {
    this.isAlone = false;
    this.deleted = null;
    this.complain("");
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** The library is another one, in this dialog or elsewhere. */
  draw() {
    const { kept } = this.personas;
    this.editButtons.clear();
    byId("kept-personas").replaceChildren(...kept.map((persona) => this.row(persona)));
    byId("no-personas").hidden = kept.length > 0 || this.deleted !== null;
    byId("deleted-persona").hidden = this.deleted === null;
    byId("deleted-persona-text").textContent = this.deleted === null ? "" : t("persona.deleted", { name: this.deleted.name });
    byId("personas-where").hidden = this.personas.isServers;
  }

  row(persona) {
    const use = button(persona.name, () => {
      this.dialog.close();
      this.actions.use(persona);
    });
    Object.assign(use, { className: "name", dir: "auto" });
    use.title = persona.context;
    const edit = button(t("edit"), () => this.edit(persona));
    this.editButtons.set(persona.id, edit);
    const remove = button(t("delete"), () => this.guarded(() => this.remove(persona)));
    edit.setAttribute("aria-label", t("persona.edit", { name: persona.name }));
    remove.setAttribute("aria-label", t("persona.delete", { name: persona.name }));
    return element("li", {}, use, edit, remove);
  }

  showList() {
    this.form.hidden = true;
    byId("persona-library").hidden = false;
    this.draw();
  }

  edit(persona) {
    this.edited = persona;
    this.complain("");
    byId("persona-library").hidden = true;
    this.form.hidden = false;
    byId("new-name").value = persona.name ?? "";
    byId("new-context").value = persona.context ?? "";
    this.offerModels(persona.model ?? "");
    byId("new-name").focus();
  }

  /** Where there is a choice; a persona may name a model that is not served now. */
  offerModels(chosen) {
    const served = this.actions.models();
    const names = [...new Set([...served, ...(chosen ? [chosen] : [])])];
    const any = element("option", { value: "", textContent: t("persona.any_model") });
    byId("new-model").replaceChildren(any, ...names.map((name) => element("option", { value: name, textContent: name })));
    byId("new-model").value = chosen;
    byId("new-model-box").hidden = served.length < 2 && chosen === "";
  }

  async keep() {
    const name = byId("new-name").value.trim();
    const context = byId("new-context").value.trim();
    if (name === "") return this.complain(t("persona.no_name"));
    await this.personas.keep({ id: this.edited.id ?? idFor(name), name, context, model: byId("new-model").value });
    announce(t("persona.kept", { name }));
    this.cancel();
  }

  /** Back to where the form was opened from. */
  cancel() {
    if (this.isAlone) {
      this.dialog.close();
      return;
    }
    this.complain("");
    this.showList();
    (this.editButtons.get(this.edited.id) ?? byId("new-persona")).focus();
  }

  async remove(persona) {
    await this.personas.remove(persona.id);
    this.deleted = persona;
    this.draw();
    byId("restore-persona").focus();
  }

  async restore() {
    const { deleted } = this;
    await this.personas.keep(deleted);
    this.deleted = null;
    this.draw();
    byId("new-persona").focus();
  }

  complain(text) {
    byId("persona-error").textContent = text;
    byId("persona-error").hidden = text === "";
  }

  async guarded(action) {
    this.complain("");
    try {
      await action();
    } catch (error) {
      this.complain(describe(error));
    }
  }
}
