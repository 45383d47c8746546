// One sentence about how things stand, and what is wrong now, worst first.

import { byId, el, keyed, setText } from "./dom.js";
import { ago, clockTime, count, counted, seconds } from "./format.js";

const LEVELS = ["bad", "warn"];
const NAMED = 4; // of what is wrong in the same way
const GLYPHS = { good: "✓", note: "…", warn: "!", bad: "✕", unknown: "?" };

export class Verdict {
  constructor() {
    this.box = byId("verdict");
    this.box.replaceChildren(
      (this.glyph = el("span", { class: "glyph", "aria-hidden": "true" })),
      el("div", {}, (this.head = el("p", { class: "head" })), (this.more = el("p", { class: "more" }))),
    );
    this.list = byId("issues");
    this.say({ level: "unknown", head: "Waiting for the first figures", more: "" });
  }

  say({ level, head, more }) {
    this.box.dataset.level = level;
    setText(this.glyph, GLYPHS[level]);
    setText(this.head, head);
    setText(this.more, more);
    document.title = level === "good" ? "subcore" : `${GLYPHS[level]} subcore`;
  }

  /** The server does not answer: what is on the page is old. */
  gone(state, since) {
    if (state === "locked") {
      this.say({ level: "bad", head: "This page needs its token", more: "Open its address with ?token=… again." });
    } else if (state === "reconnecting") {
      this.say({
        level: "bad",
        head: `No word from the process since ${clockTime(since * 1e6)}: reconnecting`,
        more: "It may have been stopped or restarted. All below is from then; this page goes on by itself.",
      });
    }
  }

  show(figures, restores) {
    const found = [...ofIssues(figures.issues), ...ownFindings(figures)];
    found.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level)); // else as they were: most harmful first
    this.say(withFindings(sentence(figures, restores), found));
    keyed(this.list, found, (one) => one.key, makeItem, fillItem);
  }
}

/** What is true of the streams as a whole, worst first: the first of these that holds. */
const CHECKS = [restoring, criticalMissing, notConnected, opening, nothingWanted, silence, suspects];

function sentence({ stats, readiness, restores: [, , done] }, restores) {
  const last = restores.at(-1);
  const { OPEN: open = 0, REFUSED: refused = 0, RECOVERING: recovering = 0, WAITING: waiting = 0, SENT: sent = 0 } = stats.streams;
  const facts = {
    stats, readiness, last, open, refused, isRestoring: !done && last !== undefined,
    coming: recovering + waiting + sent, wanted: open + refused + recovering + waiting + sent,
    down: stats.links.filter((link) => !link.up && link.phase !== "IDLE").length,
    outage: last?.done ? lastOutage(last, stats.time_ns) : "",
  };
  for (const check of CHECKS) {
    const found = check(facts);
    if (found) return { more: facts.outage, ...found };
  }
  const but = refused ? ` (${count(refused)} more were refused by the venue)` : "";
  const head = `${open === 1 ? "The one stream flows" : `All ${count(open)} streams flow`}${but}`;
  return { level: "good", head, more: facts.outage || "No link was lost so far." };
}

function restoring({ isRestoring, last, stats, readiness, down }) {
  if (!isRestoring) return null;
  const [back, lost] = totals(last);
  const { wanted, flowing } = readiness.critical;
  const trying = down
    ? "It is not connected yet: that is tried again by itself, and then all that is wanted is asked for."
    : "All that is wanted is being asked for again, most important first.";
  const missing = wanted > flowing ? ` ${counted(wanted - flowing, "CRITICAL stream is", "CRITICAL streams are")} missing.` : "";
  return {
    level: "bad",
    head: `A link was lost: ${count(back)} of ${counted(lost, "stream")} are back`,
    more: `${capital(last.reason)}, ${ago(last.started_time_ns, stats.time_ns)}. ${trying}${missing}`,
  };
}

function criticalMissing({ readiness: { ready, critical, missing } }) {
  if (ready) return null;
  const lacking = critical.wanted - critical.flowing;
  return {
    level: "bad",
    head: `${counted(lacking, "CRITICAL stream does", "CRITICAL streams do")} not flow`,
    more: `${missing.join(", ")}${lacking > missing.length ? ", …" : ""}. Choose it under Topics to read why.`,
  };
}

function notConnected({ down }) {
  return down ? { level: "warn", head: `${counted(down, "link is", "links are")} not connected` } : null;
}

function opening({ coming, open, wanted }) {
  if (!coming) return null;
  return { level: "note", head: `${count(open)} of ${counted(wanted, "stream")} flow; ${count(coming)} are not proven yet` };
}

function nothingWanted({ wanted }) {
  return wanted ? null : { level: "note", head: "No component wants anything yet" };
}

