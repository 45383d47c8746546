// A table of any length: only the rows in sight exist. Columns of figures in, sorted and searched here.
//
// Keys: up, down, page up, page down, home, end move; enter or space chooses; escape lets go; / goes to the search.

import { el, setText } from "./dom.js";

const PHONE = matchMedia("(max-width: 720px)");
const SPARE = 6; // rows kept ready above and below

let tables = 0;

export class Table {
  /**
   * `columns`: {key, title, text(row), sort(row)?, first?: "desc", width, wide?, align?, level?(row), hint?}; `row` is an
   * index into the data given to `show`. `name(row)` is unique. `search(row)`: the text that is searched.
   * `trouble(row)`: what needs a look, greater first; the order until another is asked for.
   */
  constructor(parent, { label, columns, name, search, trouble, chosen }) {
    Object.assign(this, { columns, name, search, trouble, chosen });
    this.id = `table-${(tables += 1)}`;
    this.count = 0;
    this.order = [];
    this.sorting = null; // {column, sign}
    this.selected = null; // by name
    this.active = null; // by name: where the keyboard is
    this.drawn = [];
    this.build(parent, label);
    PHONE.addEventListener("change", () => this.relayout());
    new ResizeObserver(() => this.draw()).observe(this.body);
    this.relayout();
  }

  build(parent, label) {
    this.input = el("input", {
      type: "search", placeholder: "Search", "aria-label": `Search ${label}`, autocomplete: "off", spellcheck: "false",
      on: { input: () => this.sort(), keydown: (event) => event.key === "Escape" && this.clearSearch() },
    });
    this.found = el("span", { class: "found", role: "status" });
    this.head = el("div", { class: "row head", role: "row" });
    this.rows = el("div", { class: "rows", role: "presentation" });
    this.empty = el("p", { class: "empty", hidden: true });
    this.body = el("div", {
      class: "table", role: "grid", tabindex: "0", "aria-label": label, "aria-readonly": "true",
      on: { scroll: () => this.draw(), keydown: (event) => this.key(event), click: (event) => this.click(event) },
    }, this.head, this.rows);
    parent.append(el("div", { class: "tools" }, this.input, this.found), this.body, this.empty);
  }

  // -- what it shows --

  /** `count` rows of new figures. The order rests while somebody points at it, unless rows came or went. */
  show(count, { changed = false } = {}) {
    const held = this.body.matches(":hover") || this.body === document.activeElement;
    const must = changed || count !== this.count;
    this.count = count;
    if (must || !held) this.sort();
    else this.draw();
  }

  sort() {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const order = [];
    for (let row = 0; row < this.count; row += 1) {
      if (!words.length || this.matches(row, words)) order.push(row);
    }
    const { keys, sign } = this.keys();
    order.sort((a, b) => compare(keys(a), keys(b)) * sign || compare(this.name(a), this.name(b)));
    this.order = order;
    setText(this.found, words.length ? `${order.length} of ${this.count}` : "");
    this.empty.hidden = order.length > 0;
    setText(this.empty, this.count ? "Nothing is called like that." : "There is nothing yet.");
    this.draw();
  }

  matches(row, words) {
    const text = this.search(row).toLowerCase();
    return words.every((word) => text.includes(word));
  }

  keys() {
    if (this.sorting === null) return { keys: this.trouble, sign: -1 };
    const { column, sign } = this.sorting;
    return { keys: column.sort ?? column.text, sign };
  }

  clearSearch() {
    this.input.value = "";
    this.sort();
    this.body.focus();
  }

  has(name) {
    for (let row = 0; row < this.count; row += 1) if (this.name(row) === name) return true;
    return false;
  }

  // -- drawing --

  relayout() {
    this.visible = this.columns.filter((column) => !(PHONE.matches && column.wide));
    this.height = PHONE.matches ? 40 : 28;
    const template = this.visible.map((column) => (PHONE.matches && column.phone) || column.width).join(" ");
    this.body.style.setProperty("--columns", template);
    this.body.style.setProperty("--row", `${this.height}px`);
    this.head.replaceChildren(...this.visible.map((column) => this.heading(column)));
    this.rows.replaceChildren();
    this.drawn = [];
    this.draw();
  }

