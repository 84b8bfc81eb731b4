// Puts a chart that one can point at and zoom into the place of each drawing. Without this script, or
// when it fails, the drawings and tables stay.
"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent);
  const dashes = [[], [7, 3], [2, 3], [10, 3, 2, 3], [5, 2], [12, 4], [4, 4], [1, 4]];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = value => String(+value.toPrecision(3));

  function time(nanos) {
    const units = [[3600e9, "h"], [60e9, "m"], [1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
    const found = units.find(([size]) => nanos >= size);
    return found ? short(nanos / found[0]) + found[1] : short(nanos) + "ns";
  }

  function percentile(decades) {
    const share = 100 * (1 - Math.pow(10, -decades));
    return "p" + share.toFixed(Math.max(0, Math.min(4, Math.ceil(decades - 0.001) - 2)));
  }

  const label = {
    time, percentile,
    rate: value => short(value) + "/s",
    count: short,
    seconds: value => time(value * 1e9),
  };

  function build(figure, chart) {
    const data = uPlot.join(chart.lines.map(line => [line.xs, line.ys]));
    const [edge, dim] = [colour("--edge"), colour("--dim")];
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: dim, font, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge, width: 1 } };
    const x = { ...axis, label: chart.xName, labelFont: font, values: (_, ticks) => ticks.map(label[chart.x]) };
    if (chart.x === "percentile") {
      x.splits = (_, axisIndex, min, max) =>
        [0, 0.30103, 1, 2, 3, 4, 5, 6].filter(at => at >= min - 1e-9 && at <= max + 1e-9);
    }
    const logarithmic = chart.y === "time";
    const y = { ...axis, size: 62, values: (_, ticks) => ticks.map(at => (at == null ? null : label[chart.y](at))) };
    const scales = { x: { time: false }, y: logarithmic ? { distr: 3 } : { range: (_, min, max) => [0, max > 0 ? max * 1.05 : 1] } };
    const series = [{ label: chart.xName, value: (_, at) => (at == null ? "–" : label[chart.x](at)) }];
    for (const line of chart.lines) {
      series.push({
        label: line.label, stroke: colour("--s" + line.style), width: 2, dash: dashes[line.style], spanGaps: true,
        points: { show: line.xs.length === 1 ? true : undefined },
        value: (_, at) => (at == null ? "–" : label[chart.y](at)),
      });
    }
    const width = figure.clientWidth;
    const plot = new uPlot({ width, height: Math.round(Math.min(320, Math.max(220, width * 0.5))), scales, axes: [x, y], series,
      cursor: { drag: { x: true, y: false } } }, data, figure);
    figure.classList.add("live");
    return plot;
  }

  for (const chart of charts) {
    const figure = document.getElementById(chart.id);
    if (!figure || chart.lines.length === 0) continue;
    let plot = build(figure, chart);
    new ResizeObserver(() => {
      const width = figure.clientWidth;
      if (width > 0 && Math.abs(width - plot.width) > 1) plot.setSize({ width, height: plot.height });
    }).observe(figure);
    dark.addEventListener("change", () => { plot.destroy(); plot = build(figure, chart); });
  }
})();
