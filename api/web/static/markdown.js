// Markdown becomes HTML on the server; here it is put into the page, in one place.

import { copyButton, element } from "./dom.js";
import { pieces, settled } from "./fences.js";

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

/** What each element was filled with, node by node. */
const filled = new WeakMap();

/** Put HTML into an element; what stays the same at its beginning stays, with focus and selection. */
function fill(target, html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  const nodes = [...template.content.childNodes];
  const sources = nodes.map((node) => node.outerHTML ?? node.data);
  const before = filled.get(target) ?? [];
  let same = 0;
  while (same < before.length && before[same] === sources[same]) same += 1;
  for (const node of [...target.childNodes].slice(same)) node.remove();
  const fresh = nodes.slice(same);
  for (const node of fresh) if (node.nodeType === Node.ELEMENT_NODE) equip(node, target);
  target.append(...fresh);
  filled.set(target, sources);
}

const within = (node, selector) => [...(node.matches(selector) ? [node] : []), ...node.querySelectorAll(selector)];

/** What works only by script: copying, scrolling by keyboard, going to a footnote. */
function equip(node, target) {
  for (const box of within(node, ".code")) {
    const code = box.querySelector("code");
    box.querySelector(".code-head").append(copyButton(() => code.textContent));
  }
  for (const wide of within(node, ".code > pre, .table, .formula")) wide.tabIndex = 0;
  for (const link of within(node, ".note-link")) link.addEventListener("click", () => show(target, link.dataset.note));
}

function show(target, label) {
  const note = [...target.querySelectorAll(".footnote")].find((one) => one.dataset.note === label);
  if (!note) return;
  note.tabIndex = -1;
  note.focus();
  note.scrollIntoView({ block: "nearest" });
}

/** The box at the end of a node whose fence is still open, if there is one. */
function openBox(node) {
  while (node && !node.matches(".code")) node = node.lastElementChild;
  return node?.dataset.fence ? node : null;
}

/** A box as the server makes them, for code that it has not seen yet. */
function codeBox({ info, text }) {
  const head = element("div", { className: "code-head" }, element("span", { className: "language", textContent: info }));
  const pre = element("pre", { dir: "ltr", tabIndex: 0 }, element("code", { textContent: text }));
  return element("div", { className: "code" }, head, pre);
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
    this.rest = element("div", { className: "tail" });
    this.text = "";
    this.shown = 0;
    this.busy = false;
    this.rendered.append(this.tail);
    target.replaceChildren(this.rendered, this.rest);
  }

  add(piece) {
    this.text += piece;
    this.showTail();
    if (!this.busy) this.render();
  }

  /** The first piece goes on where the server's HTML ends, further ones stand below. */
  showTail() {
    const box = openBox(this.rendered);
    const [first, ...more] = pieces(this.text.slice(this.shown), box?.dataset.fence ?? "", this.shown === 0);
    const isEmpty = box?.querySelector("code").firstChild === this.tail;
    this.tail.textContent = isEmpty ? first.text.replace(/^\n/, "") : first.text;
    this.rest.replaceChildren(...more.map((piece) => (piece.code ? codeBox(piece) : piece.text)));
  }

  async render() {
    this.busy = true;
    const text = settled(this.text);
    if (text.length <= LARGEST) {
      const html = await htmlOf(this.client, [text]);
      if (html) this.put(html[0], text);
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    this.busy = false;
    if (settled(this.text).length > text.length) this.render();
  }

  put(html, text) {
    this.tail.remove();
    this.tail.textContent = "";
    fill(this.rendered, html);
    this.shown = text.trimEnd().length;
    const box = openBox(this.rendered);
    (box ? box.querySelector("code") : lastBlock(this.rendered)).append(this.tail);
    this.showTail();
  }
}
