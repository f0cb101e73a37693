// A conversation as a Markdown file.

import { fenced } from "./fenced.js";
import { t } from "./language.js";

const WHO = { system: t("who.instructions"), user: t("who.user"), assistant: t("who.bot"), tool: t("who.tool") };

/** @param messages as the API has them, oldest first */
export function markdownOf(title, context, messages) {
  const parts = [`# ${title}`];
  if (context) parts.push(quoted(context));
  const isOfSeveral = new Set(messages.map((one) => one.model).filter(Boolean)).size > 1;
  for (const message of messages) parts.push(`## ${heading(message, isOfSeveral)}`, ...partsOf(message));
  return `${parts.join("\n\n")}\n`;
}

function heading({ role, name, model }, isOfSeveral) {
  if (isOfSeveral && model) return `${WHO[role] ?? role} (${model})`;
  return role === "tool" && name ? `${WHO.tool}: ${name}` : WHO[role] ?? role;
}

function partsOf({ role, content, reasoning, tool_calls: calls }) {
  const parts = [];
  if (reasoning) parts.push(quoted(`**${t("thought.label")}**\n\n${reasoning}`));
  if (role === "tool") parts.push(fenced(content, ""));
  else if (content) parts.push(content);
  for (const { name, arguments: text } of calls ?? []) parts.push(t("call.exported", { name }), fenced(text, "json"));
  return parts;
}

function quoted(text) {
  return `> ${text.replaceAll("\n", "\n> ")}`;
}
