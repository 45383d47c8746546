// Each connection: what it carries, and how much of the venue's limits its sends have used.

import { byId, el, keyed, setText } from "./dom.js";
import { ago, count, counted, rate, span } from "./format.js";

const ROLES = {
  OWN: "for those that asked for one of their own", SETTLED: "for what is proven", NURSERY: "for what is new",
  STANDBY: "the second carrier", RETIRED: "being replaced",
};
const PHASES = { UP: "up", IDLE: "idle", CONNECTING: "connecting", BACKOFF: "waits to connect again" };

export function showLinks(stats) {
  setText(byId("links-count"), String(stats.links.length));
  keyed(byId("links-list"), stats.links, (link) => link.number, makeLink, (node, link) => fillLink(node, link, stats.time_ns));
}

function makeLink(link) {
  return el("article", { class: "link" },
    el("h3", {}, el("span", {}, `Link ${link.number} `, el("small")), el("span", { class: "pill" })),
    el("p", { class: "facts" }), el("div", { class: "bars" }));
}

function fillLink(node, link, now) {
  const [heading, facts, bars] = node.children;
  const pill = heading.children[1];
  const role = ROLES[link.role] ? `, ${ROLES[link.role]}` : "";
  setText(heading.children[0].children[0], `${link.route || "public"}${role}`);
  setText(pill, link.up ? "up" : PHASES[link.phase] ?? "down");
  pill.dataset.level = link.up ? "good" : link.phase === "IDLE" ? "" : "bad";
  const waiting = link.waiting ? `, ${counted(link.waiting, "change waits", "changes wait")} to be sent` : "";
  setText(facts, [
    `${counted(link.streams, "stream")}${waiting}`, `${rate(link.frame_rate.over_1s)} frames/s`,
    `delay ${span(link.delay.p50_ns)} (99 %: ${span(link.delay.p99_ns)})`, `round trip ${link.rtt_ns ? span(link.rtt_ns) : "–"}`,
    `last frame ${ago(link.last_receive_time_ns, now)}`, `connection no. ${count(link.generation)}`,
  ].join(" · "));
  keyed(bars, link.windows, (each) => `${each.counts.join("+")} ${each.scope} ${each.seconds}`, makeBar, fillBar);
}

function makeBar() {
  return el("div", { class: "budget" },
    el("span", { class: "label" }),
    el("span", { class: "track", role: "meter", "aria-valuemin": "0" }, el("span", { class: "reserve" }), el("span", { class: "used" })),
    el("span", { class: "number" }));
}

const SCOPES = { link: "this link", ip: "all links of this address", account: "all links of this account" };

function fillBar(node, window) {
  const [label, track, number] = node.children;
  const { amount, used, reserve, left } = window;
  setText(label, `${window.counts.map((each) => `${each}s`).join(", ")} in ${Number(window.seconds.toPrecision(3))} s, ${SCOPES[window.scope] ?? window.scope}`);
  setText(number, `${count(used)} of ${count(amount)} used`);
  track.setAttribute("aria-valuenow", used);
  track.setAttribute("aria-valuemax", amount);
  track.setAttribute("aria-label", `${label.textContent}: ${number.textContent}`);
  track.children[0].style.width = `${(100 * reserve) / amount}%`;
  track.children[1].style.width = `${Math.min(100, (100 * used) / amount)}%`;
  track.dataset.level = left <= 0 ? "bad" : left <= reserve ? "warn" : "good";
  node.title = reserve ? `${reserve} of ${amount} are kept for restores` : "";
}
