// Topics: as many as there are. Asked for only while the table is in sight.

import { byId, el, setText } from "./dom.js";
import { ago, clockTime, count, rate, span } from "./format.js";
import { ask } from "./feed.js";
import { Table } from "./table.js";
import { CLASSES } from "./components.js";

const EVERY_MS = 2000;
const ASKED = ["channel", "symbol", "depth", "grouping", "holders", "priority", "state", "data", "link", "frames", "gaps",
  "rate_10s", "last_delay_ns", "worst_delay_ns", "last_receive_time_ns"];
const STATES = ["closed", "waiting", "sent", "open", "recovering", "refused"];
const LEVELS = ["", "note", "note", "good", "bad", "bad"];
const OPEN = 3;
const SUSPECT = 2;
let data = { symbol: [] };
let now = 0;

const symbolOf = (row) => data.symbol[row] || "*"; // "" = all of them, as one asks for with "*"
const at = (key) => (row) => data[key][row];
const suspect = (row) => data.state[row] === OPEN && data.data[row] === SUSPECT;

/** As the library writes it. */
function topicOf(row) {
  const depth = data.depth[row] ? `:depth=${data.depth[row]}` : "";
  const grouping = data.grouping[row] ? `:grouping=${data.grouping[row]}` : "";
  return `${data.channel[row]}:${symbolOf(row)}${depth}${grouping}`;
}

function parameters(row) {
  const depth = data.depth[row] ? ` depth ${data.depth[row]}` : "";
  return `${data.channel[row]}${depth}${data.grouping[row] ? ` by ${data.grouping[row]}` : ""}`;
}

const COLUMNS = [
  { key: "symbol", title: "symbol", text: symbolOf, width: "minmax(7rem, 1.2fr)", phone: "minmax(0, 1.3fr)" },
  { key: "channel", title: "channel", text: parameters, width: "minmax(6rem, 1fr)", phone: "minmax(0, 1fr)" },
  { key: "state", title: "state", text: (row) => (suspect(row) ? "suspect" : STATES[data.state[row]]), sort: (row) => trouble(row), first: "desc",
    level: (row) => (suspect(row) ? "warn" : LEVELS[data.state[row]]), width: "6.5rem", phone: "5.6rem", hint: "open: proven to flow; suspect: silent for longer than it uses to be" },
  { key: "priority", title: "class", text: (row) => CLASSES[data.priority[row]], sort: at("priority"), first: "desc", width: "5.5rem", wide: true },
  { key: "holders", title: "holders", text: (row) => count(data.holders[row]), sort: at("holders"), first: "desc", width: "5rem", align: "right", wide: true, hint: "Components that want it" },
  { key: "rate", title: "per s", text: (row) => rate(data.rate_10s[row]), sort: at("rate_10s"), first: "desc", width: "5rem", phone: "3.6rem", align: "right", hint: "Frames a second, over the last 10 s" },
  { key: "frames", title: "frames", text: (row) => count(data.frames[row]), sort: at("frames"), first: "desc", width: "6rem", align: "right", wide: true },
  { key: "age", title: "last", text: (row) => ago(data.last_receive_time_ns[row], now), sort: (row) => -data.last_receive_time_ns[row], first: "desc", width: "7rem", align: "right", wide: true, hint: "When its last frame came" },
  { key: "delay", title: "delay", text: (row) => (data.frames[row] ? span(data.last_delay_ns[row]) : ""), sort: at("last_delay_ns"), first: "desc", width: "5.5rem", align: "right", wide: true, hint: "From the venue to here, of the last frame" },
  { key: "worst", title: "worst", text: (row) => (data.frames[row] ? span(data.worst_delay_ns[row]) : ""), sort: at("worst_delay_ns"), first: "desc", width: "5.5rem", align: "right", wide: true },
  { key: "gaps", title: "gaps", text: (row) => count(data.gaps[row]), sort: at("gaps"), first: "desc", level: (row) => (data.gaps[row] ? "warn" : ""), width: "4rem", align: "right", wide: true, hint: "Snapshots that showed missed trades" },
  { key: "link", title: "link", text: (row) => (data.link[row] < 0 ? "" : String(data.link[row])), sort: at("link"), width: "3.5rem", align: "right", wide: true },
];

/** What needs a look first; among those that flow, the busiest. */
function trouble(row) {
  const worst = { 5: 5, 4: 4, 2: 2, 1: 1, 0: 0, 3: 0 }[data.state[row]] + (suspect(row) ? 3 : 0);
  return worst * 1e9 + data.priority[row] * 1e8 + data.rate_10s[row];
}

export class Topics {
  constructor() {
    this.table = new Table(byId("topics-table"), {
      label: "topics", columns: COLUMNS, name: topicOf, trouble,
      search: (row) => `${topicOf(row)} ${suspect(row) ? "suspect" : STATES[data.state[row]]} ${CLASSES[data.priority[row]]}`,
      chosen: (name) => this.choose(name),
    });
    this.chosen = null;
    this.isInSight = false;
    this.askedAt = 0;
    this.names = "";
    new IntersectionObserver(([entry]) => {
      this.isInSight = entry.isIntersecting;
      if (this.isInSight) this.tick(now);
    }, { rootMargin: "200px" }).observe(byId("topics"));
  }

  /** Called with the server's time at each event of the feed. */
  tick(time) {
    now = time;
    if (!time || !this.isInSight || Date.now() - this.askedAt < EVERY_MS - 200) return;
    this.askedAt = Date.now();
    this.refresh();
    if (this.chosen !== null) this.explain();
  }

  total(topics) {
    setText(byId("topics-count"), count(topics));
  }

  async refresh() {
    const columns = await ask(`topics.json?columns=${ASKED.join(",")}`);
    if (columns === null) return;
    data = columns;
    const names = `${data.channel.join("\n")}\n${data.symbol.join("\n")}`;
    this.table.show(data.symbol.length, { changed: names !== this.names });
    this.names = names;
  }

  choose(name) {
    this.chosen = name;
    byId("topic-details").hidden = name === null;
    if (name !== null) this.explain();
  }

  async explain() {
    const name = this.chosen;
    if (!this.table.has(name)) return this.describe(name, el("p", {}, "No component wants it any more."));
    const found = await ask(`explain.json?topic=${encodeURIComponent(name)}`);
    if (name !== this.chosen || found === null) return;
    this.describe(name, ...(found.error ? [el("p", {}, found.error)] : described(found)));
  }

  describe(name, ...nodes) {
    byId("topic-details").replaceChildren(el("h3", {}, name), ...nodes);
  }
}

function described({ explain, info }) {
  const holders = info.holders.length > 20 ? [...info.holders.slice(0, 20), `and ${info.holders.length - 20} more`] : info.holders;
  const facts = [
    ["State", `${info.state.toLowerCase()}, data ${info.data.toLowerCase()}, since ${clockTime(info.since_ns)}`],
    ["Evidence", info.evidence.toLowerCase().replaceAll("|", " and ")],
    ["Class", info.priority],
    ["Wanted by", holders.join(", ")],
    ["Tried again", info.retries ? `${info.retries} times` : "never"],
    ["Caps", info.caps.length ? info.caps.map((cap) => `${cap.component}: ${cap.reason} (${cap.by}, since ${clockTime(cap.since_ns)})`).join("; ") : "none"],
  ];
  return [
    el("p", { class: "explain" }, explain.charAt(0).toUpperCase() + explain.slice(1), "."),
    el("dl", {}, ...facts.map(([title, text]) => el("div", {}, el("dt", {}, title), el("dd", {}, text)))),
  ];
}
