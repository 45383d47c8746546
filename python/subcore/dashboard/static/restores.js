// What happened after each lost link, on a line of time for each class.

import { byId, el, keyed, setText } from "./dom.js";
import { clockTime, count, counted, seconds } from "./format.js";
import { totals } from "./verdict.js";

export function showRestores(restores, now) {
  setText(byId("restores-count"), restores.length ? String(restores.length) : "none so far");
  keyed(byId("restores-list"), [...restores].reverse(), (one) => one.number, makeRestore, (node, one) => fillRestore(node, one, now));
}

function makeRestore() {
  return el("li", {}, el("h3", {}), el("p", { class: "facts" }), el("div", { class: "timeline" }), el("p", { class: "scale" }, el("span", {}, "lost"), el("span", {})));
}

function fillRestore(node, restore, now) {
  const [heading, facts, timeline, scale] = node.children;
  const [back, lost] = totals(restore);
  const lasted = restore.done ? restore.seconds : (now - restore.started_time_ns) / 1e9;
  const longest = Math.max(lasted, 0.1);
  node.dataset.level = restore.done ? "" : "bad";
  setText(heading, `${clockTime(restore.started_time_ns)}  ${restore.reason}`);
  const state = restore.done ? `after ${seconds(restore.seconds)} all was settled` : `under way for ${seconds(lasted)}`;
  const rejected = restore.rejected.length ? `; left out: ${restore.rejected.join("; ")}` : "";
  setText(facts, `${count(back)} of ${counted(lost, "lost stream")} back; ${state}${rejected}`);
  keyed(timeline, restore.classes, (each) => each.priority, makeRow, (row, each) => fillRow(row, each, longest));
  setText(scale.children[1], `${restore.done ? "" : "now, "}${seconds(longest)} later`);
}

function makeRow() {
  return el("div", { class: "line" }, el("span", { class: "label" }),
    el("span", { class: "track" }, el("span", { class: "silent" }), el("span", { class: "coming" }), el("span", { class: "half" })),
    el("span", { class: "number" }));
}

function fillRow(row, each, longest) {
  const [label, track, number] = row.children;
  const [silent, coming, half] = track.children;
  const place = (value) => `${Math.min(100, (100 * value) / longest)}%`;
  const asked = each.first_asked_seconds ?? longest;
  const end = each.last_seconds ?? longest;
  setText(label, each.priority === "CRITICAL" ? each.priority : each.priority.toLowerCase());
  silent.style.width = place(asked);
  coming.style.left = place(asked);
  coming.style.width = place(Math.max(0, end - asked));
  half.hidden = each.half_seconds === null;
  if (!half.hidden) half.style.left = place(each.half_seconds);
  const refused = each.refused ? `, ${count(each.refused)} refused` : "";
  const last = each.last_seconds === null ? "" : `, the last after ${seconds(each.last_seconds)}`;
  setText(number, `${count(each.back)} of ${count(each.lost)}${refused}${last}`);
  track.title = `asked for again after ${seconds(each.first_asked_seconds)}, half back after ${seconds(each.half_seconds)}, all after ${seconds(each.last_seconds)}`;
}
