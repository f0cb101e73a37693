// Conversations from files: Palaver's own, ChatGPT's export (conversations.json) and Open WebUI's.

import { t } from "./language.js";

const LONGEST_TITLE = 200;
const LONGEST_MODEL = 200;
const THOUGHTS = /<details\b[^>]*\btype="(reasoning|tool_calls|code_interpreter)"[^>]*>[\s\S]*?<\/details>\s*/g;

/**
 * What can be sent to `POST /conversations`, one body for each conversation that says something.
 *
 * @param data the parsed file
 * @returns {{bodies: object[], skipped: number}} `skipped` conversations have no prompt, or cannot be read
 * @throws {TypeError} it is no export that is known here
 */
export function conversationsIn(data) {
  const entries = entriesOf(data);
  const bodies = [];
  for (const entry of entries) {
    const body = bodyOf(entry);
    if (body !== null) bodies.push(body);
  }
  return { bodies, skipped: entries.length - bodies.length };
}

function entriesOf(data) {
  const entries = Array.isArray(data) ? data : isObject(data) ? data.conversations ?? [data] : [];
  if (!Array.isArray(entries) || !entries.some((entry) => kindOf(entry) !== null)) {
    throw new TypeError("not an export of conversations");
  }
  return entries;
}

function kindOf(entry) {
  if (!isObject(entry)) return null;
  if (isObject(entry.mapping)) return ofChatGpt;
  if (isObject(chatOf(entry).history?.messages)) return ofOpenWebUi;
  return Array.isArray(entry.messages) ? ofPalaver : null;
}

function bodyOf(entry) {
  const read = kindOf(entry);
  if (read === null) return null;
  if (read === ofPalaver && isExport(entry)) return entry;
  const { title, context, messages } = read(entry);
  const alternating = alternated(messages);
  if (alternating.length === 0) return null;
  const body = { messages: alternating, context: context ?? "" };
  if (typeof title === "string" && title.trim()) body.title = cut(title.trim(), LONGEST_TITLE);
  return body;
}

// Palaver: a conversation's object with its messages. An export is taken whole, calls of tools and all.

function isExport({ messages }) {
  return messages.length > 0 && messages.every((each) => Number.isInteger(each?.number));
}

function ofPalaver({ title, context, messages }) {
  return { title, context: textOr(context, ""), messages: messages.filter(isObject).flatMap(ownMessage) };
}

function ownMessage({ role, content, timestamp, model, reasoning }) {
  if (!isSpoken(role) || typeof content !== "string") return [];
  return [message(role, content, timeOf(timestamp), model, reasoning)];
}

// ChatGPT: a tree of nodes; the branch that was shown last ends with `current_node`.

function ofChatGpt({ title, mapping, current_node: last }) {
  const messages = [];
  let context = "";
  for (const { message: said } of branch(mapping, last ?? newest(mapping), "parent")) {
    const role = said?.author?.role;
    const text = textOfParts(said?.content);
    if (!text || said.metadata?.is_visually_hidden_from_conversation) continue;
    if (role === "system") context ||= text;
    else if (isSpoken(role) && (said.recipient ?? "all") === "all") {
      messages.push(message(role, text, timeOf(said.create_time), said.metadata?.model_slug));
    }
  }
  return { title, context, messages };
}

function textOfParts(content) {
  if (!["text", "multimodal_text", "code"].includes(content?.content_type)) return "";
  if (content.content_type === "code") return content.text ? `\`\`\`\n${content.text}\n\`\`\`` : "";
  const parts = Array.isArray(content.parts) ? content.parts : [];
  return parts.map((part) => (typeof part === "string" ? part : textOr(part?.text, t("import.not_exported")))).join("\n\n").trim();
}

// Open WebUI: messages by id; the branch that was shown last ends with `currentId`.

function ofOpenWebUi(entry) {
  const chat = chatOf(entry);
  const { messages: byId, currentId } = chat.history;
  const messages = [];
  for (const { role, content, timestamp, model } of branch(byId, currentId ?? newest(byId), "parentId")) {
    const text = textOr(content, "").replaceAll(THOUGHTS, "").trim();
    if (isSpoken(role) && text) messages.push(message(role, text, timeOf(timestamp), model));
  }
  return { title: entry.title ?? chat.title, context: textOr(chat.system ?? chat.params?.system, ""), messages };
}

function chatOf(entry) {
  return isObject(entry.chat) ? entry.chat : entry;
}

// What they have in common.

/** The nodes from the first to the one with this id; a ring of them ends. */
function branch(nodes, last, parent) {
  const found = [];
  const seen = new Set();
  for (let id = last; Object.hasOwn(nodes, id ?? "") && !seen.has(id); id = nodes[id][parent]) {
    seen.add(id);
    if (isObject(nodes[id])) found.unshift(nodes[id]);
    else break;
  }
  return found;
}

function newest(nodes) {
  return Object.keys(nodes).at(-1);
}

function message(role, content, timestamp, model, reasoning) {
  const made = { role, content };
  if (timestamp !== null) made.timestamp = timestamp;
  if (role === "assistant" && typeof model === "string" && model) made.model = cut(model, LONGEST_MODEL);
  if (role === "assistant" && typeof reasoning === "string" && reasoning) made.reasoning = reasoning;
  return made;
}

/** User and assistant in turn, as the server wants them: several of one in a row become one. */
function alternated(messages) {
  const kept = [];
  for (const next of messages) {
    const before = kept.at(-1);
    if (before?.role === next.role) before.content += `\n\n${next.content}`;
    else if (kept.length > 0 || next.role === "user") kept.push({ ...next });
  }
  return kept;
}

/** RFC 3339 of a text, or of seconds since 1970; null where there is no time that can be. */
function timeOf(value) {
  const time = new Date(typeof value === "number" ? value * 1000 : typeof value === "string" ? value : NaN);
  const year = time.getUTCFullYear();
  return year > 1970 && year < 9998 ? time.toISOString() : null;
}

function isSpoken(role) {
  return role === "user" || role === "assistant";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOr(value, other) {
  return typeof value === "string" ? value : other;
}

/** The beginning of a text; no character is cut in two. */
function cut(text, length) {
  return Array.from(text).slice(0, length).join("");
}
