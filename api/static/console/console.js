// Keeps a page of the console current: patches, times, ages, bars, sparklines, pause, colours.
(() => {
  "use strict";
  const ROWS_MAX = 200;
  const SAMPLES_MAX = 120;
  const main = document.querySelector("main");
  const clockLead = Number(main.dataset.serverNow) - Date.now(); // Of the server over this browser.
  const stands = "stands" in main.dataset; // A page of the past: its time stands still.
  const now = () => (stands ? Number(main.dataset.serverNow) : Date.now() + clockLead);
  let isPaused = false;
  let waiting = null; // The newest state of each element that arrived during a pause.

  // -- Times ----------------------------------------------------------------
  const exact = new Intl.DateTimeFormat(undefined, {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    hourCycle: "h23", timeZoneName: "short",
  });
  function duration(milliseconds) {
    const seconds = Math.round(Math.abs(milliseconds) / 1000);
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
  }
  function showTimes(root) {
    for (const one of root.querySelectorAll("time[data-time]")) {
      const at = new Date(one.dateTime);
      if (!Number.isNaN(at.getTime())) one.textContent = exact.format(at);
    }
    showAges(root);
  }
  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function showAges(root) {
    for (const one of root.querySelectorAll("time[data-age]")) {
      const left = new Date(one.dateTime).getTime() - now();
      if (!Number.isNaN(left)) setText(one, left >= 0 ? `in ${duration(left)}` : `${duration(left)} ago`);
    }
    for (const one of root.querySelectorAll("[data-end]")) {
      const start = Number(one.dataset.start), end = Number(one.dataset.end);
      const part = end > start ? Math.min(Math.max((end - now()) / (end - start), 0), 1) : 0;
      one.querySelector(".fill").setAttribute("width", `${(part * 100).toFixed(1)}%`);
      one.classList.toggle("soon", part < 0.2);
    }
  }

  // -- Patches --------------------------------------------------------------
  function elementOf(html) {
    const template = document.createElement("template");
    template.innerHTML = html; // Rendered and escaped by the service.
    return template.content.firstElementChild;
  }
  function containerOf(id) {
    const kind = id.slice(0, id.indexOf("-") + 1);
    for (const list of document.querySelectorAll("[data-rows]")) {
      if (list.dataset.kind === kind) return list;
    }
    return null;
  }
  function apply(message) {
    const rows = new Map();
    for (const [id, html] of Object.entries(message.changed)) {
      const made = elementOf(html);
      if (!made) continue;
      showTimes(made);
      const old = document.getElementById(id);
      if (!old) { rows.set(id, made); continue; }
      if (old.contains(document.activeElement)) {
        const focused = [...old.querySelectorAll("a,button")].indexOf(document.activeElement);
        old.replaceWith(made);
        made.querySelectorAll("a,button")[focused]?.focus();
      } else old.replaceWith(made);
    }
    addRows(rows, message.ids);
    const present = new Set(message.ids);
    for (const one of document.querySelectorAll("[data-rows] > [data-live]")) {
      const isGone = !present.has(one.id);
      if (isGone && one.parentElement.dataset.rows !== "first") one.classList.add("gone");
    }
    sample();
  }
  function addRows(rows, order) {
    const byList = new Map();
    for (const id of order) {
      const list = rows.has(id) ? containerOf(id) : null;
      if (!list) continue;
      if (!byList.has(list)) byList.set(list, []);
      const made = rows.get(id);
      made.classList.add("new");
      byList.get(list).push(made);
    }
    for (const [list, made] of byList) {
      const top = window.scrollY, height = document.documentElement.scrollHeight;
      if (list.dataset.rows === "first") list.prepend(...made);
      else list.append(...made);
      while (list.children.length > ROWS_MAX) {
        (list.dataset.rows === "first" ? list.lastElementChild : list.firstElementChild).remove();
      }
      if (list.dataset.rows === "first" && top > 200) { // What is read stays under the eyes.
        window.scrollTo(0, top + document.documentElement.scrollHeight - height);
      }
      const empty = list.closest(".table")?.nextElementSibling;
      if (empty?.matches("[data-empty]")) empty.remove();
    }
  }

  // -- The stream -----------------------------------------------------------
  const state = document.querySelector("[data-connection]");
  const pause = document.querySelector("[data-pause]");
  function show(connection, text) {
    if (!state) return;
    state.dataset.connection = connection;
    setText(state, text);
  }
  const shown = () => (isPaused ? show("paused", "Paused") : show("live", "Live"));
  document.addEventListener("htmx:sseOpen", shown);
  document.addEventListener("htmx:sseError", () => {
    if (state?.dataset.connection !== "ended") show("lost", "Connection lost, trying again");
  });
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    event.preventDefault(); // This script patches the page; htmx keeps the connection.
    const { type, data } = event.detail;
    if (type === "end") { show("ended", "The session ended: log in again"); return; }
    if (type === "delayed") { show("delayed", `Updates are delayed: ${data}`); return; }
    const message = JSON.parse(data);
    if (isPaused) {
      waiting = merged(waiting, message);
      setText(pause, "Resume (changed)");
      return;
    }
    apply(message);
    shown();
  });
  function merged(before, message) {
    const changed = {};
    for (const id of message.ids) { // What is no longer on the page is forgotten.
      const html = message.changed[id] ?? before?.changed[id];
      if (html !== undefined) changed[id] = html;
    }
    return { ids: message.ids, changed };
  }
  pause?.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    setText(pause, isPaused ? "Resume" : "Pause");
    if (!isPaused && waiting) { apply(waiting); waiting = null; }
    shown();
  });

  // -- Sparklines -----------------------------------------------------------
  const samples = new Map();
  const reading = () => [...document.querySelectorAll(".counter")];
  function sample() {
    for (const counter of reading()) {
      const found = samples.get(counter.id) ?? [];
      const value = Number(counter.querySelector("[data-value]").dataset.value);
      found.push([now() / 1000, value]);
      if (found.length > SAMPLES_MAX) found.shift();
      samples.set(counter.id, found);
      draw(counter, found);
    }
  }
  function draw(counter, found) {
    if (found.length < 2 || typeof uPlot === "undefined") return;
    let place = counter.querySelector(".spark");
    if (!place) {
      place = document.createElement("div");
      place.className = "spark";
      place.setAttribute("aria-hidden", "true");
      counter.append(place);
    }
    const width = Math.max(counter.clientWidth - 24, 40);
    const data = [found.map((one) => one[0]), found.map((one) => one[1])];
    const stroke = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    place.replaceChildren();
    new uPlot({
      width, height: 28, legend: { show: false }, cursor: { show: false }, padding: [2, 0, 2, 0],
      axes: [{ show: false }, { show: false }], scales: { x: { time: false } },
      series: [{}, { stroke, width: 1.5, points: { show: false } }],
    }, data, place);
  }

  // -- The moment -----------------------------------------------------------
  const moment = document.querySelector("[data-moment]");
  const slider = moment?.querySelector("[data-slider]");
  if (slider) {
    slider.hidden = false;
    slider.addEventListener("input", () => { moment.elements.asOf.value = slider.value; });
    slider.addEventListener("change", () => {
      if (slider.value === slider.max) moment.elements.asOf.value = ""; // Its end is the present.
      moment.requestSubmit();
    });
    moment.addEventListener("submit", () => {
      moment.elements.asOf.disabled = !moment.elements.asOf.value.trim();
    });
  }

  // -- Colours and keys -----------------------------------------------------
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("quorate-theme", root.dataset.theme);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input,select,textarea");
    if (event.key === "p" && !isTyping && !event.ctrlKey && !event.metaKey) pause?.click();
  });

  showTimes(document);
  if (stands) return; // Nothing changes.
  sample();
  setInterval(() => { if (!isPaused) showAges(document); }, 1000);
  setInterval(() => { if (!document.hidden && !isPaused) sample(); }, 5000);
})();
