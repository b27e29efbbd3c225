// A line chart in SVG: lines with bands, a shaded range, values under the pointer or the arrow keys.

const MARKERS = {
  0: "M0,-4A4,4 0 1 1 0,4A4,4 0 1 1 0,-4Z",
  1: "M-3.6,-3.6H3.6V3.6H-3.6Z",
  2: "M0,-4.6L4.4,3.4H-4.4Z",
  3: "M0,-4.8L4.2,0L0,4.8L-4.2,0Z",
  4: "M0,4.6L4.4,-3.4H-4.4Z",
  5: "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
  6: "M-4.2,-2.4L-2.4,-4.2L0,-1.8L2.4,-4.2L4.2,-2.4L1.8,0L4.2,2.4L2.4,4.2L0,1.8L-2.4,4.2L-4.2,2.4L-1.8,0Z",
};
const COLOURS = Object.keys(MARKERS).length;
const DASHES = ["", "7 3", "2 3", "8 3 2 3"];
const MOST_TOLD = 12;

function element(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(key, value === true ? "" : value);
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function format(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

function formatAxis(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return Number((value / 1e6).toPrecision(3)) + "M";
  if (size >= 1e4) return Number((value / 1e3).toPrecision(3)) + "k";
  if (size !== 0 && size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(6)));
}

function linearTicks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) {
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}

