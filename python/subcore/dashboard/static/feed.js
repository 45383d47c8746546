// What the server says, once an interval. Begins again by itself after a restart, and rests while nobody looks.

const AGAIN_MS = 1000;
const ANSWER_MS = 10_000; // a host that vanished answers nothing, not even that it is gone
const QUIET_INTERVALS = 5; // so many without a word, and the connection is given up

export class Feed {
  /** `on.event(figures)`, `on.history(columns)`, `on.state(state, since)`. */
  constructor(on) {
    this.on = on;
    this.source = null;
    this.timer = null;
    this.attempt = 0;
    this.lastAt = Date.now();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.open()));
    if (!document.hidden) this.open();
  }

  rest() {
    this.attempt += 1;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  async open() {
    this.rest();
    const mine = this.attempt;
    const isLatest = () => mine === this.attempt;
    try {
      const answer = await fetchSoon("history.json");
      if (!isLatest()) return;
      if (answer.status === 401) return this.state("locked");
      if (!answer.ok) throw new Error(answer.statusText);
      const history = await answer.json();
      if (!isLatest()) return;
      this.on.history(history);
    } catch {
      if (isLatest()) this.again();
      return;
    }
    const source = new EventSource("events");
    this.source = source;
    source.onmessage = (message) => this.heard(JSON.parse(message.data));
    source.onerror = () => this.source === source && this.again();
    this.watch(1);
  }

  heard(figures) {
    this.lastAt = Date.now();
    this.watch(figures.interval_s);
    this.state("live");
    this.on.event(figures);
  }

  watch(interval) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), 1000 * (2 + QUIET_INTERVALS * interval));
  }

  again() {
    this.rest();
    this.state("reconnecting");
    if (!document.hidden) this.timer = setTimeout(() => this.open(), AGAIN_MS);
  }

  state(state) {
    this.on.state(state, this.lastAt);
  }
}

const fetchSoon = (path) => fetch(path, { signal: AbortSignal.timeout(ANSWER_MS) });

/** JSON of `path`, or null where it cannot be had: the feed says so anyway. */
export async function ask(path) {
  try {
    const answer = await fetchSoon(path);
    return answer.ok || answer.status === 404 ? await answer.json() : null;
  } catch {
    return null;
  }
}
