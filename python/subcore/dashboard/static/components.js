// Components: how they are, what keeps events from them, what they cost.

import { byId, el, setText } from "./dom.js";
import { clockTime, count, counted, DASH, percent, rate, span } from "./format.js";
import { ask } from "./feed.js";
import { Table } from "./table.js";

const CLASSES = ["low", "normal", "high", "CRITICAL"];
const LADDER = { well: 0, slow: 1, quarantined: 2 };
const LEVELS = ["good", "warn", "bad"];
const ASKED_BY = { user: "max_rate", ladder: "ladder" };
let data = { name: [] };

const at = (key) => (row) => data[key][row];
const health = (row) => LADDER[data.health[row]] ?? 0;
const capped = (row) => Object.values(data.caps[row]).reduce((sum, each) => sum + each, 0);

function caps(row) {
  const said = Object.entries(data.caps[row]).map(([by, topics]) => `${ASKED_BY[by] ?? by}: ${topics}`);
  if (data.health[row] === "quarantined") said.unshift("ladder: all");
  if (data.paused[row]) said.unshift("paused");
  return said.join(", ");
}

const COLUMNS = [
  { key: "name", title: "name", text: at("name"), width: "minmax(7rem, 2fr)", phone: "minmax(0, 1fr)" },
  { key: "priority", title: "class", text: (row) => CLASSES[data.priority[row]], sort: at("priority"), first: "desc", width: "4.6rem", wide: true },
  { key: "health", title: "health", text: (row) => data.health[row], sort: health, first: "desc", level: (row) => LEVELS[health(row)], width: "7rem", phone: "6.8rem",
    hint: "The ladder: well, slow, quarantined, removed" },
  { key: "caps", title: "caps", text: caps, sort: capped, first: "desc", width: "minmax(4rem, 1fr)", wide: true, hint: "What restricts it: paused, and topics capped, by who asked" },
  { key: "interests", title: "topics", text: (row) => count(data.interests[row]), sort: at("interests"), first: "desc", width: "3.5rem", align: "right", wide: true },
  { key: "rate", title: "events/s", text: (row) => rate(data.rate[row]), sort: at("rate"), first: "desc", width: "4.5rem", phone: "3.8rem", align: "right", hint: "Over the last 10 s" },
  { key: "queued", title: "queued", text: (row) => count(data.queued[row]), sort: at("queued"), first: "desc", width: "4.2rem", align: "right", wide: true, hint: "Events that wait for it" },
  { key: "age", title: "oldest", text: (row) => (data.queued[row] ? span(data.queue_age_ns[row]) : ""), sort: at("queue_age_ns"), first: "desc", width: "4.4rem", align: "right", wide: true, hint: "For how long the oldest waits" },
  { key: "lost", title: "lost", text: (row) => count(data.lost[row]), sort: at("lost"), first: "desc", level: (row) => (data.lost[row] ? "warn" : ""), width: "4.2rem", phone: "3rem", align: "right",
    hint: "Events it was due and did not get" },
  { key: "errors", title: "errors", text: (row) => count(data.handler_errors[row]), sort: at("handler_errors"), first: "desc", level: (row) => (data.handler_errors[row] ? "warn" : ""), width: "3.6rem", align: "right", wide: true,
    hint: "Calls of its handlers that raised" },
  { key: "call", title: "call 99 %", text: (row) => span(data.call_p99_ns[row]), sort: at("call_p99_ns"), first: "desc", width: "4.8rem", align: "right", wide: true, hint: "All but 1 % of its calls took at most so long" },
  { key: "loop", title: "loop", text: (row) => percent(data.loop_share[row]), sort: at("loop_share"), first: "desc", width: "3.6rem", align: "right", wide: true, hint: "Its share of the event loop's time" },
  { key: "delay", title: "delay 99 %", text: (row) => span(data.delay_p99_ns[row]), sort: at("delay_p99_ns"), first: "desc", width: "5.2rem", align: "right", wide: true, hint: "From receiving an event to handing it over, last minutes" },
];

export class Components {
  constructor() {
    this.table = new Table(byId("components-table"), {
      label: "components", columns: COLUMNS, name: at("name"),
      search: (row) => `${data.name[row]} ${data.health[row]} ${CLASSES[data.priority[row]]} ${caps(row)}`,
      trouble: (row) => [health(row), capped(row) ? 1 : 0, data.lost[row] ? 1 : 0, data.handler_errors[row] ? 1 : 0].reduce((sum, each) => sum * 4 + each, 0),
      chosen: (name) => this.choose(name),
    });
    this.names = "";
    this.chosen = null;
  }

  show(columns) {
    data = columns;
    setText(byId("components-count"), count(data.name.length));
    const names = data.name.join("\n");
    this.table.show(data.name.length, { changed: names !== this.names });
    this.names = names;
    if (this.chosen !== null) this.refresh();
  }

  choose(name) {
    this.chosen = name;
    byId("component-details").hidden = name === null;
    if (name !== null) this.refresh();
  }

  async refresh() {
    const name = this.chosen;
    if (!data.name.includes(name)) return this.gone(name);
    const found = await ask(`component.json?name=${encodeURIComponent(name)}`);
    if (name !== this.chosen || found === null) return;
    if (found.error) this.gone(name);
    else byId("component-details").replaceChildren(el("h3", {}, name), ...described(found));
  }

  gone(name) {
    byId("component-details").replaceChildren(el("h3", {}, name), el("p", {}, "It is closed, or was removed."));
  }
}

function described({ stats, caps: words }) {
  const losses = Object.entries(stats.losses).sort((a, b) => b[1] - a[1]);
  const facts = [
    ["Health", `${stats.health}${stats.paused ? ", paused" : ""}, class ${stats.priority}`],
    ["Gets", `${rate(stats.rate.over_10s)} events/s of ${counted(stats.interests, "topic")}; ${count(stats.delivered)} so far`],
    ["Waits", stats.queued ? `${counted(stats.queued, "event")}, the oldest for ${span(stats.queue_age_ns)}` : "nothing"],
    ["Calls", !stats.calls ? "none" : `${count(stats.calls)}; half took at most ${span(stats.p50_ns)}, 99 % ${span(stats.p99_ns)}, the longest ${span(stats.worst_ns)}`],
    ["Delay", stats.recent_delay.count
      ? `half were handed over within ${span(stats.recent_delay.p50_ns)} of receiving, 99 % within ${span(stats.recent_delay.p99_ns)}`
      : "nothing was measured in the last minutes"],
    ["Lost", stats.lost ? `${count(stats.lost)}, most of ${losses.slice(0, 5).map(([topic, lost]) => `${topic} (${count(lost)})`).join(", ")}` : "nothing"],
    ["Conflated", stats.conflated ? `${count(stats.conflated)} gave way to newer ones, as it asked or was capped` : "nothing"],
    ["Last error", stats.last_error ?? DASH],
    ["Caps", words.length ? words.join("; ") : "none"],
  ];
  return [el("dl", {}, ...facts.map(([title, text]) => el("div", {}, el("dt", {}, title), el("dd", {}, text))))];
}

export { CLASSES, clockTime };
