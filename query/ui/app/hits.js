/* hits.js - the list of hits. A card stays the same element while its document is among the hits,
 * so that it keeps its focus, stays open, and is seen to move when the order changes. */

const shown = { cards: new Map(), order: [] }; /* id -> card */

/* rows: [{hit, scores, score, moved}], best first; plan: {modes, weights, method}. */
function showRows(rows, plan) {
  const before = new Map(
    [...shown.cards].map(([id, card]) => [id, card.element.getBoundingClientRect().top]),
  );
  let largest = 0;
  for (const row of rows)
    for (const mode of plan.modes)
      largest = Math.max(largest, Math.abs((row.scores[mode] || {}).contribution || 0));
  const cards = new Map();
  rows.forEach((row, i) => {
    const id = String(row.hit.id),
      card = shown.cards.get(id) || cardMake(id);
    cardShow(card, row, i + 1, plan, largest);
    cards.set(id, card);
  });
  const elements = [...cards.values()].map((card) => card.element);
  const focused = document.activeElement;
  if (
    elements.some((element, i) => $("hits").children[i] !== element) ||
    $("hits").childElementCount !== elements.length
  ) {
    $("hits").replaceChildren(...elements);
    if (focused !== document.activeElement && $("hits").contains(focused))
      focused.focus({ preventScroll: true });
  }
  shown.cards = cards;
  shown.order = [...cards.keys()];
  moveCards(before);
}

/* First, last, invert, play: each card begins where it was. */
function moveCards(before) {
  if (calm()) return;
  for (const [id, card] of shown.cards) {
    const was = before.get(id);
    if (was === undefined) continue;
    const by = was - card.element.getBoundingClientRect().top;
    if (Math.abs(by) > 1 && Math.abs(by) < 4 * innerHeight)
      card.element.animate([{ transform: "translateY(" + by + "px)" }, { transform: "none" }], {
        duration: 240,
        easing: "cubic-bezier(.2,.7,.2,1)",
      });
  }
}

function cardMake(id) {
  const card = { id, open: state.open === id, whole: state.open === id, hit: null };
  card.rank = make("span", { class: "rank num" });
  card.said = make("div", { class: "said" });
  card.scores = make("div", { class: "scores" });
  card.why = make("div", { class: "why" });
  card.element = make(
    "li",
    { class: "hit", tabindex: "-1" },
    card.rank,
    card.said,
    card.scores,
    card.why,
  );
  card.element.card = card;
  return card;
}

function cardShow(card, row, rank, plan, largest) {
  const before = card.hit,
    hit = row.hit;
  Object.assign(card, { row, plan, hit });
  card.element.setAttribute("aria-label", "Hit " + rank + ": " + (hit.title || hit.id));
  card.rank.replaceChildren(
    String(rank),
    row.moved
      ? make(
          "small",
          { class: row.moved > 0 ? "up" : "down", title: "from place " + (rank + row.moved) },
          (row.moved > 0 ? "▲" : "▼") + Math.abs(row.moved),
        )
      : "",
  );
  card.scores.replaceChildren(
    make("div", { class: "total num", title: "Fused score" }, number(row.score)),
    scoreLines(row, plan, largest),
  );
  if (!before || !sameText(before, hit)) cardText(card);
  cardWhy(card);
}

const sameText = (a, b) =>
  a === b ||
  ["title", "text", "fields", "highlights", "passage"].every(
    (name) => JSON.stringify(a[name]) === JSON.stringify(b[name]),
  );

