/* explain.js - why a hit stands where it stands: how its score adds up, which terms it shares with
 * the query, and which of its tokens answers each token of the query. */

function explainPanel(row, plan) {
  const { hit } = row,
    given = hit.explain || {};
  const terms = given.terms || [],
    tokens = given.tokens || [];
  return make(
    "div",
    { class: "explain" },
    make("section", {}, make("h3", {}, "How the score adds up"), sumTable(row, plan)),
    terms.length > 0 &&
      plan.modes.includes("sparse") &&
      make("section", {}, make("h3", {}, "Terms"), termBars(terms)),
    tokens.length > 0 &&
      plan.modes.includes("multi") &&
      make(
        "section",
        { class: "wide" },
        make("h3", {}, "Each token of the query, and the passage's best answer to it"),
        tokenTiles(tokens),
      ),
  );
}

function sumTable(row, plan) {
  const single = plan.modes.length === 1;
  const head = ["Mode", "Score", "Rank", "Normalised", "Weight", "Adds"];
  const body = plan.modes.map((mode) => {
    const part = row.scores[mode];
    if (!part) return null;
    return make(
      "tr",
      { class: mode },
      make("th", { scope: "row" }, capital(mode)),
      make("td", {}, number(part.raw)),
      make("td", {}, part.rank ? count(part.rank) : "–"),
      make("td", {}, number(part.normalized)),
      make("td", {}, single ? "1" : "× " + number(plan.weights[mode], 2)),
      make("td", {}, number(part.contribution)),
    );
  });
  const table = make(
    "table",
    { class: "sum num" },
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...body),
    make(
      "tfoot",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "row", colspan: "5" }, "Fused score"),
        make("td", {}, number(row.score)),
      ),
    ),
  );
  const read = hit_rerank(row.hit);
  return read
    ? make(
        "div",
        {},
        table,
        make(
          "p",
          { class: "note" },
          "Then read together with the query: " + number(read.raw) + ", which decides its place.",
        ),
      )
    : table;
}

const hit_rerank = (hit) => (hit.scores && hit.scores.rerank) || null;

function termBars(terms) {
  const found = terms.filter((term) => term.score > 0),
    absent = terms.filter((term) => !(term.score > 0));
  const largest = Math.max(...found.map((term) => term.score), 0);
  return make(
    "div",
    {},
    found.length > 0 &&
      make(
        "ul",
        { class: "terms sparse" },
        ...found.map((term) =>
          make(
            "li",
            { title: "weight in the query: " + number(term.query_weight) },
            make("span", {}, term.term),
            make(
              "span",
              { class: "track", "aria-hidden": "true" },
              make("i", { style: { width: ((100 * term.score) / largest).toFixed(1) + "%" } }),
            ),
            make("span", { class: "num" }, number(term.score, 2)),
          ),
        ),
      ),
    absent.length > 0 &&
      make("p", { class: "note" }, "Not in it: " + absent.map((term) => term.term).join(", ")),
  );
}

function tokenTiles(tokens) {
  return make(
    "ol",
    { class: "tokens multi" },
    ...tokens.map((token) =>
      make(
        "li",
        {
          class: token.query.startsWith("[") ? "special" : null,
          style: { "--s": String(Math.max(0, Math.min(1, token.score))) },
        },
        make("span", { class: "asks" }, token.query),
        make("span", { class: "answers" }, token.passage),
        make("span", { class: "num" }, number(token.score, 2)),
      ),
    ),
  );
}
