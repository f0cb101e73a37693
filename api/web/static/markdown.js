// Markdown becomes HTML on the server; here it is put into the page, in one place.

import { copyButton, element } from "./dom.js";

const AT_ONCE = 20;
/** Characters that the server renders together. */
const LARGEST = 100_000;
const BETWEEN_MS = 300;

const policy = globalThis.trustedTypes?.createPolicy("palaver", { createHTML: (html) => html });

/** Fill elements with their texts; where the server cannot render, the plain text stays. */
export async function renderAll(client, pairs) {
  for (const some of portions(pairs.filter(([, text]) => text.length <= LARGEST))) {
    const html = await htmlOf(client, some.map(([, text]) => text));
    html?.forEach((one, index) => fill(some[index][0], one));
  }
}

function portions(pairs) {
  const found = [[]];
  let length = 0;
  for (const pair of pairs) {
    if (found.at(-1).length === AT_ONCE || length + pair[1].length > LARGEST) {
      found.push([]);
      length = 0;
    }
    found.at(-1).push(pair);
    length += pair[1].length;
  }
  return found.filter((some) => some.length > 0);
}

async function htmlOf(client, texts) {
  try {
    return (await client.json("POST", "/web/markdown", { body: { texts } })).html;
  } catch {
    return null;
  }
}

function fill(target, html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  for (const block of template.content.querySelectorAll("pre")) {
    const code = block.textContent;
    block.tabIndex = 0;
    block.append(copyButton(() => code));
  }
  target.replaceChildren(template.content);
}

/** Where a text goes on: in the last paragraph, or item of a list; else behind everything. */
function lastBlock(node) {
  const last = node.lastElementChild;
  return last && ["P", "UL", "OL", "LI", "BLOCKQUOTE"].includes(last.tagName) ? lastBlock(last) : node;
}

/** A text that grows: what the server has rendered, and behind it the rest as it is. */
export class Growing {
  constructor(client, target) {
    this.client = client;
    this.rendered = element("div");
    this.tail = element("span", { className: "tail" });
    this.text = "";
    this.shown = 0;
    this.busy = false;
    this.rendered.append(this.tail);
    target.replaceChildren(this.rendered);
  }

  add(piece) {
    this.text += piece;
    this.tail.textContent = this.text.slice(this.shown);
    if (!this.busy) this.render();
  }

  async render() {
    this.busy = true;
    const text = this.text;
    if (text.length <= LARGEST) {
      const html = await htmlOf(this.client, [text]);
      if (html) {
        fill(this.rendered, html[0]);
        this.shown = text.trimEnd().length;
        this.tail.textContent = this.text.slice(this.shown);
        lastBlock(this.rendered).append(this.tail);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    this.busy = false;
    if (this.text.length > text.length) this.render();
  }
}
