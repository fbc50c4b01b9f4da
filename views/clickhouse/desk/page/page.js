// The page of reports: it asks /api/reports for the list, and /api/reports/NAME for rows and picture. What is chosen stands in the address behind #, so that a link says it all.
"use strict";

const $ = id => document.getElementById(id);
const wide = matchMedia("(min-width: 761px)"), dark = matchMedia("(prefers-color-scheme: dark)");
const shownRows = 1000; // the rest is for the downloads
let catalogue = null, report = null, given = {}, sorted = null, turn = 0, answer = null;

// el makes an element: attributes (on… are listeners), then what is in it.
function el(name, attributes = {}, ...inside) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value === true) e.setAttribute(key, "");
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  e.append(...inside.filter(x => x != null));
  return e;
}

/* ---- values for people ---- */

const whole = new Intl.NumberFormat("en");
const fixed = (n, digits) => n.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const digitsOf = code => {
  try { return new Intl.NumberFormat("en", { style: "currency", currency: code }).resolvedOptions().maximumFractionDigits; } catch { return null; }
};
const two = n => String(n).padStart(2, "0");

function duration(s) {
  const a = Math.abs(s);
  if (a === 0) return "0 s";
  if (a < 0.9995) return fixed(s * 1000, a < 0.1 ? 1 : 0) + " ms";
  if (a < 60) return fixed(s, 2) + " s";
  if (a < 3600) return `${Math.trunc(s / 60)} min ${two(Math.trunc(a) % 60)} s`;
  if (a < 172800) return `${Math.trunc(s / 3600)} h ${two(Math.trunc(a / 60) % 60)} min`;
  return fixed(s / 86400, 1) + " d";
}

function time(text) {
  const t = text.replace("T", " ").replace("Z", "");
  return t.endsWith(" 00:00:00") ? t.slice(0, 10) : t.endsWith(":00") && t.length === 19 ? t.slice(0, 16) : t;
}

function show(value, column, row) {
  if (value === null) return "–";
  if (/DateTime/.test(column.type)) return time(value);
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "number") return String(value);
  switch (column.unit) {
    case "minor": {
      const digits = digitsOf(row.currency);
      return digits === null ? whole.format(value) : fixed(value / 10 ** digits, digits);
    }
    case "ms": return duration(value / 1000);
    case "s": return duration(value);
    case "days": return fixed(value, 1) + " d";
    case "share": return fixed(value * 100, 1) + " %";
    case "percent": return fixed(value, 1) + " %";
  }
  if (Number.isInteger(value)) return whole.format(value);
  return fixed(value, Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 4);
}

