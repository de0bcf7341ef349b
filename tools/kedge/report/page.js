"use strict";
/* The replay. A state of both flashes is what the first N operations made of them: who wrote each
 * sector last, how many bytes of it, how often it was erased. States are kept every STRIDE
 * operations, so that the slider may jump anywhere. */
const STRIDE = 1024, CELL_MAX = 14, DEVICES = ["internal", "external"];
const BEFORE = 101, OUTSIDE = 102; // writers that are no phase
const $ = (id) => document.getElementById(id);
const record = JSON.parse($("record").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

/* ---- words and numbers ---- */
const number = (n) => n.toLocaleString("en-US");
const hex = (n) => "0x" + n.toString(16).toUpperCase().padStart(6, "0");
const plural = (n, word) => number(n) + " " + word + (n === 1 ? "" : "s");
const seconds = (us) => us === 0 ? "0" : us < 1e6 ? (us / 1e3).toFixed(us < 1e4 ? 2 : 1) + " ms" : (us / 1e6).toFixed(3) + " s";
const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

/* ---- the record ---- */
const count = record.ops.length / 5;
const op = { time: new Float64Array(count), device: new Uint8Array(count), erase: new Uint8Array(count),
  phase: new Uint8Array(count), at: new Uint32Array(count), size: new Uint32Array(count),
  took: new Uint32Array(count) };
for (let i = 0, time = 0; i < count; i++) {
  const [dt, code, at, size, took] = record.ops.slice(5 * i, 5 * i + 5);
  op.time[i] = time += dt;
  op.device[i] = code & 1; op.erase[i] = code >> 1 & 1; op.phase[i] = code >> 2;
  op.at[i] = at; op.size[i] = size; op.took[i] = took;
}
const marks = record.marks.map(([at, time, kind, text]) => ({ at, time, kind, text }));
const sectors = record.parts.map((part) => Math.floor(part.size / part.sector));
const regionOf = (device, at) => record.regions.find(
  (r) => r.device === device && at >= r.start && at < r.start + r.size);

/* "internal 0x0-0x1000 ..." -> one bit a sector. */
function parseHolds(text) {
  const words = text.split(" ").filter((w) => w);
  const device = DEVICES.indexOf(words[0]);
  if (device < 0) return null;
  const held = new Uint8Array(sectors[device]);
  for (const range of words.slice(1)) {
    const [from, to] = range.split("-").map(Number);
    held.fill(1, from / record.parts[device].sector, to / record.parts[device].sector);
  }
  return { device, held };
}
const holds = marks.filter((m) => m.kind === "holds").map((m) => ({ at: m.at, ...parseHolds(m.text) }))
  .filter((h) => h.held);

/* ---- states ---- */
function blankState() {
  return { done: 0, nextHolds: 0, device: sectors.map((n) => (
    { writer: new Uint8Array(n), filled: new Uint32Array(n), erases: new Uint16Array(n) })) };
}
function copyState(s) {
  return { ...s, device: s.device.map((d) => (
    { writer: d.writer.slice(), filled: d.filled.slice(), erases: d.erases.slice() })) };
}
/* What lay in the flash when a process began may differ from what the record left there. */
function applyHolds(state, { device, held, at }) {
  const d = state.device[device], size = record.parts[device].sector;
  for (let s = 0; s < held.length; s++) {
    if (held[s] && d.filled[s] === 0) { d.filled[s] = size; d.writer[s] = at === 0 ? BEFORE : OUTSIDE; }
    else if (!held[s]) d.filled[s] = 0;
  }
}
function applyOperation(state, i) {
  const d = state.device[op.device[i]], size = record.parts[op.device[i]].sector;
  const end = op.at[i] + op.size[i];
  for (let at = op.at[i]; at < end; ) {
    const s = Math.floor(at / size), next = Math.min(end, (s + 1) * size);
    if (op.erase[i]) { d.filled[s] = 0; d.erases[s]++; }
    else d.filled[s] = Math.min(size, d.filled[s] + next - at);
    d.writer[s] = op.phase[i];
    at = next;
  }
}
function holdsUpTo(state, done) {
  while (state.nextHolds < holds.length && holds[state.nextHolds].at <= done) applyHolds(state, holds[state.nextHolds++]);
}
function advance(state, to) {
  holdsUpTo(state, state.done);
  while (state.done < to) {
    applyOperation(state, state.done++);
    holdsUpTo(state, state.done);
  }
}
const kept = [];
{
  const state = blankState();
  for (let i = 0; i <= count; i += STRIDE) { advance(state, i); kept.push(copyState(state)); }
}
let state = copyState(kept[0]);
function stateAt(to) {
  const near = kept[Math.floor(to / STRIDE)];
  if (to < state.done || near.done > state.done) state = copyState(near);
  advance(state, to);
}

/* ---- colours ---- */
let colour = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["back", "text", "soft", "line", "blank", "cursor", "before", "outside", "card",
    ...record.phases.map((p) => "phase-" + p)]) colour[name] = style.getPropertyValue("--" + name).trim();
}
const writerColour = (w) => w === BEFORE ? colour.before : w === OUTSIDE ? colour.outside : colour["phase-" + record.phases[w]];
/* Shade of a sector by its erases: 0, 1, 2-3, 4-7, 8 and more. */
const shade = (erases) => [0.45, 0.6, 0.75, 0.88, 1][erases === 0 ? 0 : Math.min(4, 1 + Math.floor(Math.log2(erases)))];

