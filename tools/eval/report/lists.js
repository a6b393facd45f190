/* lists.js - single queries: what was found for them, and what should have been. */

function documentItem(place, rank, ...meta) {
  const found = report.documents[place];
  return make(
    "li",
    null,
    make("span", { class: "rank num" }, rank),
    make(
      "div",
      null,
      make("b", null, found.title || found.key),
      found.text && make("p", null, make("span", { class: "text" }, found.text)),
      make("p", { class: "meta" }, found.title && make("span", null, found.key), ...meta),
    ),
  );
}

function verdict(relevance) {
  if (relevance === undefined) return make("span", null, "not judged");
  if (relevance <= 0) return make("span", null, "judged not relevant");
  return make("span", { class: "yes" }, relevance > 1 ? `relevant, ${relevance}` : "relevant");
}

/* The head of a ranking. */
function topList(title, top) {
  return make(
    "div",
    null,
    make("h3", null, title),
    top.length
      ? make(
          "ol",
          { class: "documents" },
          ...top.map((hit, i) =>
            documentItem(
              hit.doc,
              i + 1,
              verdict(hit.relevance),
              make("span", { class: "num" }, "score " + number(hit.score, 4)),
            ),
          ),
        )
      : make("p", { class: "note" }, "Nothing was found."),
  );
}

/* names: of the rankings that ranks are of. */
function relevantList(query, names) {
  const rest = query.relevant_n - query.relevant.length;
  const places = (ranks) =>
    ranks.map((rank, i) =>
      make("span", { class: "num" }, names[i] + " ", make("b", null, rank ? "#" + rank : "–")),
    );
  return make(
    "div",
    null,
    make("h3", null, "Judged relevant"),
    query.relevant.length
      ? make(
          "ul",
          { class: "documents" },
          ...query.relevant.map((one) =>
            documentItem(
              one.doc,
              "·",
              one.relevance > 1 && make("span", null, `relevance ${one.relevance}`),
              ...places(one.ranks),
            ),
          ),
        )
      : make("p", { class: "note" }, "No document."),
    rest > 0 && make("p", { class: "note" }, `and ${count(rest)} more`),
  );
}

/* A query that opens to what `fill` makes, once it is wanted. */
function caseItem(text, shown, shownClass, fill) {
  const body = make("div", { class: "case" });
  const details = make(
    "details",
    {
      toggle: () => {
        if (details.open && !body.firstChild) fill(body);
      },
    },
    make(
      "summary",
      null,
      make("span", null, text),
      make("span", { class: "num " + (shownClass || "") }, shown),
    ),
    body,
  );
  return make("li", null, details);
}

function chooser(id, label, names, chosen, change) {
  const select = make(
    "select",
    { id, change: () => change(Number(select.value)) },
    ...names.map((name, i) => make("option", { value: String(i), selected: i === chosen }, name)),
  );
  return make("div", { class: "choose" }, make("label", { for: id }, label), select);
}
