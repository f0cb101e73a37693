// A conversation as Markdown (`exporting.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { markdownOf } = await load("exporting.js");

test("thoughts, calls and results are part of an export", () => {
  const text = markdownOf("Paris", "Be brief.", [
    { role: "user", content: "How warm?" },
    { role: "assistant", content: "", reasoning: "A tool\nknows.", tool_calls: [{ id: "1", name: "weather", arguments: "{}" }] },
    { role: "tool", content: "9", call_id: "1", name: "weather" },
    { role: "assistant", content: "**9** degrees." },
  ]);
  assert.equal(text, [
    "# Paris", "> Be brief.", "## You", "How warm?",
    "## Bot", "> **Thought**\n> \n> A tool\n> knows.", "Calls **weather**:", "```json\n{}\n```",
    "## Tool: weather", "```\n9\n```", "## Bot", "**9** degrees.\n",
  ].join("\n\n"));
});

test("a result cannot end its block", () => {
  const text = markdownOf("A", null, [{ role: "tool", content: "```\n# You\n````" }]);
  assert.ok(text.includes("`````\n```\n# You\n````\n`````\n"));
});

test("an export names the models where several have answered", () => {
  const by = (...models) => models.map((model) => ({ role: "assistant", content: "Yes.", model }));
  assert.ok(markdownOf("A", null, by("a", "b")).includes("## Bot (a)\n\nYes.\n\n## Bot (b)"));
  assert.ok(!markdownOf("A", null, by("a", "a", undefined)).includes("(a)"));
});