function logTicks(low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const parts = last - first <= 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((last - first) / 6));
  const ticks = [];
  for (let power = first; power <= last; power += every) {
    for (const part of parts) {
      const value = part * Math.pow(10, power);
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return ticks.length > 1 ? ticks : [low, high];
}

function scale(kind, low, high, from, to) {
  const map = kind === "linear" ? (value) => value : Math.log;
  const width = map(high) - map(low) || 1;
  return (value) => from + ((map(value) - map(low)) / width) * (to - from);
}

class Plot {
  // `describe(x)` heads what is told of a point; `view` is what `draw` last was given.
  constructor(holder, name, describe) {
    this.holder = holder;
    this.describe = describe;
    this.view = null;
    this.cursor = null;
    holder.classList.add("plot");
    fill(holder, {
      tabindex: 0,
      role: "group",
      "aria-label": name + ". Left and right arrow keys read the values.",
      on: {
        pointermove: (event) => this.point(event.clientX),
        pointerdown: (event) => this.point(event.clientX),
        pointerleave: () => this.leave(),
        blur: () => this.leave(),
        keydown: (event) => this.key(event),
      },
    }, []);
    // The namespace comes from an element that the parser made: the page then names no address at all.
    this.space = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;
    this.svg = this.shape("svg", { "aria-hidden": "true" });
    this.tip = element("div", { class: "tip", hidden: true });
    this.spoken = element("div", { class: "spoken", "aria-live": "polite" });
    holder.append(this.svg, this.tip, this.spoken);
    new ResizeObserver(() => this.view && this.width !== holder.clientWidth && this.draw(this.view)).observe(holder);
  }

  shape(name, attributes, ...children) {
    return fill(document.createElementNS(this.space, name), attributes, children);
  }

  // lines: {label, colour, control, markers, points: [[x, y, low, high, note]], faint: [[x, y]]}
  draw(view) {
    this.view = view;
    this.width = this.holder.clientWidth || 600;
    this.height = this.width < 520 ? 270 : 350;
    const ranges = this.ranges(view);
    const ticks = this.yTicks(view, ranges);
    const left = 14 + 7 * Math.max(...ticks.map((each) => formatAxis(each).length), 2);
    const box = { left, right: this.width - 14, top: 14, bottom: this.height - 44 };
    this.box = box;
    this.x = scale(view.xScale, ranges.x[0], ranges.x[1], box.left, box.right);
    this.y = scale(view.yScale, ranges.y[0], ranges.y[1], box.bottom, box.top);
    this.svg.replaceChildren();
    fill(this.svg, { width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}` }, []);
    if (!ranges.any) {
      this.xs = [];
      this.svg.append(this.text("Nothing to draw: all values are missing or hidden.", this.width / 2, this.height / 2));
      this.leave();
      return;
    }
    this.drawShade(view, box);
    this.drawAxes(view, ranges, ticks, box);
    const clip = "clip-" + this.holder.id;
    const area = this.shape("rect", { x: box.left - 6, y: box.top - 6, width: box.right - box.left + 12,
      height: box.bottom - box.top + 12 });
    this.svg.append(this.shape("clipPath", { id: clip }, area));
    const drawn = this.shape("g", { "clip-path": `url(#${clip})` });
    this.svg.append(drawn);
    for (const line of view.lines) this.drawLine(drawn, line);
    this.marks = this.shape("g");
    this.svg.append(this.marks);
    this.xs = [...new Set(view.lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    this.leave();
  }

  ranges(view) {
    const shown = (value) => Number.isFinite(value) && (view.yScale === "linear" || value > 0);
    const points = view.lines.flatMap((line) => line.points.filter((point) => shown(point[1])));
    const xs = points.map((point) => point[0]);
    let ys = points.flatMap((point) => [point[1], point[2], point[3]].filter(shown));
    const faint = view.lines.flatMap((line) => (line.faint || []).map((point) => point[1]).filter(shown));
    if (faint.length) ys = ys.concat(faint);
    const bounds = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)],
      [Infinity, -Infinity]);
    let x = xs.length ? bounds(xs) : [1, 2];
    if (view.shade && xs.length && view.xScale === "log2") x[0] = Math.max(Math.min(x[0], view.shade[0]), x[0] / 2);
    if (x[0] === x[1]) x = view.xScale === "log2" ? [x[0] / 2, x[0] * 2] : [x[0] - 1, x[0] + 1];
    let y = ys.length ? bounds(ys) : [0, 1];
    if (view.yRange) y = view.yRange;
    else if (view.yScale === "linear") {
      const gap = (y[1] - y[0]) * 0.06 || Math.abs(y[0]) * 0.1 || 0.5;
      y = [y[0] >= 0 && y[0] - gap < 0 ? 0 : y[0] - gap, y[1] + gap];
    } else y = y[0] === y[1] ? [y[0] / 2, y[1] * 2] : [y[0] / 1.15, y[1] * 1.15];
    return { x, y, any: xs.length > 0 };
  }

  yTicks(view, ranges) {
    return view.yScale === "linear" ? linearTicks(ranges.y[0], ranges.y[1], 5) : logTicks(ranges.y[0], ranges.y[1]);
  }

  drawShade(view, box) {
    if (!view.shade) return;
    const limit = (value) => Math.max(box.left, Math.min(box.right, this.x(value)));
    let [from, to] = [limit(view.shade[0]), limit(view.shade[1])];
    if (to - from < 3) [from, to] = [Math.max(box.left, to - 1.5), Math.max(box.left, to - 1.5) + 3];
    this.svg.append(this.shape("rect", { class: "shade", x: from, y: box.top, width: to - from,
      height: box.bottom - box.top }));
    const inside = to - from > 86;
    const label = this.text("training sizes", inside ? (from + to) / 2 : to + 5, box.bottom - 7, "shade-label");
    if (!inside) label.setAttribute("text-anchor", "start");
    this.svg.append(label);
  }

  drawAxes(view, ranges, ticks, box) {
    for (const value of ticks) {
      const y = this.y(value);
      this.svg.append(this.shape("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }));
      const label = this.text(formatAxis(value), box.left - 7, y + 4);
      label.setAttribute("text-anchor", "end");
      this.svg.append(label);
    }
    let last = -Infinity;
    const places = view.xTicks || linearTicks(ranges.x[0], ranges.x[1], Math.max(2, Math.floor(this.width / 110)));
    for (const value of places) {
      const x = this.x(value);
      this.svg.append(this.shape("line", { class: "tick", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }));
      const shown = formatAxis(value);
      const half = shown.length * 3.6;
      if (x - half > last + 4 && x + half < this.width) {
        this.svg.append(this.text(shown, x, box.bottom + 18));
        last = x + half;
      }
    }
    this.svg.append(
      this.shape("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
      this.text(view.xLabel, (box.left + box.right) / 2, this.height - 6, "axis-label"),
    );
  }

  drawLine(group, line) {
    const kind = `series-${line.colour % COLOURS}` + (line.control ? " control" : "");
    const seen = (point) => Number.isFinite(point[1]) && (this.view.yScale === "linear" || point[1] > 0);
    const at = (x, y) => `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`;
    const trace = (points) => {
      let path = "";
      let pen = false;
      for (const point of points) {
        path += seen(point) ? (pen ? "L" : "M") + at(point[0], point[1]) : "";
        pen = seen(point);
      }
      return path;
    };
    const band = line.points.filter((point) => seen(point) && Number.isFinite(point[2]));
    if (band.length > 1 && band.some((point) => point[3] > point[2])) {
      const floor = this.view.yScale === "linear" ? -Infinity : 1e-12;
      const low = band.map((point) => at(point[0], Math.max(point[2], floor))).reverse();
      const path = "M" + band.map((point) => at(point[0], point[3])).join("L") + "L" + low.join("L") + "Z";
      group.append(this.shape("path", { class: kind + " band", d: path }));
    }
    if (line.faint) group.append(this.shape("path", { class: kind + " line faint", d: trace(line.faint) }));
    const dash = line.control ? "5 4" : DASHES[Math.floor(line.colour / COLOURS) % DASHES.length];
    group.append(this.shape("path", { class: kind + " line", d: trace(line.points), "stroke-dasharray": dash || null }));
    const lonely = line.points.filter(seen).length === 1;
    for (const point of line.points.filter(seen)) {
      if (line.markers || lonely) group.append(this.marker(line, point, kind));
    }
  }

  marker(line, point, kind) {
    const place = `translate(${this.x(point[0]).toFixed(1)} ${this.y(point[1]).toFixed(1)})`;
    return this.shape("path", { class: kind + " marker", d: MARKERS[line.colour % COLOURS], transform: place });
  }

  text(words, x, y, kind) {
    return this.shape("text", { x, y, class: kind || null, "text-anchor": "middle" }, words);
  }

  point(clientX) {
    if (!this.xs || !this.xs.length) return;
    const x = clientX - this.holder.getBoundingClientRect().left;
    let best = 0;
    let [low, high] = [0, this.xs.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.x(this.xs[middle]) < x) low = middle + 1;
      else high = middle;
    }
    best = low > 0 && x - this.x(this.xs[low - 1]) < this.x(this.xs[low]) - x ? low - 1 : low;
    this.show(best, false);
  }

  key(event) {
    const last = (this.xs || []).length - 1;
    if (last < 0) return;
    const jump = Math.max(1, Math.round(last / 40));
    const now = this.cursor;
    const places = {
      ArrowRight: now === null ? 0 : Math.min(last, now + jump),
      ArrowLeft: now === null ? last : Math.max(0, now - jump),
      Home: 0,
      End: last,
    };
    if (event.key === "Escape") this.leave();
    if (!(event.key in places)) return;
    event.preventDefault();
    this.show(places[event.key], true);
  }

  // What each line has at the x nearest to the cursor's, or nothing where it has none near.
  values(x) {
    const found = [];
    for (const line of this.view.lines) {
      let nearest = null;
      for (const point of line.points) {
        if (nearest === null || Math.abs(point[0] - x) < Math.abs(nearest[0] - x)) nearest = point;
      }
      if (nearest && Math.abs(this.x(nearest[0]) - this.x(x)) < 14) found.push([line, nearest]);
    }
    const rank = (point) => (Number.isFinite(point[1]) ? point[1] : -Infinity);
    return found.sort((a, b) => rank(b[1]) - rank(a[1]));
  }

  show(index, speak) {
    this.cursor = index;
    const x = this.xs[index];
    const found = this.values(x);
    const place = this.x(x);
    this.marks.replaceChildren(this.shape("line", { class: "cursor", x1: place, x2: place, y1: this.box.top,
      y2: this.box.bottom }));
    for (const [line, point] of found) {
      if (Number.isFinite(point[1]) && (this.view.yScale === "linear" || point[1] > 0)) {
        this.marks.append(this.marker(line, point, `series-${line.colour % COLOURS}` + (line.control ? " control" : "")));
      }
    }
    const rows = found.slice(0, MOST_TOLD).map(([line, point]) => element("li", {
      class: `series-${line.colour % COLOURS}` + (line.control ? " control" : ""),
    }, element("i", {}), element("span", {}, line.label), element("b", {}, format(point[1]) + (point[4] || ""))));
    const more = found.length - rows.length;
    if (more > 0) rows.push(element("li", {}, `and ${more} more`));
    this.tip.replaceChildren(element("strong", {}, this.describe(x)), element("ul", {}, ...rows));
    this.tip.hidden = false;
    const width = this.tip.offsetWidth;
    const beside = place + 14 + width < this.width ? place + 14 : place - 14 - width;
    this.tip.style.left = Math.max(0, Math.min(beside, this.width - width)) + "px";
    if (speak) {
      const told = found.slice(0, MOST_TOLD).map(([line, point]) => `${line.label} ${format(point[1])}`);
      this.spoken.textContent = `${this.describe(x)}: ${told.join(", ")}`;
    }
  }

  leave() {
    this.cursor = null;
    this.tip.hidden = true;
    if (this.marks) this.marks.replaceChildren();
  }
}
