// What pages cannot do without a script: deadlines that count down, lists that refresh without pulling away what somebody
// is about to use, and the live journal.
"use strict";

const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];

function span(ms) {
  for (let i = 0; i < UNITS.length; i++) {
    const [unit, name] = UNITS[i];
    if (ms >= unit) {
      const smaller = UNITS[i + 1];
      const rest = smaller ? Math.floor((ms % unit) / smaller[0]) : 0;
      return `${Math.floor(ms / unit)} ${name}${rest ? ` ${rest} ${smaller[1]}` : ""}`;
    }
  }
  return "0 s";
}

// What is left is counted from when it was first seen: the clocks of the store and of this machine need not agree.
const ends = new WeakMap();

function countDown() {
  for (const each of document.querySelectorAll("[data-left]")) {
    if (!ends.has(each)) ends.set(each, performance.now() + Number(each.dataset.left));
    each.textContent = span(Math.max(0, ends.get(each) - performance.now()));
  }
}

countDown();
setInterval(countDown, 1000);

// A region that refreshes waits while somebody stands in it with the keyboard, has marked text in it, or looks elsewhere.
document.addEventListener("htmx:beforeRequest", (event) => {
  const region = event.target;
  if (!("live" in region.dataset)) return;
  const marked = getSelection();
  const isMarked = marked && !marked.isCollapsed && region.contains(marked.anchorNode);
  if (document.hidden || isMarked || region.contains(document.activeElement)) event.preventDefault();
});

for (const all of document.querySelectorAll("[data-all]")) {
  all.addEventListener("change", () => {
    for (const each of document.getElementsByName(all.dataset.all)) each.checked = all.checked;
  });
}

class Journal {
  constructor(view) {
    this.view = view;
    this.rows = view.querySelector("tbody");
    this.state = view.querySelector("#state");
    this.pause = view.querySelector("#pause");
    this.place = "";
    this.kept = [];
    this.pause.addEventListener("click", () => this.toggle());
    this.connect();
  }

  get isPaused() {
    return this.pause.getAttribute("aria-pressed") === "true";
  }

  connect() {
    const address = new URL(this.view.dataset.source, location.href);
    if (this.place) address.searchParams.set("after", this.place);
    const source = new EventSource(address);
    source.onopen = () => this.tell("live");
    source.onmessage = (message) => {
      this.place = message.lastEventId;
      this.take(JSON.parse(message.data));
    };
    source.onerror = () => {
      this.tell("the server is away; this view goes on where it stopped when it is back");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), 1000);
    };
  }

  tell(text) {
    this.text = text;
    const kept = this.kept.length;
    this.state.textContent = this.isPaused ? `paused, ${kept} new` : text;
  }

  toggle() {
    this.pause.setAttribute("aria-pressed", String(!this.isPaused));
    this.pause.textContent = this.isPaused ? "Go on" : "Pause";
    if (!this.isPaused) this.show(this.kept.splice(0));
    this.tell(this.text);
  }

  take(events) {
    if (!this.isPaused) return this.show(events);
    this.kept.push(...events);
    this.kept.splice(0, this.kept.length - 1000);
    this.tell(this.text);
  }

  show(events) {
    const rows = events.slice(-500).reverse().map((each) => this.row(each));
    this.rows.prepend(...rows);
    while (this.rows.rows.length > 500) this.rows.deleteRow(-1);
    this.view.querySelector("#none").hidden = this.rows.rows.length > 0;
  }

  row(event) {
    const row = document.createElement("tr");
    const topic = `${this.view.dataset.items.split("?")[0]}/${encodeURIComponent(event.workerTopic)}`;
    const worker = `${this.view.dataset.workers.split("?")[0]}/${encodeURIComponent(event.workerId || "")}`;
    const detail = event.detail ? ` ${event.detail.toLowerCase().replaceAll("_", " ")}` : "";
    row.append(
      this.cell(event.time.slice(11, 23)),
      this.cell(event.kind.replaceAll("_", " ") + detail),
      this.cell(event.workerTopic, topic),
      this.cell(event.itemId, `${topic}/items/${encodeURIComponent(event.itemId)}`),
      this.cell(event.workerId || "–", event.workerId && worker),
    );
    return row;
  }

  cell(text, address) {
    const cell = document.createElement("td");
    const inner = address ? document.createElement("a") : cell;
    inner.textContent = text;
    if (address) {
      inner.href = address + this.view.dataset.query;
      cell.append(inner);
    }
    return cell;
  }
}

const view = document.querySelector("[data-source]");
if (view) new Journal(view);
