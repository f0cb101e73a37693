// What brings conversations in and out: the menu of the list, with its import and its export of all.

import { Import } from "./bringing_in.js";
import { byId, save } from "./dom.js";
import { dropFiles, keepFilesOut } from "./dropping.js";
import { exportFile, listedIds } from "./export_all.js";
import { sentences, t } from "./language.js";
import { wireMenu } from "./menu.js";
import * as store from "./store.js";
import { TransferDialog } from "./transfer_dialog.js";

export class Exchange {
  constructor(client, sidebar) {
    Object.assign(this, { client, sidebar, dialog: new TransferDialog() });
    wireMenu(byId("toggle-list-menu"), byId("list-menu"));
    byId("import").addEventListener("click", () => this.dialog.open(t("import.title"), true));
    byId("export-all").addEventListener("click", () => this.exportAll());
    byId("choose-import").addEventListener("click", () => byId("import-files").click());
    byId("import-files").addEventListener("change", () => this.chosen());
    for (const id of ["transfer", "sidebar"]) dropFiles(byId(id), (files) => this.importFiles(files));
    keepFilesOut();
  }

  chosen() {
    const files = [...byId("import-files").files];
    // The same file can be chosen again.
    byId("import-files").value = "";
    this.importFiles(files);
  }

  async importFiles(files) {
    if (files.length === 0 || this.dialog.isRunning) return;
    this.dialog.open(t("import.title"), false);
    const view = {
      progress: (done, total, name) => this.dialog.progress(done, total, t("import.progress", { name, progress: counted(done, total) })),
      waits: () => this.dialog.say(t("import.waits")),
    };
    const running = new Import(this.client, view);
    await this.dialog.run((signal) => this.bringIn(running, files, signal), () => outcomeOf(running));
    this.learn(running.arrived);
  }

  async bringIn(running, files, signal) {
    try {
      await running.run(files, signal);
    } finally {
      this.dialog.list(running.problems);
    }
    return outcomeOf(running);
  }

  /** A server that lists nothing leaves it to this browser to know them. */
  learn(arrived) {
    if (this.sidebar.isServers !== false) return;
    store.learn(arrived);
    this.sidebar.drawOwn();
  }

  async exportAll() {
    this.dialog.open(t("export.title"), false);
    await this.dialog.run((signal) => this.bringOut(signal), () => t("export.nothing"));
  }

  async bringOut(signal) {
    const { client, dialog } = this;
    dialog.progress(0, 0, t("export.looking"));
    const ids = this.sidebar.isServers === false ? store.conversations().map(({ id }) => id) : await listedIds(client, signal);
    const show = (done, total) => dialog.progress(done, total, counted(done, total));
    const { parts, count } = await exportFile(client, ids, show, signal);
    signal.throwIfAborted();
    if (count === 0) return t("export.nothing_there");
    save(`palaver-${new Date().toISOString().slice(0, 10)}.json`, "application/json", parts);
    return t("export.done", { count });
  }
}

/** What an import has done, in words. */
function outcomeOf({ imported, skipped, problems }) {
  return sentences(
    t("import.done", { count: imported }),
    skipped > 0 && t("import.skipped", { count: skipped }),
    problems.length > 0 && t("import.failed", { count: problems.length }),
  );
}

function counted(done, total) {
  return total === 0 ? t("transfer.reading") : t("transfer.counted", { done, total });
}
