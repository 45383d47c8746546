// One sentence about how things stand, and what is wrong now, worst first.

import { byId, el, keyed, setText } from "./dom.js";
import { ago, clockTime, count, counted, seconds } from "./format.js";

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
    this.say(sentence(figures, restores));
    const found = [...figures.issues.map(ofIssue), ...ownFindings(figures)];
    keyed(this.list, found, (one) => one.key, makeItem, fillItem);
  }
}

function sentence({ stats, readiness, restores: [, , done] }, restores) {
  const last = restores.at(-1);
  const { OPEN: open = 0, REFUSED: refused = 0, RECOVERING: recovering = 0, WAITING: waiting = 0, SENT: sent = 0 } = stats.streams;
  const wanted = open + refused + recovering + waiting + sent;
  const down = stats.links.filter((link) => !link.up && link.phase !== "IDLE").length;
  const outage = last && last.done ? lastOutage(last, stats.time_ns) : "";
  const critical = readiness.critical;
  if (!done && last) {
    const [back, lost] = totals(last);
    return {
      level: "bad",
      head: `A link was lost: ${count(back)} of ${counted(lost, "stream")} are back`,
      more: `${capital(last.reason)}, ${ago(last.started_time_ns, stats.time_ns)}. ${trying(stats)}${missing(critical)}`,
    };
  }
  if (!readiness.ready) {
    const missing = critical.wanted - critical.flowing;
    return {
      level: "bad",
      head: `${counted(missing, "CRITICAL stream does", "CRITICAL streams do")} not flow`,
      more: `${readiness.missing.join(", ")}${missing > readiness.missing.length ? ", …" : ""}. Choose it under Topics to read why.`,
    };
  }
  if (down) return { level: "warn", head: `${counted(down, "link is", "links are")} not connected`, more: outage };
  if (recovering + waiting + sent) {
    return {
      level: "note",
      head: `${count(open)} of ${counted(wanted, "stream")} flow; ${count(recovering + waiting + sent)} were asked for and are not proven yet`,
      more: outage,
    };
  }
  if (!wanted) return { level: "note", head: "No component wants anything yet", more: outage };
  const suspect = stats.data.SUSPECT ?? 0;
  if (suspect) {
    return { level: "warn", head: `${counted(suspect, "stream is", "streams are")} suspect: silent for longer than they use to be`, more: outage };
  }
  const but = refused ? ` (${count(refused)} more were refused by the venue)` : "";
  return { level: "good", head: `${open === 1 ? "The one stream flows" : `All ${count(open)} streams flow`}${but}`, more: outage || "No link was lost so far." };
}

/** What is being done about it. */
function trying({ links }) {
  const down = links.filter((link) => !link.up && link.phase !== "IDLE");
  return down.length
    ? "It is not connected yet: that is tried again by itself, and then all that is wanted is asked for."
    : "All that is wanted is being asked for again, most important first.";
}

const missing = ({ wanted, flowing }) => (wanted > flowing ? ` ${counted(wanted - flowing, "CRITICAL stream is", "CRITICAL streams are")} missing.` : "");

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

function ofIssue({ rule, severity, kind, subject, evidence, remedy, others }) {
  const more = others ? ` The same is true of ${counted(others, "other")}.` : "";
  return {
    key: `issue ${rule} ${kind} ${subject}`, level: severity === "CRITICAL" ? "bad" : "warn", where: WHERE[kind] ?? "",
    text: `${kind === "process" ? "" : `${kind} ${subject}: `}${evidence}${more}`, more: remedy,
  };
}

/** What the figures themselves show of components and streams. */
function ownFindings({ stats, components }) {
  const found = [];
  const named = (health) => components.name.filter((_, index) => components.health[index] === health);
  const some = (names) => (names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", "));
  const quarantined = named("quarantined");
  if (quarantined.length) {
    found.push({ key: "quarantined", level: "bad", where: "components",
      text: `${counted(quarantined.length, "component is", "components are")} quarantined: ${some(quarantined)}`,
      more: "They took nothing for too long and get nothing now. They are let in again once they go on, and removed if they do not." });
  }
  const slow = named("slow");
  if (slow.length) {
    found.push({ key: "slow", level: "warn", where: "components",
      text: `${counted(slow.length, "component is", "components are")} slow: ${some(slow)}`,
      more: "Events wait longer for them than they should. Nobody else is harmed; their own queues may overflow." });
  }
  const refused = stats.streams.REFUSED ?? 0;
  if (refused) {
    found.push({ key: "refused", level: "warn", where: "topics",
      text: `${counted(refused, "stream was", "streams were")} refused by the venue`,
      more: "They stay off the wire until they are asked for anew. Choose one under Topics to read the venue's reason." });
  }
  return found;
}

function makeItem() {
  return el("li", {}, el("p", { class: "what" }), el("p", { class: "more" }), el("a", { class: "where", hidden: true }, "Show"));
}

function fillItem(node, { level, text, more, where }) {
  node.dataset.level = level;
  setText(node.children[0], text);
  setText(node.children[1], more);
  node.children[2].hidden = !where;
  if (where) node.children[2].setAttribute("href", `#${where}`);
}
