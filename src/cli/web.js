// Shows what the run says about itself once a second. Texts are set as text, never as HTML.
"use strict";
(() => {
  const byId = id => document.getElementById(id);
  const past = new Map();
  const LONGEST = 300;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function list(id, items) {
    byId(id).replaceChildren(...(items.length ? items : [element("li", "none")]));
  }

  function spark(values, label) {
    const figure = element("figure");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 300 70");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    const most = Math.max(...values, 1e-9);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const step = 300 / Math.max(values.length - 1, 1);
    line.setAttribute("points", values.map((value, place) => `${place * step},${67 - 64 * value / most}`).join(" "));
    svg.append(line);
    figure.append(element("figcaption", label), svg);
    return figure;
  }

  function show(run) {
    byId("name").textContent = run.name;
    byId("state").textContent = run.over ? "the run is over" : "running";
    byId("cells").replaceChildren(...run.cells.map(cell => {
      const row = element("tr", undefined, cell.over ? "over" : "");
      const done = cell.share == null ? (cell.over ? "over" : "running") : Math.round(cell.share * 100) + " %";
      const values = [cell.cell, done, cell.rate.toFixed(1) + "/s", cell.in_flight, ...(cell.latency || ["–", "–", "–"]), cell.failures, cell.dropped];
      values.forEach((value, place) => row.append(element("td", value, place === 7 && value > 0 ? "bad" : "")));
      return row;
    }));
    const figures = [];
    for (const cell of run.cells) {
      const seen = past.get(cell.cell) || { rate: [], p99: [] };
      past.set(cell.cell, seen);
      if (!cell.over) {
        seen.rate.push(cell.rate);
        seen.p99.push(cell.p99_ns / 1e6);
      }
      for (const values of [seen.rate, seen.p99]) if (values.length > LONGEST) values.shift();
      if (seen.rate.length > 1) {
        figures.push(spark(seen.p99, `${cell.cell}: p99, at most ${Math.max(...seen.p99).toPrecision(3)} ms`));
        figures.push(spark(seen.rate, `${cell.cell}: iterations per second, at most ${Math.max(...seen.rate).toPrecision(3)}`));
      }
    }
    byId("charts").replaceChildren(...figures);
    list("thresholds", run.cells.flatMap(cell => cell.thresholds.map(limit =>
      element("li", `${cell.cell}  ${limit.threshold}  measured ${limit.measured || "nothing yet"}`, limit.held === false ? "bad" : ""))));
    list("failures", run.cells.flatMap(cell => cell.failed.map(group =>
      element("li", `${group.count} × ${group.file}:${group.line}  ${cell.cell}  ${group.step}: ${group.message}`))));
    byId("flight").textContent = run.flight.join("\n");
  }

  const source = new EventSource("events");
  source.onmessage = message => {
    const run = JSON.parse(message.data);
    show(run);
    if (run.over) source.close();
  };
  source.onerror = () => { byId("state").textContent = "the run has ended or cannot be reached"; };
})();
