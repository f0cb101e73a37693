// Draws the server's list: groups of rows, more of them as one scrolls, arrow keys.

import { byId, element } from "./dom.js";
import { grouped } from "./days.js";
import { t } from "./language.js";
import { ListRow } from "./list_row.js";

/** So far before its end more is loaded. */
const AHEAD = "400px";

export class ListView {
  /** @param actions as those of `ListRow`, and `more()` */
  constructor(list, search, actions) {
    Object.assign(this, { list, search, rows: new Map(), order: "", query: "", inView: null });
    this.actions = { ...actions, edited: () => this.draw() };
    this.box = byId("conversations");
    this.end = element("p", { className: "hint", textContent: t("list.loading") });
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    this.observer = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) actions.more(); }, { root: this.box, rootMargin: AHEAD });
  }

  draw() {
    if ([...this.rows.values()].some((row) => row.isEdited)) return;
    const groups = this.groups();
    this.fill(groups.flatMap((group) => group.rows));
    this.arrange(groups);
    const isEmpty = groups.length === 0;
    byId("no-conversations").hidden = !isEmpty || (this.search.isOn && !this.search.isLoaded);
    byId("no-conversations").textContent = t(this.search.isOn ? "search.nothing" : "list.empty");
    this.bringIntoView();
    this.watchEnd();
  }

  groups() {
    const { list, search } = this;
    if (!search.isOn) return grouped(list.rows(), (row) => list.isBeyond(row));
    const hits = search.rows(list);
    return hits.length > 0 ? [{ name: t("search.hits"), rows: hits }] : [];
  }

  /** Each row says what is known of its conversation; the element stays the same. */
  fill(shown) {
    for (const one of shown) {
      if (!this.rows.has(one.id)) this.rows.set(one.id, new ListRow(one.id, this.actions));
      this.rows.get(one.id).show(one, one.id === this.list.open);
    }
    const ids = new Set(shown.map((one) => one.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
  }

  arrange(groups) {
    const order = JSON.stringify(groups.map(({ name, rows }) => [name, rows.map((row) => row.id)]));
    if (order === this.order) return;
    this.order = order;
    const focused = this.box.contains(document.activeElement) ? document.activeElement : null;
    // Another search begins at its first hit.
    const scrollTop = this.search.query === this.query ? this.box.scrollTop : 0;
    this.query = this.search.query;
    this.box.replaceChildren(...groups.map((group) => this.section(group)), this.end);
    this.box.scrollTop = scrollTop;
    // Who is in the list with the keyboard stays there.
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  section({ name, rows }) {
    const heading = element("h2", { textContent: name });
    const items = element("ul", {}, ...rows.map((row) => this.rows.get(row.id).item));
    items.setAttribute("aria-label", name);
    return element("section", {}, heading, items);
  }

  /** The open one, once: who scrolls away from it is let. */
  bringIntoView(isAgain = false) {
    const { open } = this.list;
    if ((open === this.inView && !isAgain) || (open !== null && !this.rows.has(open))) return;
    this.inView = open;
    this.rows.get(open)?.item.scrollIntoView({ block: "nearest" });
  }

  /** Observed anew, because it may be in sight still after a page that was short. */
  watchEnd() {
    const { hasMore } = this.search.isOn ? this.search : this.list;
    this.observer.disconnect();
    this.end.hidden = !hasMore;
    if (hasMore) this.observer.observe(this.end);
  }

  pressed(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const links = [...this.box.querySelectorAll(".name")];
    const place = links.indexOf(event.target);
    if (place < 0 || !(event.key in steps)) return;
    event.preventDefault();
    links[Math.max(0, Math.min(links.length - 1, place + steps[event.key]))].focus();
  }
}