function cardText(card) {
  const { hit } = card,
    title = hit.title || "",
    text = hit.text || "";
  const marks = marksOf(hit, "text", text),
    all = { begin: 0, end: text.length };
  let passage = null;
  if (hit.passage) {
    const unit = unitsOfBytes(text, [hit.passage.begin, hit.passage.end]);
    passage = { begin: unit(hit.passage.begin), end: unit(hit.passage.end) };
  }
  const part = snippetOf(text, marks, passage),
    short = part.end - part.begin < text.length;
  card.paragraph = make("p", { dir: "auto" });
  card.fill = () =>
    card.paragraph.replaceChildren(...markedText(text, card.whole ? all : part, marks));
  card.fill();
  const wide = { begin: 0, end: title.length };
  card.reason = make(
    "button",
    { type: "button", class: "quiet reason", click: () => cardOpen(card, !card.open, card.whole) },
    "Why it is here",
  );
  card.more = short
    ? make("button", {
        type: "button",
        class: "quiet more",
        click: () => cardOpen(card, card.open, !card.whole),
      })
    : null;
  card.said.replaceChildren(
    title
      ? make("h2", { dir: "auto" }, ...markedText(title, wide, marksOf(hit, "title", title)))
      : "",
    text ? card.paragraph : "",
    make(
      "div",
      { class: "meta" },
      card.more,
      card.reason,
      state.offers.like &&
        make(
          "button",
          { type: "button", class: "quiet", click: () => searchLike(hit.id) },
          "More like this",
        ),
      hit.passage &&
        make(
          "span",
          { class: "chip plain", title: "The part of the text that was found" },
          "passage " + (hit.passage.index + 1) + " of " + hit.passage.of,
        ),
      ...fieldChips(hit.fields),
      make("code", { title: "The document's id" }, String(hit.id)),
    ),
  );
}

/* What a field holds, each value a click away from being a filter. */
function fieldChips(fields) {
  const simple = Object.entries(fields || {})
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, one]))
    .filter(
      ([, value]) => value !== null && typeof value !== "object" && String(value).length <= 60,
    );
  return simple.slice(0, 6).map(([name, value]) =>
    make(
      "button",
      {
        type: "button",
        class: "chip",
        title: "Only where " + name + " is " + value,
        click: () => filterToggle({ [name]: value }),
      },
      make("span", {}, name),
      " " + value,
    ),
  );
}

/* What a mode measured (the number) and how much it moved the fused score (the bar, on one scale
 * for all hits; hatched when it pulled down). */
function scoreLines(row, plan, largest) {
  const lines = plan.modes.map((mode) => {
    const part = row.scores[mode];
    if (!part) return null;
    const adds = part.contribution || 0;
    return make(
      "div",
      {
        class: mode,
        title:
          capital(mode) +
          ": scored " +
          number(part.raw) +
          (part.rank ? ", rank " + part.rank : "") +
          ", adds " +
          number(adds),
      },
      make("dt", {}, capital(mode)),
      make(
        "dd",
        { class: "track" },
        make("i", {
          class: adds < 0 ? "minus" : null,
          style: { width: (largest > 0 ? (100 * Math.abs(adds)) / largest : 0).toFixed(1) + "%" },
        }),
        make("span", { class: "hidden" }, "adds " + number(adds) + ", scored "),
      ),
      make("dd", { class: "num" }, number(part.raw)),
    );
  });
  const read = hit_rerank(row.hit);
  if (read)
    lines.push(
      make(
        "div",
        { class: "rerank", title: "The reranker's own score" },
        make("dt", {}, "Rerank"),
        make(
          "dd",
          { class: "track" },
          make("i", {
            style: {
              width: (100 * Math.max(0, Math.min(1, read.normalized ?? 0))).toFixed(1) + "%",
            },
          }),
          make("span", { class: "hidden" }, "scored "),
        ),
        make("dd", { class: "num" }, number(read.raw)),
      ),
    );
  return make("dl", {}, ...lines);
}

function cardWhy(card) {
  card.element.classList.toggle("open", card.open);
  card.reason.setAttribute("aria-expanded", String(card.open));
  card.reason.textContent = card.open ? "Hide the reasons" : "Why it is here";
  if (card.more) {
    card.more.setAttribute("aria-expanded", String(card.whole));
    card.more.textContent = card.whole ? "Less" : "Whole text";
  }
  card.why.replaceChildren(card.open ? explainPanel(card.row, card.plan) : "");
}

/* `open`: with the reasons; `whole`: with all of its text. */
function cardOpen(card, open, whole) {
  Object.assign(card, { open, whole });
  card.fill();
  cardWhy(card);
  state.open = open ? card.id : state.open === card.id ? null : state.open;
  rememberInAddress(false);
}

function clearHits() {
  $("hits").replaceChildren();
  shown.cards = new Map();
  shown.order = [];
}
