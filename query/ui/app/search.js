/* search.js - asking: type, pause, search. An answer that is no longer waited for is dropped, the
 * request that would have brought it given up. */

const DEBOUNCE_MS = 120,
  CONFIRM_MS = 350,
  RERANK_MS = 3000,
  SLOW_MS = 900;

const search = {
  controller: null /* of the request under way */,
  answer: null /* the last answer, and all its hits (more may have been asked for) */,
  hits: [],
  answerWeights: false /* its weights were ours */,
  asked: "" /* the last request, so that the same is not asked twice */,
  shown: 0 /* how many hits are asked for: k, or more */,
  slow: 0,
};

function requestBody(more) {
  const body = { k: search.shown, explain: true, ...more };
  if (state.like) body.like = state.like;
  else body.query = state.query;
  if (state.modes) body.modes = state.modes;
  if (state.fusion) body.fusion = state.fusion;
  if (state.weights)
    body.weights = Object.fromEntries(stateModes().map((mode) => [mode, state.weights[mode] || 0]));
  if (state.candidates) body.candidates = Math.max(state.candidates, 1);
  if (state.filter) body.filter = state.filter;
  if (state.offers.highlight && !state.like) body.highlight = true;
  if (state.rerank && state.offers.rerank && state.offers.reranker && !state.like)
    body.rerank = { top: state.rerank, deadline_ms: RERANK_MS };
  return body;
}

let searchTimer = 0;

/* Something that matters was changed; asks after `delay` ms, unless it is what was asked last. */
function changed(delay, step = false) {
  state.query = $("query").value.trim();
  search.shown = state.k;
  $("clear").hidden = $("query").value === "";
  document.querySelector(".slash").hidden = $("query").value !== "";
  rememberInAddress(step);
  const asks = JSON.stringify([state.collection, requestBody()]);
  if (asks === search.asked && delay > 0 && search.answer) {
    showPreview("");
    return;
  }
  clearTimeout(searchTimer);
  searchTimer = setTimeout(searchNow, delay);
}

function searchFor(text) {
  $("query").value = text;
  state.like = null;
  changed(0, true);
  $("query").focus();
}

function searchLike(id) {
  state.like = id;
  changed(0, true);
  scrollTo({ top: 0 });
}

function setBusy(busy) {
  $("form").setAttribute("aria-busy", String(busy));
  $("hits").classList.toggle("stale", busy && $("hits").childElementCount > 0);
  clearInterval(search.slow);
  if (!busy) return;
  const began = performance.now();
  search.slow = setInterval(() => {
    const passed = performance.now() - began;
    if (passed < SLOW_MS) return;
    $("summary").replaceChildren(
      "Still searching, " + (passed / 1000).toFixed(0) + " s ",
      make("button", { type: "button", class: "link", click: searchStop }, "Stop"),
    );
  }, 300);
}

function searchStop() {
  if (search.controller) search.controller.abort();
  search.controller = null;
  setBusy(false);
  $("summary").replaceChildren("Stopped.");
}

async function searchNow() {
  if (search.controller) search.controller.abort();
  search.controller = null;
  if (!state.collection) return;
  if (!state.query && !state.like) {
    setBusy(false);
    Object.assign(search, { answer: null, hits: [], asked: "" });
    answersForget();
    showWelcome();
    return;
  }
  const running = (search.controller = new AbortController()),
    body = requestBody();
  search.asked = JSON.stringify([state.collection, body]);
  answersForget();
  setBusy(true);
  try {
    const answer = await post(collectionPath() + "/search", body, running.signal);
    if (search.controller !== running) return;
    Object.assign(search, {
      answer,
      hits: answer.hits || [],
      answerWeights: Boolean(state.weights),
    });
    showAnswer();
    if (search.hits.length) answersOffer();
  } catch (cause) {
    if (cause.name === "AbortError" || search.controller !== running) return;
    search.asked = "";
    searchFailed(cause);
  } finally {
    if (search.controller === running) {
      search.controller = null;
      setBusy(false);
    }
  }
}

