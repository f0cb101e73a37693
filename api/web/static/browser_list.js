// The conversations that this browser remembers, where the server lists none.

import { byId, element } from "./dom.js";
import * as store from "./store.js";

export class BrowserList {
  constructor() {
    this.drawn = "";
  }

  /** @param {number|null} open the conversation that is open */
  draw(open) {
    const own = store.conversations();
    const wanted = JSON.stringify([open, own]);
    // Who is in the list with the keyboard stays there.
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const items = own.map(({ id, name }) => {
      const link = element("a", { className: "name", dir: "auto", href: `#${id}`, textContent: name, title: name });
      if (id === open) link.setAttribute("aria-current", "page");
      return element("li", {}, link);
    });
    byId("conversations").replaceChildren(element("ul", {}, ...items));
    byId("no-conversations").hidden = items.length > 0;
  }
}
