// Keeps an open page up with the chain: the server says what has changed, and what differs in a fresh
// copy of the page is changed in place. Without this script pages are complete, and stand still.
"use strict";

const topicsOf = (page) => (page.body.dataset.topic || "").split(" ").filter(Boolean);
let topics = topicsOf(document);
const dot = document.getElementById("live");
const text = document.getElementById("live-text");
let version = Number(document.body.dataset.version);
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

// What a morph leaves as the reader or a script has made it.
function isKept(old, fresh) {
  if (["CANVAS", "INPUT", "SELECT"].includes(old.nodeName)) return true;
  const { at, deadline } = old.dataset || {};
  return Boolean(at || deadline) && at === fresh.dataset.at && deadline === fresh.dataset.deadline;
}

function morph(old, fresh) {
  const changed = new Set();
  Idiomorph.morph(old, fresh, {
    callbacks: {
      beforeNodeMorphed(before, after) {
        if (isKept(before, after)) return false;
        const text = before.nodeType === Node.TEXT_NODE && before.nodeValue !== after.nodeValue;
        if (text && !before.parentElement.closest("script")) changed.add(before.parentElement);
        return true;
      },
      afterNodeAdded(node) {
        changed.add(node.nodeType === Node.TEXT_NODE ? node.parentElement : node);
      },
      beforeAttributeUpdated(name, node) {
        return !(name === "open" || (name === "hidden" && node.nodeName === "TR"));
      },
    },
  });
  for (const one of changed) {
    if (!one.classList) continue;
    one.classList.remove("fresh");
    void one.offsetWidth;
    one.classList.add("fresh");
  }
}

async function freshPage() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    dot.classList.remove("on");
    return null;
  }
}

function show(page) {
  document.title = page.title;
  topics = topicsOf(page);
  morph(document.getElementById("main"), page.getElementById("main"));
  chainTime = Number(page.body.dataset.time);
  seenAt = Date.now();
  tick();
  filterAll();
  document.dispatchEvent(new CustomEvent("refreshed"));
}

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  try {
    const page = await freshPage();
    if (page) show(page);
  } finally {
    fetching = false;
    if (again) { again = false; refresh(); }
  }
}

// A page is about everything, or about some requests (by number) and accounts.
function isMine(change) {
  if (change.others) return true;
  if (topics.includes("all")) return change.requests.length > 0;
  const changed = [...change.requests.map(String), ...change.accounts];
  return topics.some((one) => changed.includes(one));
}

function follow() {
  const source = new EventSource(`${document.body.dataset.root}/api/live`);
  source.addEventListener("open", () => dot.classList.add("on"));
  source.addEventListener("error", () => {
    dot.classList.remove("on");
    text.textContent = "not live";
  });
  source.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    dot.classList.toggle("on", !change.behind);
    text.textContent = `block ${change.block}` + (change.behind ? ", behind the chain" : "");
    if (!change.behind) {
      chainTime = change.time;
      seenAt = Date.now();
    }
    // At the beginning of a stream: what changed since the page was made was told to nobody here.
    const missed = change.version !== undefined && change.version !== version;
    if (missed) version = change.version;
    if (topics.length && (missed || isMine(change))) refresh();
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
