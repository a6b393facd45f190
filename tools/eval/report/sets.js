/* sets.js - the report of several data sets, most often languages, that were searched alike: their
 * figures side by side, their mean, and one of them at a time as eval.js shows it. */

const meanName = "average";

/* [{name, of(row's place), published(row's place)}]: the average first, then every set. */
function setColumns(whole, measure) {
  const column = (name, rows) => ({
    name,
    of: (r) => rows[r][measure],
    published: (r) => (measure === "ndcg@10" ? rows[r]["published_ndcg@10"] : undefined),
  });
  return [
    column(meanName, whole.averages),
    ...whole.sets.map((set, i) => column(whole.labels[i], set.rows)),
  ];
}

function setsTable(whole, measure) {
  const columns = setColumns(whole, measure);
  const ways = whole.averages;
  const best = columns.map((column) => Math.max(...ways.map((_, r) => column.of(r))));
  return table(
    `${measure} of each way of searching and ${whole.by}`,
    ["modes", ...columns.map((column) => column.name)],
    ways.map((row, r) => [
      named(spaced(row.modes), colourOf(row.modes), publishedNote(row, measure)),
      ...columns.map((column, c) => ({
        text: fixed(column.of(r)),
        class: ways.length > 1 && column.of(r) === best[c] ? "best" : "",
      })),
    ]),
  );
}

/* Of the average, where every set's figure is published. */
function publishedNote(row, measure) {
  const published = measure === "ndcg@10" ? row["published_ndcg@10"] : undefined;
  return published && `published ${fixed(published)}, ${signed(row.difference)}`;
}

function setsBars(whole, measure) {
  const columns = setColumns(whole, measure);
  return make(
    "div",
    { class: "panels" },
    ...columns.map((column) =>
      make(
        "div",
        { class: column.name === meanName ? "panel mean" : "panel" },
        make("h3", null, column.name),
        bars(
          whole.averages.map((row, r) => ({
            name: spaced(row.modes),
            class: colourOf(row.modes),
            value: column.of(r),
            shown: fixed(column.of(r)),
            mark: column.published(r),
          })),
        ),
      ),
    ),
  );
}

/* Both follow one choice of measure. */
function setsFigures(whole) {
  const figures = make("div", null);
  const sideBySide = make("div", null);
  const marked = whole.averages.concat(...whole.sets.map((set) => set.rows));
  const legendOfMarks = make(
    "ul",
    { class: "legend" },
    make("li", null, make("span", { class: "mark" }), "published"),
  );
  const show = (m) => {
    const measure = whole.measures[m];
    figures.replaceChildren(setsTable(whole, measure));
    sideBySide.replaceChildren(setsBars(whole, measure));
    legendOfMarks.hidden =
      measure !== "ndcg@10" || !marked.some((row) => row["published_ndcg@10"]);
  };
  const first = section("sets", capital(`by ${whole.by}`), null, figures);
  const head = make("div", { class: "between" });
  first.prepend(head);
  head.append(
    first.querySelector("h2"),
    chooser("measure", "measure", whole.measures, whole.main, show),
  );
  show(whole.main);
  return [
    first,
    section(
      "sets-bars",
      `Side by side, by ${whole.by}`,
      `The average counts every ${whole.by} alike, however many queries it has.`,
      legendOfMarks,
      sideBySide,
    ),
  ];
}

function showSets() {
  const whole = report;
  const asked = whole.sets.reduce((sum, set) => sum + set.rows[0].queries, 0);
  const model = whole.facts.find((fact) => fact.name === "Model");
  const one = make("div", { class: "one-set" });
  const show = (i) => {
    report = whole.sets[i];
    one.replaceChildren(...evalSections());
  };
  const head = section("one", `One ${whole.by}`, null, make("p", { class: "note", id: "one-lead" }));
  const between = make("div", { class: "between" });
  const lead = head.querySelector("#one-lead");
  const choose = (i) => {
    show(i);
    lead.textContent = evalLead();
  };
  head.prepend(between);
  between.append(head.querySelector("h2"), chooser("set", whole.by, whole.labels, 0, choose));
  $("lead").textContent =
    `${plural(whole.sets.length, whole.by)}, ${queries(asked)}, searched with ${model.value}.`;
  $("main").append(...setsFigures(whole), head, one);
  choose(0);
}