function suspects({ stats: { data: { SUSPECT: suspect = 0 } } }) {
  if (!suspect) return null;
  return { level: "warn", head: `${counted(suspect, "stream is", "streams are")} suspect: silent for longer than they use to be` };
}

/** Nothing came for long, as measured by what came before: a link may be dead and nobody has told it yet. */
function silence({ stats: { links, frame_rate: rate, time_ns: now } }) {
  const since = (now - Math.max(...links.map((link) => link.last_receive_time_ns))) / 1e9;
  if (!links.length || rate.over_60s <= 0 || since < Math.max(2, 30 / rate.over_60s)) return null;
  return {
    level: "warn", head: `Nothing came for ${seconds(since)}`,
    more: `In the last minute ${count(rate.over_60s)} frames a second came. A silent link is tested, and replaced once it is sure to be dead.`,
  };
}

function withFindings(verdict, found) {
  if (verdict.level !== "good" || !found.length) return verdict;
  const things = found.reduce((sum, each) => sum + each.count, 0);
  return { ...verdict, level: "warn", head: `${verdict.head}, but ${counted(things, "thing needs", "things need")} a look` };
}

function lastOutage(last, now) {
  const [back, lost] = totals(last);
  return `Last outage ${ago(last.started_time_ns, now)} (${last.reason}): ${count(back)} of ${counted(lost, "stream")} came back within ${seconds(last.seconds)}.`;
}

export function totals(restore) {
  return [restore.classes.reduce((sum, each) => sum + each.back, 0), restore.classes.reduce((sum, each) => sum + each.lost, 0)];
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// -- what is wrong --

const WHERE = { component: "components", link: "links", topic: "topics", channel: "topics" };

/** Those of one rule with one remedy together: the first of them is the most harmful. */
function ofIssues(issues) {
  const groups = new Map();
  for (const issue of issues) {
    const key = `issue ${issue.rule} ${issue.kind} ${issue.remedy}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(issue);
  }
  return [...groups].map(([key, all]) => ({
    key, count: all.length, where: WHERE[all[0].kind] ?? "", more: all[0].remedy,
    level: all.some((issue) => issue.severity === "CRITICAL") ? "bad" : "warn",
    texts: some(all.map(({ kind, subject, evidence }) => (kind === "process" ? evidence : `${kind} ${subject}: ${evidence}`)),
      all.reduce((sum, issue) => sum + issue.others, 0)),
  }));
}

function some(texts, others = 0) {
  const left = Math.max(0, texts.length - NAMED) + others;
  return [...texts.slice(0, NAMED), ...(left ? [`and ${count(left)} more`] : [])];
}

/** What the figures themselves show of components and streams. */
function ownFindings({ stats, components, load }) {
  const found = [];
  if (load.measures.length) {
    found.push({ key: "load", level: "warn", where: "components", count: load.measures.length,
      texts: some(load.measures.map(heldBack)),
      more: "There is more to do than the process can. It is given back, the last first, once it is calm for a while." });
  }
  const named = (health) => components.name.filter((_, index) => components.health[index] === health);
  const quarantined = named("quarantined");
  if (quarantined.length) {
    found.push({ key: "quarantined", level: "bad", where: "components", count: quarantined.length,
      text: `${counted(quarantined.length, "component is", "components are")} quarantined: ${some(quarantined).join(", ")}`,
      more: "They took nothing for too long and get nothing now. They are let in again once they go on, and removed if they do not." });
  }
  const slow = named("slow");
  if (slow.length) {
    found.push({ key: "slow", level: "warn", where: "components", count: slow.length,
      text: `${counted(slow.length, "component is", "components are")} slow: ${some(slow).join(", ")}`,
      more: "Events wait longer for them than they should. Nobody else is harmed; their own queues may overflow." });
  }
  const refused = stats.streams.REFUSED ?? 0;
  if (refused) {
    found.push({ key: "refused", level: "warn", where: "topics", count: 1,
      text: `${counted(refused, "stream was", "streams were")} refused by the venue`,
      more: "They stay off the wire until they are asked for anew. Choose one under Topics to read the venue's reason." });
  }
  return found;
}

function heldBack({ measure, priority, reason, since_ns: since, effect }) {
  return `${measure} ${priority}, since ${clockTime(since)}: ${reason}${effect ? `; ${effect}` : ""}`;
}

function makeItem() {
  return el("li", {}, el("div", { class: "what" }), el("p", { class: "more" }), el("a", { class: "where", hidden: true }, "Show"));
}

function fillItem(node, { level, text, texts = [text], more, where }) {
  const [what, remedy, link] = node.children;
  node.dataset.level = level;
  keyed(what, texts.map((each, index) => [index, each]), ([index]) => index, () => el("p"), (line, [, each]) => setText(line, each));
  setText(remedy, more);
  link.hidden = !where;
  if (where) link.setAttribute("href", `#${where}`);
}
