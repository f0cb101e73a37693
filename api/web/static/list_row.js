// One conversation in the list: its link, and what can be done with it.

import { button, element } from "./dom.js";
import { t } from "./language.js";

const LONGEST_TITLE = 200;

export class ListRow {
  /** @param actions `{rename(id, title), pin(id, isPinned), remove(id, isByKeyboard), edited()}` */
  constructor(id, actions) {
    Object.assign(this, { id, actions, title: null, pinned: false });
    this.link = element("a", { className: "name", dir: "auto" });
    this.more = button("⋯", () => this.expand(this.group.hidden));
    this.more.className = "more";
    this.more.setAttribute("aria-expanded", "false");
    this.pin = button(t("row.pin"), () => {
      this.close();
      actions.pin(id, !this.pinned);
    });
    const remove = button(t("delete"), (event) => actions.remove(id, event.detail === 0));
    this.group = element("div", { className: "row-actions", hidden: true }, button(t("row.rename"), () => this.edit()), this.pin, remove);
    this.group.setAttribute("role", "group");
    this.snippet = element("p", { className: "snippet", dir: "auto", hidden: true });
    this.line = element("div", { className: "line" }, this.link, this.more);
    this.item = element("li", {}, this.line, this.snippet, this.group);
    this.item.addEventListener("keydown", (event) => this.pressed(event));
  }

  get isEdited() {
    return this.form !== undefined;
  }

  /** @param row `number` and `snippet` are those of a hit: its link leads to that message */
  show({ title, pinned, number = null, snippet = null }, isOpen) {
    const shown = JSON.stringify([title, pinned, number, snippet, isOpen]);
    // Of a thousand rows few change at a time.
    if (shown === this.shown) return;
    this.shown = shown;
    Object.assign(this, { title, pinned });
    const name = title ?? t("row.untitled");
    this.link.textContent = this.link.title = name;
    this.link.href = number === null ? `#${this.id}` : `#${this.id}/${number}`;
    if (isOpen) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
    for (const each of [this.more, this.group]) each.setAttribute("aria-label", t("row.actions", { name }));
    this.pin.textContent = t(pinned ? "row.unpin" : "row.pin");
    this.snippet.textContent = snippet ?? "";
    this.snippet.hidden = snippet === null || snippet === name;
  }

  expand(isOpen) {
    this.group.hidden = !isOpen;
    this.more.setAttribute("aria-expanded", String(isOpen));
  }

  pressed(event) {
    if (event.key !== "Escape" || this.group.hidden) return;
    // The list itself may be closed by Escape, too.
    event.stopPropagation();
    this.close();
  }

  close() {
    this.expand(false);
    this.more.focus();
  }

  /** Write another title: Enter or leaving takes it, Escape does not. An empty one takes it away. */
  edit() {
    this.expand(false);
    const input = element("input", { value: this.title ?? "", dir: "auto", maxLength: LONGEST_TITLE });
    input.setAttribute("aria-label", t("row.title"));
    this.form = element("form", {}, input);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.endEdit(input.value, true);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.endEdit(null, true);
    });
    input.addEventListener("blur", () => this.endEdit(input.value, false));
    this.line.replaceWith(this.form);
    input.focus();
    input.select();
  }

  /** @param {string|null} written null: it stays as it was */
  endEdit(written, takesFocus) {
    if (!this.isEdited) return;
    const { form } = this;
    // Taking it out of the page makes the input lose the focus.
    this.form = undefined;
    form.replaceWith(this.line);
    if (takesFocus) this.link.focus();
    const title = written?.trim() || null;
    if (written !== null && title !== this.title) this.actions.rename(this.id, title);
    this.actions.edited();
  }
}
