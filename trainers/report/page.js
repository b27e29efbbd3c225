// What the report's page does: theme, sorting, choice of measures, the two charts, enlarged pictures.

const data = JSON.parse(document.getElementById("data").textContent);

function choice(label, options, onChange) {
  const select = element("select", { on: { change: () => onChange(Number(select.value)) } },
    ...options.map((name, index) => element("option", { value: index }, name)));
  return element("label", { class: "field" }, label, select);
}

function checkbox(label, onChange, checked) {
  const input = element("input", { type: "checkbox", checked, on: { change: () => onChange(input.checked) } });
  return element("label", { class: "field" }, input, label);
}

// Buttons that hide and show lines; all are shown again by the last one.
function legend(entries, onChange) {
  const shown = entries.map(() => true);
  const buttons = entries.map((entry, index) => element("button", {
    type: "button",
    "aria-pressed": "true",
    title: "hide or show; double-click for this one alone",
    class: `key series-${entry.colour % COLOURS}` + (entry.control ? " control" : ""),
    on: {
      click: () => { shown[index] = !shown[index]; update(); },
      dblclick: () => { shown.forEach((_, each) => { shown[each] = each === index; }); update(); },
    },
  }, element("i", {}), element("span", {}, entry.label)));
  const all = element("button", { type: "button", class: "key all", hidden: true, on: {
    click: () => { shown.fill(true); update(); },
  } }, "show all");
  function update() {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(shown[index])));
    all.hidden = shown.every(Boolean);
    onChange();
  }
  // Lines that the chart cannot show at all have no button.
  const offer = (present) => buttons.forEach((button, index) => { button.hidden = !present(index); });
  return { shown, offer, node: element("div", { class: "legend", role: "group", "aria-label": "Lines" }, ...buttons, all) };
}

function sizeChart(holder) {
  const { measures, wheres, lines, panels } = data.sizes;
  const state = { measure: 0, where: 0, fit: false, seeds: false };
  const plotted = element("div", { id: "size-area" });
  const keys = legend(lines, draw);
  const controls = element("div", { class: "controls" },
    measures.length > 1 ? choice("measure", measures.map((each) => each.label), set("measure")) : null,
    wheres.length > 1 ? choice("inputs", wheres, set("where")) : null,
    checkbox("fit y axis", set("fit")),
    panels.some((panel) => Object.values(panel.lines).some((points) => points.some((point) => point[3].length > 1)))
      ? checkbox("every seed", set("seeds")) : null);
  const note = element("p", { class: "note" });
  holder.append(controls, plotted, keys.node, note);
  const plot = new Plot(plotted, "Score against size", (x) => `n = ${x}`);

  function set(name) {
    return (value) => { state[name] = value; draw(); };
  }

  function line(entry, index, panel) {
    const points = panel.lines[index].map(([n, mean, spread]) => (mean === null
      ? [n, NaN]
      : [n, mean, mean - spread, mean + spread, spread === null ? "" : ` ± ${format(spread)}`]));
    return { ...entry, points, markers: true };
  }

  // A line for each seed, as the runs stand in the list.
  function seeds(entry, index, panel) {
    const count = Math.max(0, ...panel.lines[index].map((point) => point[3].length));
    return Array.from({ length: count }, (_, seed) => ({
      ...entry,
      label: `${entry.label}, run ${seed + 1}`,
      points: panel.lines[index].map(([n, , , values]) => [n, values[seed] ?? NaN]),
      markers: true,
    }));
  }

  function draw() {
    const panel = panels.find((each) => each.measure === measures[state.measure].key && each.where === state.where);
    keys.offer((index) => panel.lines[index].length > 0);
    const chosen = lines.map((entry, index) => [entry, index])
      .filter(([, index]) => keys.shown[index] && panel.lines[index].length);
    const shown = chosen.flatMap(([entry, index]) =>
      (state.seeds ? seeds(entry, index, panel) : [line(entry, index, panel)]));
    const values = shown.flatMap((each) => each.points.map((point) => point[1])).filter(Number.isFinite);
    const bounded = values.every((value) => value >= 0 && value <= 1) && !measures[state.measure].less;
    const low = Math.min(...chosen.map(([entry]) => entry.trained[0]));
    const high = Math.max(...chosen.map(([entry]) => entry.trained[1]));
    plot.draw({
      lines: shown,
      xScale: "log2",
      yScale: "linear",
      xTicks: [...new Set(shown.flatMap((each) => each.points.map((point) => point[0])))].sort((a, b) => a - b),
      xLabel: "size n",
      yRange: bounded && !state.fit ? [0, 1] : null,
      shade: chosen.length ? [low, high] : null,
    });
    const spreads = shown.some((each) => each.points.some((point) => point[3] > point[2]));
    note.textContent = `${measures[state.measure].label}, ${wheres[state.where]}` +
      (spreads ? ": mean, and standard deviation over seeds as a band" : "");
  }
  draw();
}

function smoothed(points, weight) {
  let average = 0;
  let seen = 0;
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    average = weight * average + (1 - weight) * y;
    seen += 1;
    return [x, average / (1 - Math.pow(weight, seen))]; // an average that starts at zero, made up for
  });
}