  heading(column) {
    const sorted = this.sorting?.column === column ? this.sorting.sign : 0;
    const button = el("button", { type: "button", title: column.hint, on: { click: () => this.sortBy(column) } },
      column.title, sorted ? (sorted > 0 ? " ▲" : " ▼") : "");
    const order = { 1: "ascending", "-1": "descending", 0: "none" }[sorted];
    return el("span", { role: "columnheader", class: column.align, "aria-sort": order }, button);
  }

  sortBy(column) {
    const first = column.first === "desc" ? -1 : 1;
    if (this.sorting?.column !== column) this.sorting = { column, sign: first };
    else if (this.sorting.sign === first) this.sorting.sign = -first;
    else this.sorting = null;
    const at = this.visible.indexOf(column);
    this.head.replaceChildren(...this.visible.map((each) => this.heading(each)));
    this.head.children[at].firstChild.focus();
    this.sort();
  }

  draw() {
    const { height, order, body } = this;
    this.rows.style.height = `${order.length * height}px`;
    body.setAttribute("aria-rowcount", order.length + 1);
    const longest = Math.max(0, order.length * height - body.clientHeight + height);
    const top = Math.min(body.scrollTop, longest); // fewer were found, and it has not been scrolled back yet
    const first = Math.max(0, Math.floor(top / height) - SPARE);
    const last = Math.min(order.length, Math.ceil((top + body.clientHeight) / height) + SPARE);
    while (this.drawn.length < last - first) this.drawn.push(this.makeRow());
    while (this.drawn.length > last - first) this.drawn.pop().node.remove();
    this.drawn.forEach((drawn, index) => this.fill(drawn, first + index));
    const active = this.drawn.find((drawn) => drawn.name === this.active);
    if (active) body.setAttribute("aria-activedescendant", active.node.id);
    else body.removeAttribute("aria-activedescendant");
  }

  makeRow() {
    const cells = this.visible.map((column) => el("span", { role: "gridcell", class: column.align }));
    const node = el("div", { class: "row", role: "row", id: `${this.id}-${this.drawn.length}` }, ...cells);
    this.rows.append(node);
    return { node, cells, name: null };
  }

  fill(drawn, place) {
    const row = this.order[place];
    drawn.name = this.name(row);
    const { node } = drawn;
    node.style.transform = `translateY(${place * this.height}px)`;
    node.dataset.place = place;
    node.setAttribute("aria-rowindex", place + 2);
    node.setAttribute("aria-selected", drawn.name === this.selected);
    node.classList.toggle("active", drawn.name === this.active);
    this.visible.forEach((column, index) => {
      const cell = drawn.cells[index];
      const text = column.text(row);
      setText(cell, text);
      if (cell.title !== text) cell.title = text;
      const level = column.level?.(row) ?? "";
      if (cell.dataset.level !== level) cell.dataset.level = level;
    });
  }

  // -- choosing --

  click(event) {
    const node = event.target.closest?.(".row:not(.head)");
    if (node) this.choose(this.name(this.order[Number(node.dataset.place)]));
  }

  choose(name) {
    this.active = name;
    this.selected = name === this.selected ? null : name;
    this.draw();
    this.chosen(this.selected);
  }

  key(event) {
    if (event.target !== this.body) return;
    const page = Math.max(1, Math.floor(this.body.clientHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.move(steps[event.key]);
    else if ((event.key === "Enter" || event.key === " ") && this.active !== null) this.choose(this.active);
    else if (event.key === "Escape" && this.selected !== null) this.choose(this.selected);
    else if (event.key === "/") this.input.focus();
    else return;
    event.preventDefault();
  }

  move(step) {
    if (!this.order.length) return;
    const at = this.order.findIndex((row) => this.name(row) === this.active);
    const from = at < 0 ? (step > 0 && Number.isFinite(step) ? -1 : 0) : at;
    const to = Math.max(0, Math.min(this.order.length - 1, from + step));
    this.active = this.name(this.order[to]);
    const top = to * this.height;
    const room = this.body.clientHeight - 2 * this.height; // less the head, which stays
    if (top < this.body.scrollTop) this.body.scrollTop = top;
    else if (top > this.body.scrollTop + room) this.body.scrollTop = top - room;
    this.draw();
  }
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return a < b ? -1 : 1;
}
