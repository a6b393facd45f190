/* charts.js - tables, bars and lines out of numbers. Nothing is known of modes here but their
 * colours. Every chart has its numbers beside it as text. */

/* svg("path", {d: ".."}, node..): as make, for drawings. */
function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child != null));
  return element;
}

/* "dense,sparse" -> the class that has its colour. */
function colourOf(name) {
  const modes = name.split(",");
  if (modes.at(-1) === "rerank") return "reranked";
  if (modes.length === 1) return name;
  return modes.length === 2 ? "mixed" : "all";
}

const queries = (n) => (n === 1 ? "1 query" : count(n) + " queries");
const spaced = (name) => name.split(",").join(" + ");
const signed = (x, digits = 4) => (x < 0 ? "−" : x > 0 ? "+" : "±") + Math.abs(x).toFixed(digits);
const fixed = (x, digits = 4) => x.toFixed(digits).replace("-", "−");

function section(id, title, note, ...rest) {
  return make(
    "section",
    { "aria-labelledby": id },
    make("h2", { id }, title),
    note && make("p", { class: "note" }, note),
    ...rest,
  );
}

/* heads: ["mode", ..]; rows: [[th, td, ..]], a cell a text or a node or {text, class}. A table that
 * is wider than its place scrolls, with the keyboard, too. */
function table(label, heads, rows) {
  const cell = (kind, value, attributes) =>
    value && value.text !== undefined
      ? make(kind, { ...attributes, class: value.class }, value.text)
      : make(kind, attributes, value);
  return make(
    "div",
    { class: "scroller", role: "region", tabindex: "0", "aria-label": label },
    make(
      "table",
      null,
      make(
        "thead",
        null,
        make("tr", null, ...heads.map((head) => cell("th", head, { scope: "col" }))),
      ),
      make(
        "tbody",
        null,
        ...rows.map((row) =>
          make(
            "tr",
            null,
            ...row.map((value, i) =>
              i === 0 ? cell("th", value, { scope: "row" }) : cell("td", value),
            ),
          ),
        ),
      ),
    ),
  );
}

/* items: [{name, class, value (0 to 1), shown, mark}]; mark: where another figure stands. */
function bars(items) {
  return make(
    "ul",
    { class: "bars" },
    ...items.map((item) => {
      const bar = make("span", { class: "bar", "aria-hidden": "true" });
      for (const part of item.parts || [{ value: item.value }])
        bar.append(make("i", { class: part.class, style: { width: 100 * part.value + "%" } }));
      if (item.mark)
        bar.append(make("span", { class: "mark", style: { left: 100 * item.mark + "%" } }));
      return make(
        "li",
        { class: item.class },
        make("span", { class: "name" }, item.name),
        bar,
        make("span", { class: "num" }, item.shown),
      );
    }),
  );
}

function legend(lines) {
  return make(
    "ul",
    { class: "legend" },
    ...lines.map((line) =>
      make(
        "li",
        { class: line.class },
        svg("svg", { "aria-hidden": "true" }, svg("path", { class: "curve", d: "M0 5H26" })),
        line.name,
      ),
    ),
  );
}

/* Calls draw(width) now and whenever the holder gets another width. */
function drawn(holder, draw) {
  let width = 0;
  new ResizeObserver(() => {
    const room = Math.round(
      holder.clientWidth - 2 * parseFloat(getComputedStyle(holder).paddingLeft),
    );
    if (room > 0 && room !== width) draw((width = room));
  }).observe(holder);
}

/* Round steps around the values, which lie from 0 to 1; a tenth at least, so that what hardly differs
 * does not look as if it did. */
function axisOf(values) {
  const low = Math.min(...values),
    high = Math.max(...values);
  const step = [0.02, 0.05, 0.1].find((size) => (high - low) / size <= 5) || 0.2;
  const to = Math.min(1, Math.max(Math.ceil(high / step - 1e-9) * step, 0.1));
  const from = Math.max(0, Math.min(Math.floor(low / step + 1e-9) * step, to - 0.1));
  const ticks = [];
  for (let at = to; at >= from - 1e-9; at -= step) ticks.push(at);
  return { from, to, ticks, digits: step < 0.1 ? 2 : 1 };
}

/* lines: [{name, class, values}] over depths, these on a logarithmic axis. */
function curves(label, depths, lines) {
  const HEIGHT = 280,
    LEFT = 40,
    RIGHT = 14,
    TOP = 10,
    BOTTOM = 26;
  const axis = axisOf(lines.flatMap((line) => line.values));
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": label, height: HEIGHT });
  const holder = make("div", { class: "chart" }, legend(lines), plot);
  drawn(holder, (width) => {
    const last = Math.log(depths[depths.length - 1]) || 1;
    const x = (depth) => LEFT + ((width - LEFT - RIGHT) * Math.log(depth)) / last;
    const y = (value) =>
      TOP + ((HEIGHT - TOP - BOTTOM) * (axis.to - value)) / (axis.to - axis.from);
    plot.replaceChildren();
    plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const tick of axis.ticks)
      plot.append(
        svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
        svg(
          "text",
          { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" },
          tick.toFixed(axis.digits),
        ),
      );
    let free = -Infinity;
    for (const depth of depths) {
      const at = x(depth);
      plot.append(
        svg("line", {
          class: "axis",
          x1: at,
          x2: at,
          y1: HEIGHT - BOTTOM,
          y2: HEIGHT - BOTTOM + 4,
        }),
      );
      if (at < free) continue;
      plot.append(svg("text", { x: at, y: HEIGHT - 8, "text-anchor": "middle" }, count(depth)));
      free = at + 34;
    }
    for (const line of lines) {
      const group = svg("g", { class: line.class });
      const points = line.values.map(
        (value, i) => `${x(depths[i]).toFixed(1)} ${y(value).toFixed(1)}`,
      );
      group.append(svg("path", { class: "curve", d: "M" + points.join("L") }));
      line.values.forEach((value, i) =>
        group.append(svg("circle", { class: "dot", cx: x(depths[i]), cy: y(value), r: 3.5 })),
      );
      plot.append(group);
    }
  });
  return holder;
}

/* The recall of several rankings, as curves and, folded, as a table. */
function recallSection(lines) {
  const hit = report.recall_name === "hit";
  const what = hit ? "Hit rate by depth" : "Recall by depth";
  const note = hit
    ? "The part of the queries for which one of the first k hits holds an answer."
    : "The part of the relevant documents that stand among the first k hits, the mean of all queries.";
  const best = lines.reduce((a, b) => (b.values.at(-1) > a.values.at(-1) ? b : a));
  const label =
    `${what}: at ${report.depths.at(-1)}, ${best.name} has most, ` +
    `${fixed(best.values.at(-1))}. The table below has all values.`;
  return section(
    "recall",
    what,
    note,
    curves(label, report.depths, lines),
    make(
      "details",
      { class: "table" },
      make("summary", null, "As a table"),
      table(
        what + ", as a table",
        ["ranking", ...report.depths.map((depth) => "@" + depth)],
        lines.map((line) => [
          named(line.name, line.class),
          ...line.values.map((value) => fixed(value)),
        ]),
      ),
    ),
  );
}

/* A name with the colour that it has everywhere. */
function named(name, colour, small) {
  return make(
    "span",
    { class: colour },
    make("i", { class: "key", "aria-hidden": "true" }),
    name,
    small && make("small", null, small),
  );
}
