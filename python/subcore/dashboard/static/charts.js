// The last ten minutes as lines, a point a second; lost links are marked.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { byId, el } from "./dom.js";
import { count, rate, seconds } from "./format.js";
import { colour } from "./theme.js";

const POINTS = 600;
const BACK_S = 5; // an event may be a little older than the history that was asked for
const CHARTS = [
  { title: "Messages a second", series: [
    { key: "frames", label: "from the venue", colour: "line-1" },
    { key: "delivered", label: "to components", colour: "line-2" },
  ], text: rate },
  { title: "Streams that do not flow", series: [
    { key: "not_open", label: "not proven", colour: "line-3", fill: true },
    { key: "suspect", label: "suspect", colour: "line-4", dash: [5, 4] },
  ], text: count, least: 5 },
  { title: "Delay from the venue to here", series: [
    { key: "p50_ms", label: "median", colour: "line-1" },
    { key: "p99_ms", label: "99 %", colour: "line-2" },
  ], text: (ms) => (ms === null || ms === undefined ? "–" : ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : seconds(ms / 1000)) },
];
const AXIS_FONT = "11px system-ui, sans-serif";

export class Charts {
  constructor() {
    this.columns = { time_s: [] };
    this.losses = []; // seconds since 1970
    this.boxes = CHARTS.map((chart) => {
      const box = el("div", { class: "plot" });
      byId("charts").append(el("figure", {}, el("figcaption", {}, chart.title), box));
      new ResizeObserver(() => this.fit()).observe(box);
      return box;
    });
    this.plots = [];
    this.rebuild();
  }

  /** After a reload or a restart: what the server still knows. */
  history(columns) {
    this.columns = columns;
    this.draw();
  }

  /** The newest, oldest first; some are known already. */
  add(points) {
    if (!points.length) return;
    const last = () => this.columns.time_s.at(-1) ?? 0;
    if (points.at(-1).time_s < last() - BACK_S) this.cut(points[0].time_s);
    points.forEach((point) => point.time_s > last() && this.push(point));
    this.draw();
  }

  push(point) {
    const known = this.columns.time_s.length;
    for (const [name, value] of Object.entries(point)) {
      const column = (this.columns[name] ??= new Array(known).fill(null));
      column.push(value);
      if (column.length > POINTS) column.shift();
    }
  }

  /** The server's clock was set back: what is from then on comes again. */
  cut(from) {
    const kept = this.columns.time_s.filter((time) => time < from).length;
    Object.values(this.columns).forEach((column) => column.splice(kept));
  }

  marks(times) {
    this.losses = times;
    this.draw();
  }

  draw() {
    this.plots.forEach((plot, index) => plot.setData(this.dataOf(CHARTS[index])));
  }

  dataOf(chart) {
    const times = this.columns.time_s;
    return [times, ...chart.series.map(({ key }) => this.columns[key] ?? new Array(times.length).fill(null))];
  }

  fit() {
    this.plots.forEach((plot, index) => {
      const width = this.boxes[index].clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    });
  }

  /** Colours are part of a plot: another theme, another plot. */
  rebuild() {
    this.plots.forEach((plot) => plot.destroy());
    this.plots = CHARTS.map((chart, index) => new uPlot(this.options(chart, index), this.dataOf(chart), this.boxes[index]));
  }

  options(chart, index) {
    const [ink, grid] = [colour("faint"), colour("rule")];
    const axis = { stroke: ink, font: AXIS_FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    return {
      width: Math.max(200, this.boxes[index].clientWidth),
      height: 150,
      padding: [8, 8, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 5 } },
      legend: { live: true },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(chart.least ?? 0, (high || 1) * 1.1)] } },
      axes: [
        { ...axis, size: 24, space: 90, values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString("en-GB")) },
        { ...axis, size: 52, space: 34, values: (_, values) => values.map(chart.text) },
      ],
      series: [
        { label: "at", value: (_, time) => (time === null ? "" : new Date(time * 1000).toLocaleTimeString("en-GB")) },
        ...chart.series.map(({ label, colour: name, fill, dash }) => ({
          dash,
          label, stroke: colour(name), width: 1.6, points: { show: false }, spanGaps: false,
          fill: fill ? colour(`${name}-fill`) : undefined,
          value: (plot, value) => (plot.cursor.idx === null || plot.cursor.idx === undefined ? "" : chart.text(value)),
        })),
      ],
      hooks: { drawClear: [(plot) => this.drawLosses(plot)] },
    };
  }

  drawLosses(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("bad");
    ctx.setLineDash([4, 4]);
    for (const time of this.losses) {
      const x = plot.valToPos(time, "x", true);
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}