function searchFailed(cause) {
  showPreview("");
  if (cause.field && cause.field.startsWith("filter")) {
    /* the hits stay: the filter is being written */
    filterError(cause.message);
    $("summary").replaceChildren("The filter cannot be used as it stands.");
    return;
  }
  clearHits();
  for (const id of ["timing", "further"]) $(id).hidden = true;
  $("summary").replaceChildren();
  search.answer = null;
  showError("The search failed", cause, () => changed(0));
}

/* The server's word: its order, its scores. */
function showAnswer() {
  const { answer, hits } = search;
  document.title = (state.like ? "Like " + state.like : state.query) + " – Tercet";
  showPreview("");
  filterError("");
  tuneShow();
  if (hits.length === 0) {
    showNothingFound();
    return;
  }
  $("error").hidden = true;
  $("message").hidden = true;
  const plan = {
    modes: answer.modes,
    method: answer.fusion,
    weights: answer.weights || defaultWeights(answer.fusion, answer.modes, hasPassages()),
  };
  showRows(
    hits.map((hit) => ({ hit, scores: hit.scores || {}, score: hit.score })),
    plan,
  );
  $("further").hidden = hits.length < search.shown || search.shown >= K_MAX;
  showSummary(answer, hits);
  if (state.like)
    $("summary").prepend(
      "Like “" + state.like + "”: ",
      make(
        "button",
        {
          type: "button",
          class: "link",
          click: () => {
            state.like = null;
            changed(0);
          },
        },
        "Back",
      ),
      " ",
    );
  showTiming(answer.took_ms || {});
}

/* The same hits under the knobs as they stand, until the server has said more. What the reranker
 * read keeps its place: the weights do not decide there. */
function preview() {
  if (!search.answer || !search.hits.length) return;
  const plan = currentPlan(),
    read = search.hits.filter(hit_rerank),
    rest = search.hits.filter((hit) => !hit_rerank(hit));
  const again = refuse(search.answer, read.length ? rest : search.hits, plan);
  if (!again) return; /* a mode that they were not scored in: the server's turn */
  const rows = [...read.map((hit) => ({ hit, scores: hit.scores, score: hit.score })), ...again];
  rows.forEach((row, i) => {
    row.moved = search.hits.indexOf(row.hit) - i;
  });
  showRows(rows, plan);
  showPreview(
    "Re-ordered among these " + plural(rows.length, "hit") + " only. Asking the server …",
  );
}

/* More of the same: only the new ones where the server can skip, else all of them again. */
async function searchMore() {
  const step = Math.min(state.k, K_MAX - search.hits.length),
    had = search.hits;
  if (!search.answer || step <= 0) return;
  if (!state.offers.offset) {
    search.shown = had.length + step;
    searchNow();
    return;
  }
  const running = (search.controller = new AbortController()),
    answered = search.answer;
  setBusy(true);
  try {
    const answer = await post(
      collectionPath() + "/search",
      requestBody({ k: step, offset: had.length }),
      running.signal,
    );
    if (search.controller !== running || search.answer !== answered) return;
    search.hits = [...had, ...(answer.hits || [])];
    search.shown = had.length + step;
    showAnswer();
  } catch (cause) {
    if (cause.name !== "AbortError") showError("No more could be fetched", cause, searchMore);
  } finally {
    if (search.controller === running) {
      search.controller = null;
      setBusy(false);
    }
  }
}

function searchStart() {
  $("query").addEventListener("input", () => {
    state.like = null;
    changed(DEBOUNCE_MS);
  });
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    state.like = null;
    changed(0, true);
  });
  $("clear").addEventListener("click", () => {
    $("query").value = "";
    state.like = null;
    changed(0);
    $("query").focus();
  });
  $("retry").addEventListener("click", () => {
    $("error").hidden = true;
    if (retry) retry();
  });
  $("further").firstElementChild.addEventListener("click", searchMore);
}