const isNumber = column => /^(Nullable\(|LowCardinality\()*(U?Int|Float|Decimal|BFloat)/.test(column.type);
const titleOf = column => (column.unit && column.unit !== "share" ? column.name.replace(/_[a-z]+$/, "") : column.name).replaceAll("_", " ");
const words = name => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

// sentences parts the question from what is counted.
const sentences = text => { const at = text.indexOf("? ") + 1; return at ? [text.slice(0, at), text.slice(at + 1)] : [text, ""]; };

/* ---- the list ---- */

function drawList() {
  const wanted = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const r of catalogue.reports) {
    const text = `${r.title} ${r.name} ${r.question} ${r.group}`.toLowerCase();
    if (!wanted.every(w => text.includes(w))) continue;
    if (!groups.has(r.group)) groups.set(r.group, []);
    groups.get(r.group).push(r);
  }
  $("list").replaceChildren(...[...groups].map(([group, reports]) => el("section", {}, el("h2", {}, group), el("ul", {}, ...reports.map(r =>
    el("li", {}, el("a", { href: "#" + r.name, "data-name": r.name, "aria-current": report && report.name === r.name ? "page" : null }, r.title, el("small", {}, sentences(r.question)[0]))))))));
  $("no-match").hidden = groups.size > 0;
}

function moveInList(event) {
  const links = [...$("list").querySelectorAll("a")], at = links.indexOf(document.activeElement);
  if (event.key === "ArrowDown" && links.length) links[Math.min(at + 1, links.length - 1)].focus();
  else if (event.key === "ArrowUp" && at >= 0) at === 0 ? $("search").focus() : links[at - 1].focus();
  else if (event.key === "Enter" && document.activeElement === $("search") && links.length) location.hash = links[0].hash;
  else if (event.key === "Escape" && document.activeElement === $("search")) { $("search").value = ""; drawList(); } else return;
  event.preventDefault();
}

/* ---- how fresh ---- */

function drawFresh() {
  const { analytics, newest_at, behind } = catalogue;
  let text = { off: "Analytics is off: this server has no ClickHouse", away: "ClickHouse does not answer now" }[analytics];
  if (!text && !newest_at) text = "Nothing has happened yet";
  if (!text) {
    const ago = Math.max(0, (Date.now() - Date.parse(newest_at)) / 1000);
    const long = [[172800, 86400, "d"], [7200, 3600, "h"], [120, 60, "min"], [0, 1, "s"]].find(([from]) => ago >= from);
    text = `Data up to ${newest_at.slice(0, 16).replace("T", " ")} UTC, ${ago < 2 ? "just now" : `${Math.floor(ago / long[1])} ${long[2]} ago`}`;
  }
  if (behind > 0) text += ` · ${whole.format(behind)} records on their way`;
  $("fresh").className = "fresh " + (analytics === "on" && behind > 1000 ? "behind" : analytics);
  if ($("fresh-text").textContent !== text) $("fresh-text").textContent = text;
}

async function loadCatalogue() {
  const answer = await fetch("/api/reports", { headers: { Accept: "application/json" } });
  if (!answer.ok) throw await problemOf(answer);
  catalogue = await answer.json();
  drawFresh();
}

async function keepFresh() {
  if (!document.hidden) await loadCatalogue().catch(() => { catalogue.analytics = "away"; drawFresh(); });
  setTimeout(keepFresh, 10_000);
}

/* ---- the form ---- */

const presets = [["24 h", "-24h"], ["7 d", "-7d/d"], ["30 d", "-30d/d"], ["90 d", "-90d/d"], ["1 y", "-365d/d"]];
const hasSpan = () => ["from", "to"].every(name => report.params.some(p => p.name === name && p.type === "time"));
const raw = p => given[p.name] ?? p.default;

// moment is the time that a value such as -30d/d means, as an input shows it.
function moment(value) {
  let t = new Date(value);
  const ago = /^-(\d+)([dh])(\/d)?$/.exec(value);
  if (value === "now") t = new Date();
  else if (ago) {
    t = new Date(Date.now() - ago[1] * (ago[2] === "d" ? 86400e3 : 3600e3));
    if (ago[3]) t.setUTCHours(0, 0, 0, 0);
  }
  return isNaN(t) ? "" : t.toISOString().slice(0, 16);
}

function field(p) {
  const id = "p-" + p.name, hint = el("span", { class: "hint", id: id + "-hint", hidden: true });
  const common = { id, name: p.name, title: p.doc, "aria-describedby": id + "-hint" };
  let input;
  if (p.type === "choice") {
    input = el("select", { ...common, onchange: () => { given[p.name] = input.value; go(); } }, ...p.choices.map(c => el("option", { value: c, selected: raw(p) === c }, words(c))));
  } else {
    const kind = { time: { type: "datetime-local", value: moment(raw(p)) }, number: { type: "number", value: raw(p), min: p.min, max: p.max, step: 1 } }[p.type];
    input = el("input", { ...common, ...(kind || { type: "text", value: raw(p), placeholder: "all", maxlength: 200, spellcheck: "false", autocomplete: "off" }), oninput: () => {
      if (p.type !== "time") given[p.name] = input.value;
      else if (input.value) given[p.name] = input.value + ":00Z";
      else delete given[p.name];
      pressPreset();
    } });
  }
  return el("div", { class: p.type === "time" ? "field half" : "field", "data-param": p.name }, el("label", { for: id }, words(p.name) + (p.type === "time" ? " (UTC)" : "")), input, hint);
}

function pressPreset() {
  const to = report.params.find(p => p.name === "to");
  for (const b of document.querySelectorAll(".presets button"))
    b.setAttribute("aria-pressed", String(to && raw(to) === "now" && raw(report.params.find(p => p.name === "from")) === b.dataset.from));
}

function drawForm() {
  const parts = [];
  if (hasSpan()) {
    parts.push(el("div", { class: "field", role: "group", "aria-label": "Time span" }, el("span", { class: "label" }, "Last"), el("div", { class: "presets" }, ...presets.map(([name, from]) =>
      el("button", { type: "button", "data-from": from, onclick: () => { given.from = from; given.to = "now"; drawForm(); go(); } }, name)))));
  }
  const rest = [...report.params.map(field), el("button", { class: "go", type: "submit" }, "Show")];
  // A phone shows the answer before what can be asked otherwise.
  if (wide.matches) parts.push(...rest);
  else parts.push(el("details", { open: $("form").querySelector("details")?.open || report.params.some(p => !["from", "to"].includes(p.name) && given[p.name] !== undefined) }, el("summary", {}, "Other spans and conditions"), ...rest));
  const at = document.activeElement?.dataset?.from;
  $("form").replaceChildren(...parts);
  $("form").hidden = report.params.length === 0;
  pressPreset();
  if (at) document.querySelector(`.presets [data-from="${at}"]`).focus();
}

// queryOf is the parameters that differ from the defaults.
function queryOf(more = {}) {
  const q = new URLSearchParams();
  for (const p of report.params) if (given[p.name] !== undefined && given[p.name] !== p.default) q.set(p.name, given[p.name]);
  for (const [key, value] of Object.entries(more)) q.set(key, value);
  return q.toString();
}

function go() {
  const hash = "#" + report.name + (queryOf() ? "?" + queryOf() : "");
  if (location.hash === hash) load(); else location.hash = hash;
}

/* ---- the answer ---- */

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  return Object.assign(new Error(problem.detail || `The server answered ${response.status}.`), { status: response.status, problem });
}