function curveChart(holder) {
  const { metrics, series, runs } = data.curves;
  const timed = runs.some((run) => run.axes.length) && runs.every((run) => run.axes.every((axis) => axis.seconds));
  const state = { metric: 0, time: 0, smoothing: 0, log: false };
  const plotted = element("div", { id: "curve-area" });
  const keys = legend(series.map((label, index) => ({ label, colour: index })), draw);
  const told = element("output", {}, "0");
  const slider = element("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: 0, on: {
    input: () => { state.smoothing = Number(slider.value); told.textContent = slider.value; draw(); },
  } });
  const log = checkbox("log scale", (value) => { state.log = value; draw(); });
  holder.append(element("div", { class: "controls" },
    choice("metric", metrics, (value) => { state.metric = value; suggest(); draw(); }),
    timed ? choice("x axis", ["steps", "seconds"], (value) => { state.time = value; draw(); }) : null,
    element("label", { class: "field" }, "smoothing", slider, told), log), plotted, keys.node);
  const plot = new Plot(plotted, "Training curves", (x) => (state.time ? `${format(x)} s` : `step ${format(x)}`));

  function raw(run) {
    const curve = run.metrics[metrics[state.metric]];
    if (!curve) return [];
    const axis = run.axes[curve.axis];
    return (state.time ? axis.seconds : axis.step).map((x, index) => [x, curve.y[index] ?? NaN]);
  }

  // Losses and gradient norms that fall over decades are read on a logarithmic axis.
  function suggest() {
    const values = runs.flatMap((run) => raw(run).map((point) => point[1])).filter(Number.isFinite);
    const positive = values.length > 1 && values.every((value) => value > 0);
    const falls = metrics[state.metric].startsWith("train/loss") || metrics[state.metric] === "train/grad_norm";
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    state.log = positive && falls && high > 30 * low;
    log.querySelector("input").checked = state.log;
  }

  function draw() {
    const lines = runs.filter((run) => keys.shown[run.series]).map((run) => {
      const points = raw(run);
      const smooth = state.smoothing > 0;
      const state_ = run.state === "finished" ? "" : ` (${run.state})`;
      return {
        label: run.name + state_,
        colour: run.series,
        points: smooth ? smoothed(points, state.smoothing) : points,
        faint: smooth ? points : null,
      };
    }).filter((line) => line.points.length);
    plot.draw({ lines, xScale: "linear", yScale: state.log ? "log10" : "linear",
      xLabel: state.time ? "seconds of training" : "optimiser steps" });
  }
  suggest();
  draw();
}

// One of several measures' tables at a time.
function measureTables(holder) {
  const parts = [...holder.children];
  if (parts.length < 2) return;
  const buttons = parts.map((part, index) => element("button", {
    type: "button", on: { click: () => show(index) },
  }, part.dataset.label));
  function show(chosen) {
    parts.forEach((part, index) => { part.hidden = index !== chosen; });
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
  }
  holder.before(element("div", { class: "segments", role: "group", "aria-label": "Measure" }, ...buttons));
  show(0);
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = element("button", { type: "button", on: { click: () => sort(column) } }, ...head.childNodes);
    head.replaceChildren(button);
  });
  function sort(column) {
    const before = heads[column].getAttribute("aria-sort");
    // Numbers start with the largest, words with the first.
    const numeric = [...body.rows].some((row) => row.cells[column].classList.contains("number"));
    const down = before === null ? numeric : before === "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      if (numeric && (left === "" || right === "")) return (left === "") - (right === "");
      const order = numeric ? Number(left) - Number(right) : left.localeCompare(right, "en", { numeric: true });
      return down ? -order : order;
    });
    body.append(...rows);
  }
}

function pictures() {
  const box = document.getElementById("lightbox");
  for (const button of document.querySelectorAll("button.picture")) {
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      box.querySelector("img").src = image.src;
      box.querySelector("img").alt = image.alt;
      box.querySelector("figcaption").textContent = image.alt;
      box.showModal();
    });
  }
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
}

function theme() {
  const button = document.getElementById("theme");
  const order = ["auto", "dark", "light"];
  let now = "auto";
  // Storage is refused to pages from files in some browsers; the choice is then forgotten at closing.
  try { now = order.includes(localStorage.getItem("zoo-theme")) ? localStorage.getItem("zoo-theme") : now; } catch { }
  function apply() {
    if (now === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = now;
    button.textContent = { auto: "◐ auto", dark: "● dark", light: "○ light" }[now];
    button.setAttribute("aria-label", `Colours: ${now}; press to change`);
  }
  button.addEventListener("click", () => {
    now = order[(order.indexOf(now) + 1) % order.length];
    try { localStorage.setItem("zoo-theme", now); } catch { }
    apply();
  });
  button.hidden = false;
  apply();
}

theme();
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll(".measures").forEach(measureTables);
const sizePlot = document.getElementById("size-plot");
if (sizePlot) sizeChart(sizePlot);
const curvePlot = document.getElementById("curve-plot");
if (curvePlot) curveChart(curvePlot);
pictures();
