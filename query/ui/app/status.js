/* status.js - what stands around the hits: how many, the time by stage, errors, and what to do
 * where there is nothing to show. */

const STAGES = [
  "queue",
  "encode",
  "retrieve",
  "score",
  "fuse",
  "rerank",
  "highlight",
  "fetch",
  "facets",
];

function showSummary(answer, hits) {
  const took = (answer.took_ms || {}).total;
  const rerank = answer.rerank;
  $("summary").replaceChildren(
    make("b", {}, plural(hits.length, "hit")),
    answer.total_candidates != null ? " from " + plural(answer.total_candidates, "candidate") : "",
    typeof took === "number" ? " in " + milliseconds(took) : "",
  );
  if (rerank)
    $("summary").append(
      " · " +
        count(rerank.scored) +
        " of " +
        count(rerank.asked) +
        " read again" +
        (rerank.deadline_reached ? ", then time was up" : ""),
    );
}

function showTiming(took) {
  const stages = Object.entries(took).filter(
    ([name, ms]) => name !== "total" && typeof ms === "number" && ms > 0,
  );
  const named = stages.reduce((sum, [, ms]) => sum + ms, 0);
  if (typeof took.total === "number" && took.total - named > 0.03 * took.total)
    stages.push(["other", took.total - named]);
  $("timing").hidden = stages.length === 0;
  const known = (name) => "stage-" + (STAGES.includes(name) ? name : "other");
  $("timing").replaceChildren(
    make(
      "div",
      { class: "bar", "aria-hidden": "true" },
      ...stages.map(([name, ms]) =>
        make("i", {
          class: known(name),
          title: name + " " + milliseconds(ms),
          style: { "flex-grow": String(Math.max(ms, 1e-6)) },
        }),
      ),
    ),
    make(
      "ul",
      { class: "num" },
      ...stages.map(([name, ms]) =>
        make("li", { class: known(name) }, name + " ", make("b", {}, milliseconds(ms))),
      ),
    ),
  );
}

/* Where the hits were re-ordered here and the server has not confirmed it. */
function showPreview(text) {
  $("preview").textContent = text || "";
  $("preview").hidden = !text;
}

let retry = null;

function showError(title, cause, again) {
  $("error-title").textContent = title;
  $("error-text").textContent = cause.message;
  $("retry").textContent =
    cause.status === 401 || cause.status === 403 ? "Enter a key" : "Try again";
  retry = cause.status === 401 || cause.status === 403 ? () => askForKey("", false) : again;
  $("error").hidden = false;
  $("message").hidden = true;
}

function showMessage(...children) {
  $("message").replaceChildren(...children.filter(Boolean));
  $("message").hidden = false;
  $("error").hidden = true;
  clearHits();
  showPreview("");
  for (const id of ["timing", "further"]) $(id).hidden = true;
  $("summary").replaceChildren();
}

const action = (label, click, primary) =>
  make("button", { type: "button", class: primary ? "button primary" : "button", click }, label);

function showWelcome() {
  const info = state.info || {};
  document.title = "Tercet";
  if (info.documents === 0) {
    showMessage(
      make("h2", {}, state.collection + " is empty"),
      make("p", {}, "Drop files anywhere on this page, paste a text, or run"),
      make("pre", {}, "tercet ingest " + state.collection + " documents.jsonl"),
      make(
        "div",
        { class: "actions" },
        action("Add documents", () => addOpen(), true),
      ),
    );
    return;
  }
  const examples = (Array.isArray(info.examples) ? info.examples : []).filter(
    (text) => typeof text === "string",
  );
  showMessage(
    make(
      "h2",
      {},
      "Search " + (info.documents != null ? plural(info.documents, "document") : state.collection),
    ),
    make(
      "p",
      {},
      "Ask in your own words. Meaning, words and detail are weighed, and every hit shows how.",
    ),
    examples.length > 0 &&
      make(
        "div",
        { class: "actions" },
        ...examples.slice(0, 6).map((text) => action(text, () => searchFor(text))),
      ),
  );
}

function showNoCollections() {
  showMessage(
    make("h2", {}, "Nothing to search yet"),
    make("p", {}, "Add a few documents here, or index a folder of them from the command line:"),
    make("pre", {}, "tercet ingest my-index documents.jsonl\ntercet serve --data ."),
    make(
      "div",
      { class: "actions" },
      action("Add documents", () => addOpen(), true),
      action("New collection", () => collectionsOpen()),
    ),
  );
}

function showNothingFound() {
  const off = offeredModes().filter((mode) => !stateModes().includes(mode));
  showMessage(
    make("h2", {}, "Nothing found"),
    make(
      "p",
      {},
      "No document" +
        (state.filter ? " that the filter allows" : "") +
        " answers “" +
        state.query +
        "”.",
    ),
    make(
      "div",
      { class: "actions" },
      state.filter && action("Clear the filter", () => filterSet(null), true),
      off.length > 0 && action("Use all modes", () => modesSet(null)),
    ),
  );
}

/* ---- is the server there? ---- */

let there = null;
function serverIsThere(now) {
  if (there === now) return;
  const back = now && there === false;
  there = now;
  showHealth();
  if (back && !$("error").hidden && retry) retry();
}
function showHealth() {
  const dot = $("health");
  if (!dot) return;
  dot.className = there ? "health" : "health bad";
  dot.textContent = there ? "ready" : "not reachable";
}
async function watchHealth() {
  if (!document.hidden)
    try {
      serverIsThere((await fetch("/health")).ok);
    } catch {
      serverIsThere(false);
    }
  setTimeout(watchHealth, there ? 20000 : 4000);
}
