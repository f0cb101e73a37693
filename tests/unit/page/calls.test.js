// Calls and their results as text (`calls.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { callLine, indented } = await load("calls.js");

test("arguments are indented", () => {
  assert.equal(indented('{"a":[1,{"b":"c"}],"d":{}, "e":[ ]}'), '{\n  "a": [\n    1,\n    {\n      "b": "c"\n    }\n  ],\n  "d": {},\n  "e": [ ]\n}');
});

test("nothing but blanks between values is changed", () => {
  for (const json of ['{"n":12345678901234567890,"a":1,"a":2}', '{"t":"{[,:]} \\" \\\\"}', '{"x":1.50e+2}', '"just a text, it is"']) {
    assert.equal(indented(json).replace(/\s/g, ""), json.replace(/\s/g, ""));
  }
  assert.ok(indented('{"t": "a  b,c"}').includes('"a  b,c"'), "blanks within strings stay");
});

test("what is no JSON stays as it is", () => {
  for (const text of ["", "{", "a, b: c", '{"a": 1}}']) assert.equal(indented(text), text);
});

test("a call is told on one line", () => {
  assert.equal(callLine({ id: "c1", name: "weather", arguments: '{"city":"Paris"}' }), 'weather({"city":"Paris"})');
});
