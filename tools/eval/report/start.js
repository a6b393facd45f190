/* start.js - reads the data and draws it. */

/* Of several sets: the one that is looked at, once it is drawn (sets.js). */
let report = JSON.parse($("data").textContent);

/* The first of them are seen at once, all of them when asked for. */
const FACTS_FIRST = [
  "Model",
  "Fingerprint",
  "Precision",
  "Languages",
  "Sets",
  "A",
  "B",
  "Judgments",
  "Made",
];

function factList(facts) {
  return make(
    "dl",
    { class: "facts" },
    ...facts.map((fact) =>
      make(
        "div",
        { class: fact.name === "Fingerprint" ? "wide" : null },
        make("dt", null, fact.name),
        make("dd", null, fact.value),
      ),
    ),
  );
}

function showFacts() {
  const facts = [
    ...report.facts,
    { name: "Made", value: `${report.made}, tercet ${report.version}` },
  ];
  const first = facts.filter((fact) => FACTS_FIRST.includes(fact.name));
  const rest = facts.filter((fact) => !FACTS_FIRST.includes(fact.name));
  $("head").append(
    factList(first),
    make("details", null, make("summary", null, "All settings"), factList(rest)),
  );
}

document.title = report.title + " – Tercet";
$("title").textContent = report.title;
$("kind").textContent = report.kind === "compare" ? "comparison" : "evaluation";
showFacts();
if (report.kind === "compare") showCompare();
else if (report.kind === "sets") showSets();
else showEval();