function prepare(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  canvas.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/* ---- filters ---- */
/* Phases as people ask for them; one that a later Kedge may have comes last. */
const asked = ["download", "decode", "swap", "boot", "validate", "idle", "debugger"];
const rankOf = (p) => asked.indexOf(record.phases[p]) < 0 ? asked.length : asked.indexOf(record.phases[p]);
const order = record.phases.map((name, p) => p).sort((a, b) =>
  rankOf(a) - rankOf(b));
const present = { device: new Set(op.device), phase: new Set(op.phase) };
const shown = { device: [true, true], phase: record.phases.map(() => true) };
const isShown = (i) => shown.device[op.device[i]] && shown.phase[op.phase[i]];

function addFilter(kind, index, text, swatch) {
  const label = element("label", undefined, { class: "chip" });
  const box = element("input", undefined, { type: "checkbox", id: `${kind}-${text}` });
  box.checked = true;
  box.addEventListener("change", () => {
    shown[kind][index] = box.checked;
    label.classList.toggle("off", !box.checked);
    layAll();
  });
  label.append(box);
  if (swatch) label.append(element("i", undefined, { class: "dot", style: `background:var(--${swatch})` }));
  label.append(text);
  $("filters").append(label);
}
function addFilters() {
  DEVICES.forEach((name, d) => addFilter("device", d, name));
  $("filters").append(element("span", "", { class: "gap" }));
  for (const p of order) if (present.phase.has(p)) addFilter("phase", p, record.phases[p], "phase-" + record.phases[p]);
}

/* ---- the maps ---- */
/* Ranges of a flash: its regions, and what lies between them. */
function ranges(device) {
  const own = record.regions.filter((r) => r.device === device).sort((a, b) => a.start - b.start);
  const all = [];
  let at = 0;
  const gap = (to) => { if (to > at) all.push({ name: "no region", device, start: at, size: to - at }); };
  for (const r of own) { gap(r.start); all.push(r); at = Math.max(at, r.start + r.size); }
  gap(record.parts[device].size);
  return all;
}
const last = copyState(kept[kept.length - 1]);
advance(last, count);
/* Never touched and blank all the while: a line, not a grid. */
function isIdle(range, first, end) {
  const d = last.device[range.device];
  for (let s = first; s < end; s++) {
    if (d.filled[s] > 0 || d.erases[s] > 0 || holds.some((h) => h.device === range.device && h.held[s])) return false;
  }
  return true;
}
const maps = [];
function addMap(range) {
  const size = record.parts[range.device].sector;
  const first = Math.floor(range.start / size), end = Math.floor((range.start + range.size) / size);
  const idle = isIdle(range, first, end);
  const box = element("div", undefined, { class: `region ${range.name}${idle ? " folded" : ""}` });
  const name = element("div", undefined, { class: "name" });
  const figures = element("span");
  name.append(element("b", range.name), figures);
  box.append(name);
  $("map-" + range.device).append(box);
  const where = `${hex(range.start)}\u2013${hex(range.start + range.size)}`;
  const map = { range, first, end, figures, where };
  if (idle) {
    figures.textContent = `${where}, ${plural(end - first, "sector")}, blank, never touched`;
    return;
  }
  const frame = element("div", undefined, { class: "frame" });
  map.canvas = element("canvas");
  frame.append(map.canvas); box.append(frame);
  map.canvas.addEventListener("mousemove", (event) => tipSector(map, event));
  map.canvas.addEventListener("mouseleave", hideTip);
  maps.push(map);
}
function layMap(map) {
  const width = map.canvas.clientWidth;
  map.cell = map.end - map.first > 512 ? 9 : CELL_MAX;
  map.columns = Math.max(1, Math.floor(width / map.cell));
  map.context = prepare(map.canvas, width, Math.ceil((map.end - map.first) / map.columns) * map.cell);
}
function drawSector(map, s, d, size) {
  const c = map.context, side = map.cell - 2, k = s - map.first;
  const x = k % map.columns * map.cell, y = Math.floor(k / map.columns) * map.cell;
  const visible = shown.device[map.range.device] && (d.writer[s] > 100 || shown.phase[d.writer[s]]);
  const full = d.filled[s] / size, high = full === 0 ? 0 : Math.max(2, Math.round(side * full));
  c.globalAlpha = 1;
  c.fillStyle = colour.blank; c.fillRect(x, y, side, side);
  if (d.erases[s] > 0 && high < side) {
    c.globalAlpha = 0.1 + 0.35 * shade(d.erases[s]) * (visible ? 1 : 0.3);
    c.fillStyle = colour.soft; c.fillRect(x, y, side, side);
  }
  if (high > 0) {
    c.globalAlpha = shade(d.erases[s]) * (visible ? 1 : 0.15);
    c.fillStyle = writerColour(d.writer[s]); c.fillRect(x, y + side - high, side, high);
  }
  c.globalAlpha = 1;
}
function ringSectors(map, i) {
  const size = record.parts[op.device[i]].sector;
  const from = Math.max(map.first, Math.floor(op.at[i] / size));
  const to = Math.min(map.end - 1, Math.floor((op.at[i] + op.size[i] - 1) / size));
  map.context.strokeStyle = colour.cursor; map.context.lineWidth = 2;
  for (let s = from; s <= to; s++) {
    const k = s - map.first;
    map.context.strokeRect(k % map.columns * map.cell, Math.floor(k / map.columns) * map.cell, map.cell - 2, map.cell - 2);
  }
}
function drawMap(map) {
  const d = state.device[map.range.device], size = record.parts[map.range.device].sector;
  let used = 0;
  map.context.clearRect(0, 0, map.canvas.width, map.canvas.height);
  for (let s = map.first; s < map.end; s++) { drawSector(map, s, d, size); used += d.filled[s] > 0; }
  map.figures.textContent = `${map.where}, ${number(used)} of ${number(map.end - map.first)} in use`;
  map.used = used;
  if (position > 0 && position < count && op.device[position - 1] === map.range.device) ringSectors(map, position - 1);
}

/* ---- what the mouse is on ---- */
function tip(text, event) {
  $("tip").textContent = text;
  $("tip").hidden = false;
  const box = $("tip").getBoundingClientRect();
  $("tip").style.left = Math.min(event.clientX + 14, innerWidth - box.width - 8) + "px";
  $("tip").style.top = Math.min(event.clientY + 16, innerHeight - box.height - 8) + "px";
}
function hideTip() { $("tip").hidden = true; }
function sectorWords(device, s) {
  const d = state.device[device], size = record.parts[device].sector, region = regionOf(device, s * size);
  const writer = d.writer[s] === BEFORE ? "there before the record began"
    : d.writer[s] === OUTSIDE ? "changed while nothing was recorded" : "by " + record.phases[d.writer[s]];
  const content = d.filled[s] === 0 ? (d.erases[s] > 0 ? `blank, erased ${writer}` : "blank")
    : d.writer[s] > 100 ? `in use: ${writer}` : `${plural(d.filled[s], "byte")} programmed ${writer}`;
  return `${DEVICES[device]} ${hex(s * size)}, ${region ? region.name : "no region"}\n${content}\n` +
    `${plural(d.erases[s], "erase")} in this record`;
}
function tipSector(map, event) {
  const column = Math.floor(event.offsetX / map.cell), row = Math.floor(event.offsetY / map.cell);
  const s = map.first + row * map.columns + column;
  if (column >= map.columns || s >= map.end) hideTip();
  else tip(sectorWords(map.range.device, s), event);
}

/* ---- the timeline ---- */
const GUTTER = 84, STRIP = 12;
let lanes = [], base = null;
/* The regions that were touched, and in them only the sectors that were, get room. */
function layLanes(height) {
  const touched = [];
  for (const device of [0, 1]) for (const r of ranges(device)) {
    const size = record.parts[device].sector, first = Math.floor(r.start / size);
    const rank = new Int32Array(Math.floor((r.start + r.size) / size) - first).fill(-1);
    for (let i = 0; i < count; i++) {
      if (op.device[i] !== device) continue;
      const to = Math.min(rank.length, Math.ceil((op.at[i] + op.size[i]) / size) - first);
      for (let s = Math.max(0, Math.floor(op.at[i] / size) - first); s < to; s++) rank[s] = 0;
    }
    let rows = 0;
    rank.forEach((seen, s) => { if (seen === 0) rank[s] = rows++; });
    if (rows) touched.push({ ...r, first, size, rank, rows });
  }
  const least = 16, weight = touched.reduce((sum, r) => sum + Math.sqrt(r.rows), 0);
  const gaps = 4 * touched.length + 10, spare = Math.max(0, height - STRIP - 28 - gaps - least * touched.length);
  let y = STRIP + 8, device = touched.length ? touched[0].device : 0;
  lanes = touched.map((r) => {
    if (r.device !== device) { y += 10; device = r.device; }
    const lane = { ...r, y, height: least + spare * Math.sqrt(r.rows) / weight };
    y += lane.height + 4;
    return lane;
  });
}
let byTime = false, end = 1;
const xScale = (width) => (width - GUTTER - 8) / (byTime ? end : Math.max(1, count));
const xOf = (i, width) => GUTTER + (byTime ? op.time[Math.min(i, count - 1)] : i) * xScale(width);
function drawLanes(c, width) {
  c.font = "11px system-ui, sans-serif"; c.textBaseline = "middle";
  let device = -1;
  for (const lane of lanes) {
    c.fillStyle = colour.blank; c.globalAlpha = 0.55;
    c.fillRect(GUTTER, lane.y, width - GUTTER - 8, lane.height);
    c.globalAlpha = 1; c.fillStyle = colour.soft; c.textAlign = "right";
    c.fillText(lane.name, GUTTER - 6, lane.y + lane.height / 2);
    if (lane.device !== device) {
      device = lane.device;
      const own = lanes.filter((l) => l.device === device);
      const middle = (own[0].y + own[own.length - 1].y + own[own.length - 1].height) / 2;
      c.save(); c.translate(9, middle); c.rotate(-Math.PI / 2); c.textAlign = "center";
      c.fillStyle = colour.text; c.fillText(DEVICES[device], 0, 0); c.restore();
    }
  }
}
/* On top: who was at work. Neighbours of one phase are one bar (by the clock: while they work). */
function drawStrip(c, width) {
  for (let i = 0, from = 0; i < count; i++) {
    if (!byTime && i + 1 < count && op.phase[i + 1] === op.phase[from]) continue;
    const x = xOf(from, width), wide = byTime ? op.took[i] * xScale(width) : (i + 1 - from) * xScale(width);
    if (shown.phase[op.phase[from]]) {
      c.fillStyle = colour["phase-" + record.phases[op.phase[from]]];
      c.fillRect(x, 2, Math.max(1, wide), STRIP - 4);
    }
    from = i + 1;
  }
}
function drawOperations(c, width) {
  for (let i = 0; i < count; i++) {
    if (!isShown(i)) continue;
    const x = xOf(i, width), wide = Math.max(1.2, byTime ? op.took[i] * xScale(width) : xScale(width) - 0.3);
    c.fillStyle = colour["phase-" + record.phases[op.phase[i]]];
    for (const lane of lanes) {
      const sector = op.at[i] / lane.size - lane.first, row = lane.rank[Math.max(0, Math.floor(sector))];
      const rows = op.size[i] / lane.size;
      if (lane.device !== op.device[i] || sector + rows <= 0 || sector >= lane.rank.length) continue;
      const scale = (lane.height - 4) / lane.rows;
      const y = lane.y + (row + Math.max(0, sector) % 1) * scale + 1;
      const high = Math.max(op.erase[i] ? 4 : 2, Math.min(rows, lane.rows - row) * scale);
      if (op.erase[i]) { c.globalAlpha = 0.45; c.fillRect(x, y, Math.max(wide, 2), high); c.globalAlpha = 1; }
      else c.fillRect(x, y, wide, Math.min(high, 3));
    }
  }
}
function drawBoots(c, width, height) {
  let right = -99;
  c.strokeStyle = colour.cursor; c.textAlign = "left";
  for (const boot of boots) {
    const x = byTime ? GUTTER + boot.time * xScale(width) : xOf(boot.at, width);
    c.globalAlpha = 0.35; c.lineWidth = 1; c.setLineDash([3, 3]);
    c.beginPath(); c.moveTo(x, STRIP); c.lineTo(x, height - 16); c.stroke(); c.setLineDash([]);
    c.globalAlpha = 1; c.fillStyle = colour.soft;
    const text = boot.short, room = c.measureText(text).width;
    const left = Math.min(x - 2, width - room - 8);
    if (left > right + 8) { c.fillText(text, left, height - 8); right = left + room; }
  }
}
function drawTimeline() {
  const canvas = $("timeline"), width = canvas.clientWidth, height = 240;
  base = document.createElement("canvas");
  const c = prepare(base, width, height);
  layLanes(height);
  end = count ? Math.max(1, op.time[count - 1] + op.took[count - 1], ...boots.map((b) => b.time)) : 1;
  drawLanes(c, width); drawStrip(c, width); drawOperations(c, width); drawBoots(c, width, height);
}
function drawCursor() {
  const canvas = $("timeline"), width = canvas.clientWidth, c = prepare(canvas, width, 240);
  c.drawImage(base, 0, 0, width, 240);
  if (position === count) return;
  const x = xOf(position, width);
  c.globalAlpha = 0.55; c.fillStyle = colour.card; c.fillRect(x, 0, width - x, 222);
  c.globalAlpha = 1; c.fillStyle = colour.cursor; c.fillRect(x - 1, 0, 2, 224);
}
/* The operation under the mouse. */
function operationAt(event) {
  const width = $("timeline").clientWidth, v = Math.max(0, (event.offsetX - GUTTER) / xScale(width));
  if (!byTime) return Math.min(count, Math.round(v));
  let low = 0, high = count;
  while (low < high) { const m = low + high >> 1; if (op.time[m] <= v) low = m + 1; else high = m; }
  return low;
}
const operationWords = (i) => {
  const region = regionOf(op.device[i], op.at[i]);
  return `${record.phases[op.phase[i]]}: ${op.erase[i] ? "erase" : "program"} of ${number(op.size[i])} bytes at ` +
    `${hex(op.at[i])} of the ${DEVICES[op.device[i]]} flash` + (region ? `, ${region.name}` : "");
};

/* ---- boots, in words ---- */
const boots = [];
/* A process: the device, or a debugger (`kedge flash write`) while it was off. */
function addStart(mark, work) {
  const us = Number(mark.text);
  const when = us > 0 && us < 8.64e18 ? new Date(us / 1000).toISOString().replace("T", " ").slice(0, 19) + " UTC" : "";
  const who = work.some((words) => words.startsWith("debugger")) ? "Debugger" : "Device started";
  $("boots").append(element("li", [`${who}, ${when}`, ...work.map((words) => words.replace("debugger, ", ""))].join("; "), { class: "start" }));
}
/* What happened between two marks: who erased and programmed what. */
function workWords(from, to) {
  const sums = new Map();
  for (let i = from; i < to; i++) {
    const key = op.phase[i] * 2 + op.device[i], sum = sums.get(key) || { erases: 0, programs: 0 };
    if (op.erase[i]) sum.erases++; else sum.programs++;
    sums.set(key, sum);
  }
  return [...sums].sort((a, b) => a[0] - b[0]).map(([key, s]) =>
    `${record.phases[key >> 1]}, ${DEVICES[key & 1]}: ` + [s.erases && plural(s.erases, "erase"), s.programs && plural(s.programs, "program")].filter((w) => w).join(", "));
}
function addBoot(mark, number_, words, until) {
  const item = element("li", `Boot ${number_}: ${words}`, { "data-op": mark.at, tabindex: "0" });
  const work = workWords(mark.at, until);
  item.append(element("small", work.length ? work.join("; ") : "no flash operation"));
  item.addEventListener("click", () => go(mark.at));
  item.addEventListener("keydown", (event) => { if (event.key === "Enter") go(mark.at); });
  $("boots").append(item);
  const version = /^booted (\S+)/.exec(words);
  boots.push({ at: mark.at, time: mark.time, item, short: version ? version[1] : "no image" });
}
function addBoots() {
  let total = 0, fresh = null;
  const flush = (until) => {
    if (!fresh) return;
    addStart(fresh, workWords(fresh.at, until));
    fresh = null;
  };
  marks.forEach((mark, m) => {
    if (mark.kind === "process") { flush(mark.at); fresh = mark; }
    if (mark.kind === "boot") {
      flush(mark.at);
      const next = marks.findIndex((o, k) => k > m && (o.kind === "boot" || o.kind === "process"));
      const said = marks.slice(m + 1, next < 0 ? undefined : next).filter((o) => o.kind === "verdict" || o.kind === "note");
      const words = said.map((o) => o.text).join("; ") || "ended before the loader decided";
      addBoot(mark, ++total, words, next < 0 ? count : marks[next].at);
    }
  });
  flush(count);
}

/* ---- figures ---- */
const totals = {}; // "phase device" -> cells of its row
function addRows() {
  const body = $("work").tBodies[0];
  for (const p of order) for (const d of [0, 1]) {
    const happened = op.phase.some((phase, i) => phase === p && op.device[i] === d);
    if (happened || record.phases[p] === "download") addRow(body, `${p} ${d}`, record.phases[p], DEVICES[d]);
  }
  for (const d of [0, 1]) addRow(body, `sum ${d}`, "all", DEVICES[d]).classList.add("sum");
}
function addRow(body, key, phase, device) {
  const row = element("tr");
  row.append(element("td", phase), element("td", device));
  totals[key] = ["erases", "programs", "bytes", "time"].map((figure) => {
    const cell = element("td", "", { id: `${phase}-${device}-${figure}` });
    row.append(cell);
    return cell;
  });
  totals[key].row = row;
  body.append(row);
  return row;
}
function showFigures() {
  const sums = {};
  for (const key in totals) sums[key] = [0, 0, 0, 0];
  for (let i = 0; i < position; i++) {
    if (!isShown(i)) continue;
    for (const key of [`${op.phase[i]} ${op.device[i]}`, `sum ${op.device[i]}`]) {
      const s = sums[key];
      if (op.erase[i]) s[0]++; else { s[1]++; s[2] += op.size[i]; }
      s[3] += op.took[i];
    }
  }
  for (const key in totals) {
    const s = sums[key], cells = totals[key];
    [number(s[0]), number(s[1]), number(s[2]), seconds(s[3])].forEach((text, k) => { cells[k].textContent = text; });
    if (!key.startsWith("sum")) cells.row.classList.toggle("none", s[0] + s[1] === 0);
  }
  const hidden = [...shown.device, ...shown.phase].some((v) => !v);
  $("range").textContent = (position === count ? "whole record" : `after ${number(position)} of ${plural(count, "operation")}`) + (hidden ? ", filtered" : "");
}

/* ---- the position ---- */
let position = count;
function show() {
  stateAt(position);
  $("slider").value = position;
  $("count").textContent = `operation ${number(position)} of ${number(count)}`;
  $("now").textContent = count === 0 ? "No operation was recorded." : position === 0 ? "Before the first operation."
    : `${operationWords(position - 1)}; ${seconds(op.time[position - 1])}`;
  if (laid) { maps.forEach(drawMap); drawCursor(); }
  showFigures();
  let here = null;
  for (const boot of boots) { if (boot.at < position) here = boot; boot.item.classList.remove("here"); }
  if (here && position < count) here.item.classList.add("here");
}
function go(to) { position = Math.max(0, Math.min(count, to)); show(); }
/* The next operation that no filter hides. */
function step(by) {
  let to = position + by;
  while (to > 0 && to < count && !isShown(to - 1)) to += by;
  stop(); go(to);
}

let playing = 0;
function stop() { cancelAnimationFrame(playing); playing = 0; $("play").textContent = "\u25B6"; $("play").setAttribute("aria-label", "play"); }
/* The whole record takes about twelve seconds, whatever its length. */
function play() {
  if (playing) { stop(); return; }
  if (position === count) go(0);
  const began = performance.now(), from = position, rate = Math.max(count / 12000, 0.01);
  const frame = (now) => {
    go(Math.round(from + (now - began) * rate));
    if (position < count) playing = requestAnimationFrame(frame); else stop();
  };
  $("play").textContent = "\u275A\u275A"; $("play").setAttribute("aria-label", "pause");
  playing = requestAnimationFrame(frame);
}

/* ---- the page ---- */
function legendItem(style, text) {
  const item = element("span");
  item.append(element("i", undefined, { class: "dot", style }), text);
  $("legend").append(item);
}
function addLegend() {
  const used = (w) => holds.length && kept.concat(last).some((s) => s.device.some((d) => d.writer.includes(w)));
  legendItem("background:var(--blank)", "blank");
  if (used(BEFORE)) legendItem("background:var(--before)", "image or data from before the record");
  if (used(OUTSIDE)) legendItem("background:var(--outside)", "changed while nothing was recorded");
  for (const name of order.filter((p) => present.phase.has(p)).map((p) => record.phases[p])) {
    legendItem(`background:var(--phase-${name})`, name === "debugger" ? "put there by a debugger" : `changed in the phase ${name}`);
  }
  legendItem("background:linear-gradient(90deg,color-mix(in srgb,var(--soft) 25%,var(--blank)),var(--soft))", "stronger: erased more often");
  if (record.regions.some((r) => r.name === "spares")) legendItem("width:0;border-radius:0;border-left:3px dashed var(--phase-swap)", "spare");
  legendItem("width:0;border-radius:0;border-left:3px double var(--phase-boot)", "journal");
}
function addWords() {
  $("title").textContent = record.title;
  $("verdict-line").textContent = record.verdict.line;
  $("verdict-numbers").textContent = record.verdict.numbers;
  $("verdict").className = record.verdict.state > 0 ? "good" : record.verdict.state === 0 ? "bad" : "";
  $("facts").textContent = `${plural(count, "operation")}, ${plural(boots.length, "boot")}` +
    (record.skipped ? `; ${plural(record.skipped, "line")} of the trace were not understood and left out` : "");
  record.parts.forEach((part, d) => {
    $("chip-" + d).textContent = `${d === 0 ? "Internal" : "External"} flash `;
    $("chip-" + d).append(element("small", `${part.name}, ${part.size / 1024} KiB, sectors of ${part.sector} bytes`));
  });
  for (const line of record.history) $("history").append(element("li", line));
  if (record.history.length === 0) $("history").append(element("li", "No update yet."));
}
let laid = false; // a page in the background has no width yet
function layAll() {
  laid = $("timeline").clientWidth > GUTTER;
  if (laid) { readColours(); maps.forEach(layMap); drawTimeline(); }
  show();
}
function fromHash() {
  const wanted = /#op=(\d+)/.exec(location.hash);
  if (wanted) go(Number(wanted[1]));
}
function listen() {
  $("slider").max = count;
  $("slider").addEventListener("input", () => { stop(); go(Number($("slider").value)); });
  $("play").addEventListener("click", play);
  $("back").addEventListener("click", () => step(-1));
  $("forward").addEventListener("click", () => step(1));
  $("by-time").addEventListener("change", () => { byTime = $("by-time").checked; layAll(); });
  const seek = (event) => { stop(); go(operationAt(event)); };
  $("timeline").addEventListener("mousedown", seek);
  $("timeline").addEventListener("mousemove", (event) => {
    if (event.buttons & 1) seek(event);
    const i = operationAt(event);
    if (i < count && event.offsetX >= GUTTER) tip(operationWords(i), event); else hideTip();
  });
  $("timeline").addEventListener("mouseleave", hideTip);
  new ResizeObserver(layAll).observe($("timeline"));
  addEventListener("hashchange", fromHash);
  dark.addEventListener("change", layAll);
}
addFilters(); addBoots(); addRows(); addLegend(); addWords();
[0, 1].forEach((device) => ranges(device).forEach(addMap));
listen(); layAll(); fromHash();
