// Draws the charts that the page carries as data, in the page's own colours.
"use strict";

const drawn = new Map();
const style = () => getComputedStyle(document.documentElement);
const colour = (name) => style().getPropertyValue(`--${name}`).trim();

function datasets(chart) {
  return chart.series.map((one, n) => {
    const own = one.dashed ? colour("quiet") : colour(`series-${(n % 6) + 1}`);
    return {
      label: one.name,
      data: one.values,
      borderColor: own,
      backgroundColor: own,
      borderWidth: chart.kind === "line" ? 2 : 0,
      borderDash: one.dashed ? [5, 5] : [],
      pointRadius: one.dashed || !chart.points ? 0 : 3.5,
      pointHoverRadius: 5,
      tension: 0,
      spanGaps: true,
      maxBarThickness: 26,
      borderRadius: chart.kind === "bar" ? 4 : 0,
    };
  });
}

function dataOf(figure) {
  return figure.querySelector("script").textContent;
}

function draw(figure) {
  const chart = JSON.parse(dataOf(figure));
  const canvas = figure.querySelector("canvas");
  canvas.setAttribute("aria-label", `${chart.title}. ${chart.summary}`);
  const line = chart.kind === "line";
  const values = chart.horizontal ? "x" : "y";
  const titled = (axis, title) => ({
    title: { display: true, text: title, color: colour("quiet") },
    ticks: {
      color: colour("quiet"),
      maxRotation: 0,
      autoSkipPadding: 12,
      // Horizontal bars have room for each name.
      autoSkip: axis === values || !chart.horizontal,
    },
    grid: { color: axis === values ? colour("grid") : "transparent" },
    border: { display: false },
    stacked: chart.kind === "stacked",
  });
  const scales = {
    x: titled("x", chart.x),
    y: titled("y", chart.horizontal ? "" : chart.y),
  };
  scales[values].beginAtZero = true;
  if (chart.ceiling !== null) scales[values].max = chart.ceiling;
  return new Chart(canvas, {
    type: line ? "line" : "bar",
    data: { labels: chart.labels, datasets: datasets(chart) },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: chart.horizontal ? "y" : "x",
      interaction: { mode: "index", intersect: false, axis: chart.horizontal ? "y" : "x" },
      scales,
      plugins: {
        legend: {
          display: chart.series.length > 1,
          position: "bottom",
          labels: { color: colour("ink"), boxWidth: 12, boxHeight: line ? 2 : 12 },
        },
      },
    },
  });
}

// Charts whose data have not changed stay as they are; `anew`: none does.
function drawAll(anew) {
  Chart.defaults.font.family = style().getPropertyValue("--sans");
  const figures = new Map();
  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    figures.set(figure.dataset.chart, figure);
  }
  for (const [name, one] of drawn) {
    const figure = figures.get(name);
    if (!anew && figure && one.text === dataOf(figure) && one.chart.canvas.isConnected) {
      figures.delete(name);
    } else {
      one.chart.destroy();
      drawn.delete(name);
    }
  }
  for (const [name, figure] of figures) {
    drawn.set(name, { chart: draw(figure), text: dataOf(figure) });
  }
}

drawAll(true);
document.addEventListener("refreshed", () => drawAll(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
