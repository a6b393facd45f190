/* eval.js - the report of a benchmark's run. */

function evalTable() {
  const { measures, rows, ways } = report;
  const published = rows.some((row) => row["published_ndcg@10"] !== undefined);
  const best = measures.map((name) => Math.max(...rows.map((row) => row[name])));
  const difference = (row) =>
    row.difference === undefined
      ? ""
      : {
          text: signed(row.difference),
          class: row.difference < -0.005 ? "bad" : row.difference > 0.005 ? "good" : "",
        };
  return section(
    "figures",
    "Figures",
    published && "Published figures are of the same model and data; the difference is of nDCG@10.",
    table(
      "Measures of each way of searching",
      ["modes", ...measures, ...(published ? ["published ndcg@10", "difference"] : [])],
      rows.map((row, r) => [
        named(spaced(row.modes), colourOf(row.modes), ways[r].fusion),
        ...measures.map((name, m) => ({
          text: fixed(row[name]),
          class: rows.length > 1 && row[name] === best[m] ? "best" : "",
        })),
        ...(published
          ? [
              row["published_ndcg@10"] === undefined ? "" : fixed(row["published_ndcg@10"]),
              difference(row),
            ]
          : []),
      ]),
    ),
  );
}

function evalBars() {
  const marked =
    report.rows.some((row) => row["published_ndcg@10"]) && report.measures.includes("ndcg@10");
  return section(
    "bars",
    "Side by side",
    null,
    marked &&
      make(
        "ul",
        { class: "legend" },
        make("li", null, make("span", { class: "mark" }), "published"),
      ),
    make(
      "div",
      { class: "panels" },
      ...report.measures.map((name) =>
        make(
          "div",
          { class: "panel" },
          make("h3", null, name),
          bars(
            report.rows.map((row) => ({
              name: spaced(row.modes),
              class: colourOf(row.modes),
              value: row[name],
              shown: fixed(row[name]),
              mark: name === "ndcg@10" ? row["published_ndcg@10"] : 0,
            })),
          ),
        ),
      ),
    ),
  );
}

function evalLatency() {
  const slowest = Math.max(...report.ways.map((way) => way.p99)) || 1;
  const shown = (ms) => (ms >= 100 ? ms.toFixed(0) : ms.toFixed(1));
  return section(
    "latency",
    "Time of a query",
    "Milliseconds for encoding, search and fusion, while the other cores answered other queries. " +
      "Bars: the dark part is the median, all of it what 99 of 100 queries stay below.",
    make(
      "div",
      { class: "panels" },
      make(
        "div",
        { class: "panel" },
        bars(
          report.ways.map((way) => ({
            name: spaced(way.name),
            class: colourOf(way.name),
            parts: [{ value: way.p99 / slowest, class: "light" }, { value: way.p50 / slowest }],
            shown: shown(way.p50),
          })),
        ),
      ),
    ),
    table(
      "Milliseconds a query",
      ["modes", "p50", "p90", "p99", "longest"],
      report.ways.map((way) => [
        named(spaced(way.name), colourOf(way.name)),
        ...[way.p50, way.p90, way.p99, way.max].map(shown),
      ]),
    ),
  );
}

function hardCase(query, top, way) {
  const { measures, rows } = report;
  const main = measures[report.main];
  return caseItem(query.text || query.id, fixed(query.values[way][report.main], 3), "", (body) =>
    body.append(
      make(
        "div",
        { class: "whole" },
        table(
          `Measures of query ${query.id}`,
          [`query ${query.id}`, ...measures],
          rows.map((row, r) => [
            named(spaced(row.modes), colourOf(row.modes)),
            ...query.values[r].map((value) => fixed(value)),
          ]),
        ),
        query.answers.length > 0 &&
          make("p", { class: "note" }, "Answers: " + query.answers.join(" · ")),
      ),
      topList(
        `Found by ${spaced(rows[way].modes)}, ${main} ${fixed(query.values[way][report.main], 3)}`,
        top,
      ),
      relevantList(
        query,
        rows.map((row) => spaced(row.modes)),
      ),
    ),
  );
}

function evalHardest() {
  const list = make("ol", { class: "cases" });
  const none = make("p", { class: "note" }, "Every query was answered in full.");
  const show = (way) => {
    const items = report.hardest[way];
    list.replaceChildren(...items.map((one) => hardCase(report.queries[one.query], one.top, way)));
    list.hidden = items.length === 0;
    none.hidden = items.length > 0;
  };
  const last = report.rows.length - 1;
  const made = section(
    "hardest",
    "Hardest queries",
    `Those with the lowest ${report.measures[report.main]}. Open one to see what was found and what was judged relevant.`,
    list,
    none,
  );
  if (last > 0) {
    const head = make("div", { class: "between" });
    made.prepend(head);
    head.append(
      made.querySelector("h2"),
      chooser(
        "way",
        "for",
        report.rows.map((row) => spaced(row.modes)),
        last,
        show,
      ),
    );
  }
  show(last);
  return made;
}

function evalLead() {
  const row = report.rows[report.rows.length - 1];
  const model = report.facts.find((fact) => fact.name === "Model");
  return (
    `${queries(row.queries)} over ` +
    `${plural(row.documents, "document")}, searched with ${model.value}.`
  );
}

function evalSections() {
  return [
    evalTable(),
    evalBars(),
    recallSection(
      report.rows.map((one, r) => ({
        name: spaced(one.modes),
        class: colourOf(one.modes),
        values: report.recall[r],
      })),
    ),
    evalHardest(),
    evalLatency(),
  ];
}

function showEval() {
  $("lead").textContent = evalLead();
  $("main").append(...evalSections());
}
