// On narrow screens the sidebar is a drawer in front of the page.
//
// While it is open it is an entry of the browser's history, and Back closes it.

import { byId } from "./dom.js";

/** Where the style makes a drawer of it. */
const NARROW = matchMedia("(max-width: 45rem)");

const isForAnotherTab = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
const isDrawer = (state) => state?.drawer === true;

export class Drawer {
  /** @param {{opened: () => void}} view */
  constructor(view) {
    Object.assign(this, { view, isOpen: false });
    /** Whether the browser is on its way back from the drawer's entry. */
    this.isLeaving = false;
    this.toggle = byId("toggle-sidebar");
    this.toggle.addEventListener("click", () => this.open());
    for (const id of ["scrim", "close-sidebar"]) byId(id).addEventListener("click", () => this.close());
    byId("sidebar").addEventListener("click", (event) => this.chosen(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isOpen) this.close();
    });
    addEventListener("popstate", (event) => {
      this.isLeaving = false;
      this.show(isDrawer(event.state) && NARROW.matches);
    });
    NARROW.addEventListener("change", () => this.close());
    // A reload keeps the entry, but not the open drawer.
    if (isDrawer(history.state)) history.replaceState(null, "", location.href);
  }

  /** A conversation that is chosen takes the place of the drawer's entry: Back leads to the one before. */
  chosen(event) {
    const link = event.target.closest("#conversations .name");
    if (!link || !this.isOpen || isForAnotherTab(event)) return;
    event.preventDefault();
    if (link.href === location.href) this.close();
    else location.replace(link.href);
  }

  open() {
    if (this.isOpen) return;
    if (this.isLeaving) {
      addEventListener("popstate", () => this.open(), { once: true });
      return;
    }
    history.pushState({ drawer: true }, "", location.href);
    this.show(true);
  }

  /** Where something has taken the place of its entry there is nothing to go back from. */
  close() {
    if (!this.isOpen) return;
    this.show(false);
    if (!isDrawer(history.state)) return;
    this.isLeaving = true;
    history.back();
  }

  show(isOpen) {
    if (isOpen === this.isOpen) return;
    this.isOpen = isOpen;
    byId("sidebar").classList.toggle("open", isOpen);
    byId("scrim").hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    // Neither keys nor taps reach what is behind.
    for (const behind of document.querySelectorAll("main, .skip")) behind.inert = isOpen;
    (isOpen ? byId("close-sidebar") : this.toggle).focus();
    if (isOpen) this.view.opened();
  }
}
