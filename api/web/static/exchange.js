// What brings conversations in and out: the menu of the list, with its import and its export of all.

import { Import } from "./bringing_in.js";
import { byId, save } from "./dom.js";
import { dropFiles, keepFilesOut } from "./dropping.js";
import { exportFile, listedIds } from "./export_all.js";
import { wireMenu } from "./menu.js";
import * as store from "./store.js";
import { TransferDialog } from "./transfer_dialog.js";

export class Exchange {
  constructor(client, sidebar) {
    Object.assign(this, { client, sidebar, dialog: new TransferDialog() });
    wireMenu(byId("toggle-list-menu"), byId("list-menu"));
    byId("import").addEventListener("click", () => this.dialog.open("Import conversations", true));
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
    this.dialog.open("Import conversations", false);
    const view = {
      progress: (done, total, name) => this.dialog.progress(done, total, `${name}: ${counted(done, total)} …`),
      waits: () => this.dialog.say("The server needs a moment. The import continues soon …"),
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
    this.dialog.open("Export all conversations", false);
    await this.dialog.run((signal) => this.bringOut(signal), () => "Nothing was exported.");
  }

  async bringOut(signal) {
    const { client, dialog } = this;
    dialog.progress(0, 0, "Looking for your conversations …");
    const ids = this.sidebar.isServers === false ? store.conversations().map(({ id }) => id) : await listedIds(client, signal);
    const show = (done, total) => dialog.progress(done, total, `${counted(done, total)} …`);
    const { parts, count } = await exportFile(client, ids, show, signal);
    signal.throwIfAborted();
    if (count === 0) return "There is nothing to export.";
    save(`palaver-${new Date().toISOString().slice(0, 10)}.json`, "application/json", parts);
    return `${conversations(count)} exported. The file can be imported again.`;
  }
}

/** What an import has done, in words. */
function outcomeOf({ imported, skipped, problems }) {
  const rest = [
    skipped > 0 ? `${conversations(skipped)} skipped: there was no prompt to read.` : "",
    problems.length > 0 ? `${problems.length.toLocaleString("en")} could not be imported:` : "",
  ];
  return [`${conversations(imported)} imported.`, ...rest].filter(Boolean).join(" ");
}

function counted(done, total) {
  return total === 0 ? "reading" : `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
}

function conversations(count) {
  return count === 1 ? "1 conversation" : `${count.toLocaleString("en")} conversations`;
}
