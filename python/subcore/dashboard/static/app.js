// The page: figures come in once an interval and go to its parts.

import { Charts } from "./charts.js";
import { Components } from "./components.js";
import { byId, setText } from "./dom.js";
import { Feed, ask } from "./feed.js";
import { showLinks } from "./links.js";
import { showRestores } from "./restores.js";
import { startTheme } from "./theme.js";
import { Topics } from "./topics.js";
import { Totals } from "./totals.js";
import { Verdict } from "./verdict.js";

const verdict = new Verdict();
const totals = new Totals();
const charts = new Charts();
const components = new Components();
const topics = new Topics();
let restores = [];
let restoresSeen = "";
let [heard, told] = [0, 0]; // words of the feed; the newest of them that the verdict is about

startTheme(() => charts.rebuild());

/** They are asked for when there is another, and all the time while one is under way. */
async function keepRestores({ restores: [kept, number, done], instance, stats }) {
  const seen = `${instance} ${kept} ${number} ${done}`;
  if (seen === restoresSeen && done) return showRestores(restores, stats.time_ns);
  const found = kept ? await ask("restores.json") : [];
  if (found === null) return undefined;
  restores = found;
  restoresSeen = seen;
  charts.marks(restores.map((each) => each.started_time_ns / 1e9));
  return showRestores(restores, stats.time_ns);
}

async function show(figures) {
  heard += 1;
  const mine = heard;
  setText(byId("venue"), figures.venue);
  totals.show(figures.stats);
  charts.add(figures.points);
  showLinks(figures.stats);
  components.show(figures.components);
  topics.total(figures.stats.topics);
  topics.tick(figures.stats.time_ns);
  await keepRestores(figures);
  if (mine < told) return; // something newer was said meanwhile
  told = mine;
  verdict.show(figures, restores);
}

function event(figures) {
  return show(figures).catch((error) => {
    console.error(error);
    state("page error"); // what is shown may be old
  });
}

function state(now, since) {
  const pill = byId("connection");
  setText(pill, now);
  pill.dataset.level = now === "live" ? "good" : "bad";
  document.body.classList.toggle("stale", now !== "live");
  if (now === "live") return;
  heard += 1;
  told = heard;
  verdict.gone(now, since);
}

// The Feed is what keeps everything going; kept where the console finds it.
window.subcore = { feed: new Feed({ event, state, history: (columns) => charts.history(columns) }) };
