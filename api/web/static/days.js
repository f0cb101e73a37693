// Groups of the list: pinned ones, then day by day.

import { date, t } from "./language.js";

const startOf = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());

/** What a day is called, seen from today; both in this browser's time. */
export function dayOf(moment, now) {
  // Rounded, because days with a change of the clock are not of 24 hours.
  const daysAgo = Math.round((startOf(now) - startOf(moment)) / 86_400_000);
  if (daysAgo <= 0) return t("list.today");
  if (daysAgo === 1) return t("list.yesterday");
  const isThisYear = moment.getFullYear() === now.getFullYear();
  return date(moment, { weekday: "long", day: "numeric", month: "long", year: isThisYear ? undefined : "numeric" });
}

/**
 * `{name, rows}` of each group that has some, in order.
 * @param rows the last used first; `isBeyond` tells of which the day's others are not loaded yet
 */
export function grouped(rows, isBeyond, now = new Date()) {
  const [open, pinned] = [t("list.open_now"), t("list.pinned")];
  const nameOf = (row) => {
    if (row.pinned) return pinned;
    return isBeyond(row) ? open : dayOf(new Date(row.updated_at), now);
  };
  const groups = new Map([[open, []], [pinned, []]]);
  for (const row of rows) {
    const name = nameOf(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  return [...groups].filter(([, members]) => members.length > 0).map(([name, members]) => ({ name, rows: members }));
}
