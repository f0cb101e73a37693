// What a reply's model saw of messages that have left the window, in one line.

import { element } from "./dom.js";
import { number, t } from "./language.js";

/**
 * @param {{recalled?: number[], pinned?: number[], summarised_turns?: number, recalled_elsewhere?: {conversation: number, messages: number[]}[]}} memory
 * @param {number} id of the conversation, whose messages are linked to
 */
export function receiptLine({ recalled = [], pinned = [], summarised_turns: count = 0, recalled_elsewhere: others = [] }, id) {
  const parts = [
    recalled.length > 0 ? [t("memory.recalled"), ...linksTo(recalled, id)] : [],
    others.length > 0 ? [t("recall.recalled"), ...others.flatMap(linkToOther)] : [],
    pinned.length > 0 ? [t("memory.pinned"), ...linksTo(pinned, id)] : [],
    count > 0 ? [t("memory.summarised", { count })] : [],
  ].filter((part) => part.length > 0);
  const seen = element("span", { className: "visually-hidden", textContent: t("memory.seen") });
  const shown = parts.flatMap((part, place) => [...(place > 0 ? [" · "] : []), element("span", {}, ...part)]);
  return element("p", { className: "memory" }, seen, ...shown);
}

function linksTo(numbers, id) {
  return numbers.flatMap((each, place) => [...(place > 0 ? [t("between_names")] : []), linkTo(each, id)]);
}

function linkTo(each, id) {
  const link = element("a", { href: `#${id}/${each}`, textContent: number(each) });
  link.setAttribute("aria-label", t("memory.message", { number: each }));
  return link;
}

/** One link for a conversation, to the first message of it that was quoted. */
function linkToOther({ conversation, messages: [first] }, place) {
  const link = element("a", { href: `#${conversation}/${first}`, textContent: number(place + 1) });
  link.setAttribute("aria-label", t("recall.conversation", { number: place + 1 }));
  return [...(place > 0 ? [t("between_names")] : []), link];
}
