// The whole in ten figures.

import { byId, el, setText } from "./dom.js";
import { bytes, count, counted, percent, rate, seconds, span } from "./format.js";

const sum = (counts) => Object.values(counts).reduce((total, each) => total + each, 0);

const TILES = [
  ["From the venue", (s) => `${rate(s.frame_rate.over_1s)}/s`, (s) => `${count(s.frames)} frames, ${bytes(s.byte_rate.over_1s)}/s`],
  ["To components", (s) => `${rate(s.delivered_rate.over_1s)}/s`, (s) => `${count(s.delivered)} events so far`],
  ["Streams", (s) => `${count(s.streams.OPEN)} of ${count(sum(s.streams))}`, (s) => `proven; for ${counted(s.interests, "interest")}`],
  ["Components", (s) => count(s.component_count), (s) => `${counted(s.topics, "topic")} wanted`],
  ["Delay to here", (s) => span(s.recent_delay.p50_ns), (s) => `99 %: ${span(s.recent_delay.p99_ns)}, last minutes`],
  ["Event loop", (s) => percent(s.loop_share), (s) => `in callbacks; 99 %: ${span(s.loop_lag.p99_ns)} late`],
  ["Lost events", (s) => count(sum(s.losses)), (s) => `${counted(sum(s.bad_frames), "bad frame")}, ${counted(s.handler_errors, "handler error")}`,
    (s) => (sum(s.losses) ? "warn" : "")],
  ["Messages sent", (s) => count(s.wire.messages), (s) => `${counted(s.wire.connects, "connect")}, ${counted(s.wire.losses, "lost link")}`],
  ["Memory", (s) => bytes(s.memory.rss), (s) => `core ${bytes(sum(s.memory.core))}`],
  ["Running for", (s) => seconds(s.uptime_ns / 1e9), (s) => `since ${new Date((s.time_ns - s.uptime_ns) / 1e6).toLocaleString("en-GB")}`],
];

export class Totals {
  constructor() {
    this.tiles = TILES.map(([title]) => {
      const [value, more] = [el("dd", { class: "value" }, "–"), el("dd", { class: "more" })];
      byId("totals").append(el("div", {}, el("dt", {}, title), value, more));
      return { value, more };
    });
  }

  show(stats) {
    TILES.forEach(([, value, more, level], index) => {
      setText(this.tiles[index].value, value(stats));
      setText(this.tiles[index].more, more(stats));
      this.tiles[index].value.dataset.level = level?.(stats) ?? "";
    });
  }
}
