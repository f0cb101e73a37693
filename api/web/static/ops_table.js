// Tables whose rows stay while what they show changes: a button that is in focus keeps it.

import { button, element } from "./dom.js";

/**
 * Show one row for each item.
 * @param {HTMLTableSectionElement} body
 * @param {{keyOf: (item) => string, cellsOf: (item) => (string|Cell)[], actionsOf?: (item) => [string, () => void][]}} shape
 *   the first cell is the row's head; a Cell is `{text, className, title}`
 */
export function drawRows(body, items, { keyOf, cellsOf, actionsOf = null }) {
  const before = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const key = String(keyOf(item));
    const row = before.get(key) ?? element("tr");
    before.delete(key);
    row.dataset.key = key;
    fill(row, cellsOf(item));
    if (actionsOf) offer(row, actionsOf(item), cellsOf(item).length);
    return row;
  });
  for (const row of before.values()) row.remove();
  rows.forEach((row, at) => {
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
  });
}

function fill(row, cells) {
  cells.forEach((cell, at) => {
    const { text, className = "", title = "" } = typeof cell === "string" ? { text: cell } : cell;
    if (!row.cells[at]) row.append(at === 0 ? element("th", { scope: "row" }) : element("td"));
    const shown = row.cells[at];
    if (shown.textContent !== text) shown.textContent = text;
    shown.className = className;
    shown.title = title;
  });
}

/** Buttons in the last cell; each does what it did for the item that was drawn last. */
function offer(row, actions, at) {
  if (!row.cells[at]) row.append(element("td", { className: "actions" }));
  row.actions = new Map(actions);
  const cell = row.cells[at];
  const labels = actions.map(([label]) => label);
  if ([...cell.children].map((child) => child.textContent).join() === labels.join()) return;
  cell.replaceChildren(...labels.map((label) => {
    const made = button(label, () => row.actions.get(label)?.());
    // "Cancel" alone says nothing out of its row.
    made.setAttribute("aria-label", `${label} ${row.dataset.key}`);
    return made;
  }));
}
