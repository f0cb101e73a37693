// Text files that go with the prompt: chosen, dropped or pasted, shown as chips.

import { announce, button, byId, element } from "./dom.js";
import { dropFiles } from "./dropping.js";
import { sentences, t } from "./language.js";
import { bytesOf, sizeOf } from "./sizes.js";
import { NotAttached, readText } from "./text_files.js";

const MOST_FILES = 20;

export class Attachments {
  /** @param {() => void} changed called after files came or went by hand */
  constructor(changed) {
    Object.assign(this, { changed, files: [], isLocked: false, list: byId("attachments") });
    const input = byId("attach-files");
    byId("attach").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const chosen = [...input.files];
      // The same file can be chosen again.
      input.value = "";
      this.add(chosen);
    });
    dropFiles(document.querySelector("main"), (dropped) => this.add(dropped));
    byId("prompt").addEventListener("paste", (event) => this.pasted(event));
  }

  /** Where a text comes with the files, as from a spreadsheet, that is what is meant. */
  pasted(event) {
    const { files, types } = event.clipboardData;
    if (files.length === 0 || types.includes("text/plain")) return;
    event.preventDefault();
    this.add([...files]);
  }

  /** Read files; those that cannot be attached are named. */
  async add(added) {
    if (this.isLocked) return;
    const refusals = [];
    const read = [];
    for (const file of added) {
      try {
        if (this.files.length + read.length >= MOST_FILES) throw new NotAttached(t("attach.too_many", { most: MOST_FILES }));
        read.push(await readText(file));
      } catch (error) {
        if (!(error instanceof NotAttached)) throw error;
        refusals.push(error.message);
      }
    }
    this.show([...this.files, ...read]);
    this.say(sentences(...new Set(refusals)));
    if (read.length > 0) announce(t("attach.added", { names: read.map(({ name }) => name).join(t("between_names")) }));
    this.changed();
    byId("prompt").focus();
  }

  /** Have these files and no others. */
  show(files) {
    this.files = files;
    this.list.replaceChildren(...files.map((file) => this.chip(file)));
    this.list.hidden = files.length === 0;
    this.say("");
  }

  chip(file) {
    const remove = button("✕", () => this.remove(file));
    remove.setAttribute("aria-label", t("attach.remove", { name: file.name }));
    const size = element("span", { className: "size", textContent: sizeOf(bytesOf(file.content)) });
    return element("li", {}, element("span", { className: "name", dir: "auto", textContent: file.name, title: file.name }), size, remove);
  }

  remove(file) {
    if (this.isLocked) return;
    this.show(this.files.filter((each) => each !== file));
    announce(t("attach.removed", { name: file.name }));
    this.changed();
    (this.list.querySelector("button") ?? byId("prompt")).focus();
  }

  /** What is wrong with them, below the chips. */
  say(text) {
    byId("attachments-note").textContent = text;
    byId("attachments-note").hidden = text === "";
  }
}
