
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [plot, scroll, tip, chosen, cursor] = ["plot", "scroll", "tip", "chosen", "cursor"].map((id) => document.getElementById(id));
const LETTER = 6.6, PADDING = 9, TICK = 75;
let zoom = 1, current = -1;

function make(tag, text) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  return element;
}

function factsOf(row) {
  const [kind, ...words] = data.rows[row];
  return data.keys[kind].map((key, i) => [key, words[i]]).filter(([, word]) => word !== "");
}

// Words on bars: as much as has room now, where it can be seen; of a test's name, which is no number, also a part.
function fit() {
  const width = plot.getBoundingClientRect().width;
  for (const text of plot.querySelectorAll(".bar text")) {
    const bar = text.parentNode, { long, short } = text.dataset;
    const [x, length] = ["x", "width"].map((name) => parseFloat(bar.getAttribute(name)) / 100 * width);
    const hidden = Math.max(0, scroll.scrollLeft - x);
    const letters = Math.floor((length - hidden - PADDING) / LETTER);
    const cut = bar.classList.contains("test") && letters > 5 ? short.slice(0, letters - 1) + "…" : "";
    text.setAttribute("x", 5 + hidden);
    text.textContent = [long, short].find((word) => word.length <= letters) ?? cut;
  }
  const ticks = [...plot.querySelectorAll(".ticks")];
  const shown = ticks.filter((group) => group.dataset.most * TICK <= width).pop() ?? ticks[0];
  for (const group of ticks) group.toggleAttribute("hidden", group !== shown);
}

function setZoom(next) {
  const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / zoom;
  zoom = Math.min(64, Math.max(1, next));
  plot.style.width = zoom === 1 ? "" : 100 * zoom + "%";
  scroll.scrollLeft = middle * zoom - scroll.clientWidth / 2;
  fit();
}

function hit(event) {
  const box = plot.getBoundingClientRect();
  const y = event.clientY - box.top, x = (event.clientX - box.left) / box.width, slack = 3 / box.width;
  let found = -1, nearest = Infinity;
  data.bars.forEach(([, from, to, top, height], i) => {
    if (y < top || y >= top + height || x < from - slack || x > to + slack) return;
    const away = Math.max(from - x, x - to, 0) + (to - from) / 1e6;
    if (away <= nearest) [found, nearest] = [i, away];
  });
  return found;
}

function place(left, top) {
  const box = tip.getBoundingClientRect();
  const x = left + 16 + box.width > innerWidth ? left - 16 - box.width : left + 16;
  const y = top + 16 + box.height > innerHeight ? top - 16 - box.height : top + 16;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = Math.max(4, y) + "px";
}

function show(bar) {
  if (bar === current) return;
  current = bar;
  chosen.toggleAttribute("hidden", bar < 0);
  if (bar < 0) return;
  const [row, from, to, top, height] = data.bars[bar];
  const least = 3 / plot.getBoundingClientRect().width;
  for (const [name, value] of [["x", 100 * from + "%"], ["width", 100 * Math.max(to - from, least) + "%"], ["y", top], ["height", height]])
    chosen.setAttribute(name, value);
  const [[, first], ...rest] = factsOf(row);
  const list = make("dl");
  for (const [key, word] of rest) list.append(make("dt", key), make("dd", word));
  tip.replaceChildren(make("strong", data.rows[row][0] + " " + first), list);
}

function hide() {
  show(-1);
  tip.hidden = true;
  cursor.setAttribute("hidden", "");
}

function moment(x) {
  const seconds = data.start + x * (data.end - data.start);
  const clock = new Date(1000 * (seconds + data.zone)).toISOString().slice(11, 21);
  return clock + " (+" + (seconds - data.start).toFixed(1) + " s)";
}

plot.addEventListener("pointermove", (event) => {
  const box = plot.getBoundingClientRect();
  const x = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  cursor.removeAttribute("hidden");
  for (const end of ["x1", "x2"]) cursor.setAttribute(end, 100 * x + "%");
  show(hit(event));
  if (current < 0) tip.replaceChildren(make("span", moment(x)));
  tip.hidden = false;
  place(event.clientX, event.clientY);
});
plot.addEventListener("pointerleave", hide);
plot.addEventListener("blur", hide);
plot.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") hide();
  if (!step || !data.bars.length) return;
  event.preventDefault();
  const count = data.bars.length;
  show(current < 0 ? (step > 0 ? 0 : count - 1) : (current + step + count) % count);
  tip.hidden = false;
  chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
  const box = chosen.getBoundingClientRect();
  place(box.left, box.bottom - 12);
});

for (const button of document.querySelectorAll(".legend button"))
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    for (const other of document.querySelectorAll(".legend button")) other.setAttribute("aria-pressed", isOn && other === button);
    plot.classList.toggle("alone", isOn);
    for (const bar of plot.querySelectorAll(".bar, .dense")) bar.classList.toggle("chosen-state", bar.classList.contains("s-" + button.dataset.state));
  });

document.getElementById("in").addEventListener("click", () => setZoom(zoom * 2));
document.getElementById("out").addEventListener("click", () => setZoom(zoom / 2));
document.getElementById("fit").addEventListener("click", () => setZoom(1));
addEventListener("resize", fit);
scroll.addEventListener("scroll", fit);

document.getElementById("all").addEventListener("toggle", (event) => {
  const target = event.target.querySelector("div");
  if (target.firstChild) return;
  for (const [kind, keys] of Object.entries(data.keys)) {
    const rows = data.rows.filter(([of]) => of === kind);
    if (!rows.length) continue;
    const table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    table.createCaption().textContent = { job: "Jobs", test: "Tests", fault: "Faults", down: "Nodes that were down" }[kind];
    for (const key of keys) head.append(make("th", key));
    for (const [, ...words] of rows) {
      const row = body.insertRow();
      for (const word of words) row.insertCell().textContent = word;
    }
    target.append(table);
  }
});

// The browser would show them, too, a little later and over the others.
for (const title of plot.querySelectorAll("title")) title.remove();
fit();
