// Keeps an open page up with the chain: the server says which requests have changed, and the parts
// of the page marked data-live are taken from a fresh copy of it. Without this script pages are
// complete, and stand still.
"use strict";

const topic = document.body.dataset.topic || "";
const dot = document.getElementById("live");
const text = document.getElementById("live-text");
let chainTime = Number(document.body.dataset.time);
let seenAt = Date.now();

const now = () => chainTime + (Date.now() - seenAt) / 1000;

function inWords(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

function tick() {
  for (const one of document.querySelectorAll("[data-deadline]")) {
    const left = Number(one.dataset.deadline) - now();
    one.textContent = left > 0 ? inWords(left) : "over";
  }
  for (const one of document.querySelectorAll("[data-at]")) {
    const ago = now() - Number(one.dataset.at);
    one.textContent = ago < -1 ? `in ${inWords(-ago)}` : `${inWords(Math.max(0, ago))} ago`;
  }
}

function filter(input) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.querySelectorAll(`#${input.dataset.filters} tbody tr`)) {
    const titles = Array.from(row.querySelectorAll("[title]"), (one) => one.title).join(" ");
    const said = `${row.textContent} ${titles}`.toLowerCase();
    row.hidden = !words.every((word) => said.includes(word));
  }
}

function filterAll() {
  document.querySelectorAll("[data-filters]").forEach(filter);
}

function replace(old, fresh) {
  if (old.innerHTML === fresh.innerHTML) return;
  const open = Array.from(old.querySelectorAll("details"), (one) => one.open);
  const typed = Array.from(old.querySelectorAll("input"), (one) => one.value);
  const scrolled = Array.from(old.querySelectorAll(".scroll"), (one) => one.scrollTop);
  const focusable = "a, button, input, select, summary, [tabindex]";
  const focused = Array.from(old.querySelectorAll(focusable)).indexOf(document.activeElement);
  old.innerHTML = fresh.innerHTML;
  old.querySelectorAll("details").forEach((one, n) => { one.open = Boolean(open[n]); });
  old.querySelectorAll("input").forEach((one, n) => { if (typed[n]) one.value = typed[n]; });
  old.querySelectorAll(".scroll").forEach((one, n) => { one.scrollTop = scrolled[n] || 0; });
  if (focused >= 0) old.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
  old.classList.remove("fresh");
  void old.offsetWidth;
  old.classList.add("fresh");
}

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const fresh of page.querySelectorAll("[data-live][id]")) {
        const old = document.getElementById(fresh.id);
        if (old) replace(old, fresh);
        else if (fresh.parentElement.id === "main") { location.reload(); return; }
      }
      chainTime = Number(page.body.dataset.time);
      seenAt = Date.now();
      tick();
      filterAll();
      document.dispatchEvent(new CustomEvent("refreshed"));
    }
  } catch {
    dot.classList.remove("on");
  } finally {
    fetching = false;
    if (again) { again = false; refresh(); }
  }
}

function follow() {
  const source = new EventSource("/api/live");
  source.addEventListener("open", () => dot.classList.add("on"));
  source.addEventListener("error", () => {
    dot.classList.remove("on");
    text.textContent = "not live";
  });
  source.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    dot.classList.add("on");
    text.textContent = `block ${change.block}`;
    chainTime = change.time;
    seenAt = Date.now();
    const mine = topic === "all" ? change.requests.length || change.others
      : change.requests.includes(Number(topic)) || change.others;
    if (topic && mine) refresh();
  });
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("input", (event) => {
  if (event.target.dataset.filters) filter(event.target);
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
tick();
setInterval(tick, 1000);
if (document.body.dataset.every) setInterval(refresh, 1000 * Number(document.body.dataset.every));
follow();
