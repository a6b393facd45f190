/* compare.js - the report of two runs beside each other. */

const pShown = (p) => (p < 0.0001 ? "< 0.0001" : fixed(p));

/* The middle 95 % of the draws around the mean difference, on an axis that all measures share. */
function interval(row, reach) {
  const WIDTH = 110,
    MIDDLE = 9;
  const x = (value) => (WIDTH / 2) * (1 + (0.94 * value) / reach);
  return svg(
    "svg",
    { class: "interval", viewBox: `0 0 ${WIDTH} 18`, "aria-hidden": "true" },
    svg("line", { class: "axis", x1: x(0), x2: x(0), y1: 0, y2: 18 }),
    svg("line", { class: "span", x1: x(row.low), x2: x(row.high), y1: MIDDLE, y2: MIDDLE }),
    svg("circle", { class: "point", cx: x(row.difference), cy: MIDDLE, r: 4 }),
  );
}

function compareTable() {
  const { rows, names } = report;
  const reach = Math.max(1e-9, ...rows.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)]));
  return section(
    "figures",
    "Figures",
    "B less A. An interval that leaves 0 out, and a small p, speak against chance.",
    table(
      "Means and differences",
      [
        "measure",
        "A",
        "B",
        "difference",
        "95 % interval",
        make("span", { class: "hidden" }, "drawn"),
        "p (t-test)",
        "p (bootstrap)",
        "better / worse / equal",
      ],
      rows.map((row) => [
        row.measure,
        fixed(row.a),
        fixed(row.b),
        {
          text: signed(row.difference),
          class: row.low > 0 ? "good best" : row.high < 0 ? "bad best" : "",
        },
        `${signed(row.low)} to ${signed(row.high)}`,
        interval(row, reach),
        pShown(row.p_t),
        pShown(row.p_bootstrap),
        `${count(row.better)} / ${count(row.worse)} / ${count(row.equal)}`,
      ]),
    ),
    make("p", { class: "note" }, `A is ${names[0]}, B is ${names[1]}.`),
  );
}