function note(kind, head, text, ...more) {
  return el("div", { class: "card note " + kind }, el("strong", {}, head), text, ...more);
}

function fail(error) {
  const { status, problem = {} } = error, again = el("button", { onclick: load }, "Try again");
  $("results").hidden = true;
  for (const fault of problem.errors || []) {
    const box = document.querySelector(`[data-param="${CSS.escape(fault.pointer.slice(1))}"]`);
    if (!box) continue;
    box.classList.add("wrong");
    if (box.closest("details")) box.closest("details").open = true;
    box.querySelector(".hint").textContent = fault.rule;
    box.querySelector(".hint").hidden = false;
    box.querySelector("input, select").setAttribute("aria-invalid", "true");
    box.querySelector("input, select").focus();
  }
  const off = catalogue.analytics === "off";
  $("state").replaceChildren(
    status === 503 && off ? note("warn", "Analytics is off", "This server has no ClickHouse. Orders are not touched by that. ", el("code", {}, "make clickhouse"), " brings one; after a restart it catches up from the log.") :
    status === 503 ? note("warn", "Not just now", problem.detail, el("div", {}, again)) :
    status === 504 || status === 422 ? note("warn", "That was too much", problem.detail + ".", shorter()) :
    status === 400 ? note("bad", "This cannot be asked", problem.detail + ".") :
    status === 403 ? note("bad", "Not for you", problem.detail + ".") :
    status === 404 ? note("bad", "No such report", "Choose one from the list.") :
    status ? note("bad", "The report failed", error.message, el("div", {}, again)) :
    note("bad", "The server cannot be reached", "Is it running, and is there a network?", el("div", {}, again)));
}

const shorter = () => hasSpan() ? el("div", {}, el("button", { onclick: () => { given.from = "-7d/d"; given.to = "now"; drawForm(); go(); } }, "Show the last 7 days")) : null;

function nothing() {
  const newest = catalogue.newest_at, buttons = el("div");
  if (hasSpan() && newest) buttons.append(el("button", { onclick: () => {
    const to = new Date(Date.parse(newest.slice(0, 10)) + 86400e3);
    given.to = to.toISOString().slice(0, 19) + "Z";
    given.from = new Date(to - 30 * 86400e3).toISOString().slice(0, 19) + "Z";
    drawForm();
    go();
  } }, "Show the 30 days up to the newest data"));
  if (hasSpan()) buttons.append(el("button", { onclick: () => { given.from = "-3650d/d"; given.to = "now"; drawForm(); go(); } }, "Show ten years"));
  $("state").replaceChildren(note("", "Nothing in this span", newest ? `The newest data is of ${time(newest.slice(0, 19) + "Z")} UTC. A longer span, or fewer conditions, may find something.` : "No order has been placed yet. The first ones appear here about a second after they are decided.", buttons));
}

// picture is the chart, ready to be shown, so that nothing moves when it comes.
async function picture() {
  if (report.chart.kind === "none") return null;
  const img = el("img", { alt: `${report.title}, drawn. The table below has the numbers.` });
  const room = $("report").clientWidth - 22;
  img.src = `/api/reports/${report.name}?` + queryOf({ format: "svg", theme: dark.matches ? "dark" : "light", width: Math.max(300, Math.min(1400, Math.round(room))) });
  await img.decode();
  img.width = img.naturalWidth;
  img.height = img.naturalHeight;
  return img;
}

