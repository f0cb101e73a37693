// The time axis of the charts, and how one walks along it (`charts.js`).

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./browser.js";

const { moved, nearest, ticks } = await load("charts.js");

test("labels are few, round, and stay off the edges", () => {
  for (const span of [1, 7, 20, 59, 61, 200, 600, 3600]) {
    for (const first of [1_795_370_299, 1_795_370_300.4]) {
      const times = ticks(first, first + span);
      assert.ok(times.length <= 6, `${span} s have ${times.length} labels`);
      for (const time of times) {
        assert.equal(time % 5, 0);
        assert.ok(time > first && time < first + span);
      }
    }
  }
  assert.deepEqual(ticks(600, 1200), [720, 840, 960, 1080]);
  assert.deepEqual(ticks(5, 5), []);
});

test("the nearest point is by time, not by number", () => {
  const times = [0, 1, 2, 100];
  assert.equal(nearest(times, 0), 0);
  assert.equal(nearest(times, 0.4), 2);
  assert.equal(nearest(times, 0.9), 3);
  assert.equal(nearest(times, 7), 3);
  assert.equal(nearest([], 0.5), -1);
});

test("keys walk through the points and no further", () => {
  assert.equal(moved("ArrowLeft", 5, 20), 4);
  assert.equal(moved("ArrowRight", 19, 20), 19);
  assert.equal(moved("PageDown", 5, 20), 0);
  assert.equal(moved("Home", 5, 20), 0);
  assert.equal(moved("End", 5, 20), 19);
  assert.equal(moved("a", 5, 20), null);
});