/* Every query's difference as a bar, the largest gain at the left; a slider walks through them. */
function strip(measure, sorted) {
  const HEIGHT = 190,
    LEFT = 44,
    RIGHT = 6,
    PAD = 8;
  const label = `Differences of ${queries(sorted.length)} in ${report.measures[measure]}`;
  const plot = svg("svg", {
    class: "plot strip",
    role: "img",
    "aria-label": label,
    height: HEIGHT,
  });
  const mark = svg("line", { class: "here", y1: 0, y2: HEIGHT });
  const readout = make("output", { class: "readout", for: "walk" });
  const walk = make("input", {
    id: "walk",
    class: "walk",
    type: "range",
    min: "0",
    max: String(sorted.length - 1),
    value: "0",
    "aria-label": "Query, by its difference",
    input: () => show(Number(walk.value)),
  });
  const holder = make("div", { class: "chart" }, plot, walk, readout);
  let x = () => 0;
  const show = (i) => {
    const { query, difference } = sorted[i];
    const said = `${signed(difference)}: ${fixed(query.a[measure])} to ${fixed(query.b[measure])}`;
    walk.value = String(i);
    walk.setAttribute("aria-valuetext", `${query.text || query.id}, ${said}`);
    readout.replaceChildren(
      make("b", null, said),
      ` · ${i + 1} of ${sorted.length} · `,
      query.text || `query ${query.id}`,
    );
    mark.setAttribute("x1", x(i + 0.5));
    mark.setAttribute("x2", x(i + 0.5));
  };
  const reach = Math.max(0.05, ...sorted.map((one) => Math.abs(one.difference)));
  drawn(holder, (width) => {
    const zero = HEIGHT / 2,
      step = (width - LEFT - RIGHT) / sorted.length;
    const gap = step > 4 ? 1 : 0;
    x = (i) => LEFT + i * step;
    const path = (sign) =>
      sorted
        .map(({ difference }, i) =>
          sign * difference > 0
            ? `M${x(i).toFixed(2)} ${zero}h${(step - gap).toFixed(2)}v${((-difference / reach) * (zero - PAD)).toFixed(2)}h${(gap - step).toFixed(2)}z`
            : "",
        )
        .join("");
    plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    plot.replaceChildren(
      ...[1, 0.5, 0, -0.5, -1].flatMap((part) => {
        const y = zero - part * (zero - PAD);
        return [
          svg("line", { class: part ? "grid" : "axis", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
          svg(
            "text",
            { x: LEFT - 8, y: y + 4, "text-anchor": "end" },
            part ? signed(part * reach, 2) : "0",
          ),
        ];
      }),
      svg("path", { class: "up", d: path(1) }),
      svg("path", { class: "down", d: path(-1) }),
      mark,
    );
    show(Number(walk.value));
  });
  const point = (event) => {
    const box = plot.getBoundingClientRect();
    const at = Math.floor(
      (sorted.length * (event.clientX - box.left - LEFT)) / (box.width - LEFT - RIGHT),
    );
    show(Math.min(sorted.length - 1, Math.max(0, at)));
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  return holder;
}

function extremeCase(place, measure) {
  const detail = report.details[place],
    query = report.queries[detail.query];
  const difference = query.b[measure] - query.a[measure];
  return caseItem(
    query.text || `query ${query.id}`,
    signed(difference, 3),
    difference > 0 ? "good" : "bad",
    (body) => {
      body.classList.add("three");
      body.append(
        make(
          "div",
          { class: "whole" },
          table(
            `Measures of query ${query.id}`,
            [`query ${query.id}`, ...report.measures],
            [
              ["A", ...query.a.map((value) => fixed(value))],
              ["B", ...query.b.map((value) => fixed(value))],
            ],
          ),
        ),
        topList("Found by A", detail.a),
        topList("Found by B", detail.b),
        relevantList(detail, ["A", "B"]),
      );
    },
  );
}

function extremes(id, title, places, measure, empty) {
  return section(
    id,
    title,
    places.length ? null : empty,
    places.length &&
      make("ol", { class: "cases" }, ...places.map((place) => extremeCase(place, measure))),
  );
}

/* The parts that are of one measure. */
function ofMeasure(measure) {
  const sorted = report.queries
    .map((query) => ({ query, difference: query.b[measure] - query.a[measure] }))
    .sort((one, other) => other.difference - one.difference);
  return [
    strip(measure, sorted),
    extremes("won", "Won most", report.extremes[measure].won, measure, "No query got better."),
    extremes("lost", "Lost most", report.extremes[measure].lost, measure, "No query got worse."),
  ];
}

function showCompare() {
  const main = report.rows[report.main];
  const sure = main.low > 0 || main.high < 0;
  $("lead").textContent =
    `${main.measure} goes from ${fixed(main.a)} to ${fixed(main.b)}: ${signed(main.difference)}` +
    (sure
      ? ", more than these queries' chance explains."
      : ", which may be these queries' chance.");
  const parts = make("div", null);
  const show = (measure) => {
    const [chart, won, lost] = ofMeasure(measure);
    parts.replaceChildren(chart, won, lost);
  };
  const each = section("each", "Query by query", null);
  const head = make("div", { class: "between" });
  each.prepend(head);
  head.append(
    each.querySelector("h2"),
    chooser("measure", "by", report.measures, report.main, show),
  );
  each.append(
    make(
      "p",
      { class: "note" },
      "Bars above the line: B did better. Move the slider, or the pointer over the bars, to read them.",
    ),
    parts,
  );
  show(report.main);
  $("main").append(
    compareTable(),
    each,
    recallSection([
      { name: "A: " + report.names[0], class: "run-a", values: report.recall[0] },
      { name: "B: " + report.names[1], class: "run-b", values: report.recall[1] },
    ]),
  );
}