async function load() {
  const mine = ++turn, asked = report;
  $("results").setAttribute("aria-busy", "true");
  for (const box of document.querySelectorAll(".field.wrong")) {
    box.classList.remove("wrong");
    box.querySelector(".hint").hidden = true;
    box.querySelector("input, select").removeAttribute("aria-invalid");
  }
  if ($("results").hidden) $("state").replaceChildren(el("div", { class: "wait" }, el("span", { class: "hidden" }, "The report runs …")));
  try {
    const drawn = picture().catch(() => null);
    const response = await fetch(`/api/reports/${asked.name}?` + queryOf({ format: "json", rows: shownRows }));
    if (!response.ok) throw await problemOf(response);
    const got = await response.json(), img = await drawn;
    if (mine !== turn) return;
    answer = got;
    sorted = null;
    $("results").hidden = answer.rows.length === 0;
    if (answer.rows.length === 0) return nothing();
    $("state").replaceChildren();
    $("chart").hidden = !img;
    if (img) $("chart").replaceChildren(img);
    drawDownloads();
    drawTable();
  } catch (error) {
    if (mine === turn) fail(error);
  } finally {
    if (mine === turn) $("results").removeAttribute("aria-busy");
  }
}

function drawDownloads() {
  const link = (name, format, more) => el("a", { href: `/api/reports/${report.name}?` + queryOf({ format, ...more }), download: `${report.name}.${format}`, "aria-label": "Download as " + name }, name);
  $("downloads").replaceChildren(link("CSV", "csv"), link("JSON", "json"), link("Parquet", "parquet"), ...(report.chart.kind === "none" ? [] : [link("SVG", "svg", { theme: "light" })]));
}

function drawTable() {
  const { columns, rows, more } = answer;
  const order = sorted ? [...rows].sort((a, b) => {
    const x = a[sorted.name], y = b[sorted.name];
    return (x === null) - (y === null) || (x < y ? -1 : x > y ? 1 : 0) * (sorted.up ? 1 : -1);
  }) : rows;
  const side = columns.map(c => isNumber(c) ? "num" : "text");
  const head = el("tr", {}, ...columns.map((c, i) => el("th", { scope: "col", class: side[i], title: c.name, "aria-sort": sorted?.name === c.name ? (sorted.up ? "ascending" : "descending") : null }, el("button", { type: "button", "data-column": c.name, onclick: () => {
    sorted = { name: c.name, up: sorted?.name === c.name ? !sorted.up : side[i] === "text" };
    drawTable();
    document.querySelector(`[data-column="${CSS.escape(c.name)}"]`).focus();
  } }, titleOf(c)))));
  const body = order.map(row => el("tr", {}, ...columns.map((c, i) => {
    const text = show(row[c.name], c, row);
    return el("td", { class: side[i] + (row[c.name] === null ? " null" : ""), title: text.length > 40 ? text : null }, text);
  })));
  $("table").replaceChildren(el("thead", {}, head), el("tbody", {}, ...body));
  $("count").textContent = more ? `The first ${whole.format(rows.length)} rows` : rows.length === 1 ? "1 row" : `${whole.format(rows.length)} rows`;
  $("more").hidden = !more;
  $("more").textContent = "There are more rows; the downloads have them all.";
}

/* ---- where we are ---- */

function open() {
  const [name, query] = location.hash.slice(1).split("?");
  const found = catalogue.reports.find(r => r.name === name);
  const another = found !== report;
  document.body.classList.toggle("reading", Boolean(found));
  $("report").hidden = !found;
  $("welcome").hidden = Boolean(found);
  report = found || null;
  for (const a of $("list").querySelectorAll("a")) a.dataset.name === name ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
  document.title = found ? found.title + " · Reports" : "Reports";
  if (!found) return;
  given = Object.fromEntries(new URLSearchParams(query));
  if (another) {
    $("title").textContent = report.title;
    const [first, rest] = sentences(report.question);
    $("question").replaceChildren(el("strong", {}, first), " " + rest);
    $("results").hidden = true;
    scrollTo(0, 0);
  }
  drawForm();
  load();
  return another;
}

async function start() {
  try {
    await loadCatalogue();
  } catch (error) {
    catalogue = { analytics: "away", reports: [] };
    $("fresh-text").textContent = "The reports cannot be listed";
    $("fresh").className = "fresh away";
    $("report").hidden = false;
    return fail(error);
  }
  drawList();
  if (!location.hash && wide.matches && catalogue.reports.length) history.replaceState(null, "", "#" + catalogue.reports[0].name);
  open();
  setTimeout(keepFresh, 10_000);
}

$("search").addEventListener("input", drawList);
$("side").addEventListener("keydown", moveInList);
$("form").addEventListener("submit", event => { event.preventDefault(); go(); });
addEventListener("hashchange", () => { if (open()) $("title").focus({ preventScroll: true }); });
dark.addEventListener("change", () => { if (report) load(); });
wide.addEventListener("change", () => { if (report) drawForm(); });
addEventListener("keydown", event => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
  event.preventDefault();
  $("search").focus();
});
start();
