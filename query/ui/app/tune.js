/* tune.js - the knobs: modes and their weights, fusion, how many hits, the reranker. A weight shows
 * its effect on the hits that are here while it moves; the server is asked when it rests. */

const FUSION_NAMES = {
  zscore: "z-score",
  weighted: "weighted sum",
  minmax: "min-max",
  rrf: "RRF, by ranks",
  dbsf: "DBSF",
};

const hasPassages = () => Boolean(state.info && state.info.chunk_tokens);

/* What the knobs stand for now. What was left to the server is what it last chose. */
function currentPlan() {
  const modes = stateModes(),
    answer = search.answer;
  const method = state.fusion || (answer && answer.fusion) || "zscore";
  const same =
    answer &&
    answer.weights &&
    answer.fusion === method &&
    answer.modes.join() === modes.join() &&
    !search.answerWeights;
  return {
    modes,
    method,
    weights:
      state.weights || (same ? answer.weights : defaultWeights(method, modes, hasPassages())),
  };
}

function tuneStart() {
  $("fusion").replaceChildren(
    ...Object.keys(FUSIONS).map((name) =>
      make("option", { value: name, title: FUSIONS[name] }, FUSION_NAMES[name]),
    ),
  );
  $("modes").replaceChildren(
    ...MODES.map((mode) => {
      const box = make("input", {
        type: "checkbox",
        name: "mode",
        value: mode,
        change: () => modeSwitched(mode),
      });
      const range = make("input", {
        type: "range",
        min: "0",
        max: "1",
        step: "0.01",
        name: mode,
        "aria-label": "Weight of " + mode,
        input: () => weightMoved(mode, Number(range.value)),
      });
      return make(
        "div",
        { class: "mode " + mode },
        make("label", {}, box, make("span", {}, capital(mode))),
        make("output", { class: "num" }),
        range,
      );
    }),
  );
  $("weights-reset").addEventListener("click", () => {
    state.weights = null;
    retuned(0);
  });
  $("fusion").addEventListener("change", () => {
    state.fusion = $("fusion").value;
    state.weights = null; /* each method has a scale of its own */
    retuned(0);
  });
  $("k").addEventListener("change", () => {
    state.k = Number($("k").value);
    changed(0);
  });
  $("candidates").addEventListener("change", () => {
    state.candidates = Number($("candidates").value) || null;
    changed(0);
  });
  $("rerank").addEventListener("change", () => {
    state.rerank = $("rerank").checked ? Number($("rerank-top").value) : 0;
    tuneShow();
    changed(0);
  });
  $("rerank-top").addEventListener("change", () => {
    state.rerank = Number($("rerank-top").value);
    changed(0);
  });
}

function modeSwitched(mode) {
  const now = stateModes(),
    next = now.includes(mode)
      ? now.filter((one) => one !== mode)
      : MODES.filter((one) => one === mode || now.includes(one));
  if (next.length === 0) {
    tuneShow();
    return;
  } /* at least one */
  modesSet(next.length === offeredModes().length ? null : next);
}

function modesSet(modes) {
  state.modes = modes;
  retuned(0);
}

function weightMoved(mode, value) {
  state.weights = { ...currentPlan().weights, [mode]: value };
  retuned(CONFIRM_MS);
}

/* Shows what it does to these hits, then asks. */
function retuned(delay) {
  tuneShow();
  preview();
  changed(delay);
}

function selectValue(select, value) {
  if (![...select.options].some((option) => option.value === String(value)))
    select.append(make("option", { value: String(value) }, count(value)));
  select.value = String(value);
}

function tuneShow() {
  const plan = currentPlan(),
    offered = offeredModes(),
    single = plan.modes.length === 1;
  for (const row of $("modes").children) {
    const box = row.querySelector("[type=checkbox]"),
      range = row.querySelector("[type=range]"),
      mode = box.value;
    const used = plan.modes.includes(mode),
      weight = used ? Math.min(plan.weights[mode] || 0, 1) : 0;
    box.checked = used;
    box.disabled = !offered.includes(mode);
    range.disabled = !used || single;
    range.value = String(single && used ? 1 : weight);
    range.style.setProperty("--at", (single && used ? 100 : 100 * weight) + "%");
    row.classList.toggle("off", !used);
    row.querySelector("output").textContent = !offered.includes(mode)
      ? "not here"
      : !used
        ? "off"
        : single
          ? "alone"
          : number(plan.weights[mode], 2);
  }
  $("weights-reset").hidden = !state.weights;
  $("fusion").value = plan.method;
  $("fusion").disabled = single;
  $("fusion").title = single ? "With one mode its own score decides." : FUSIONS[plan.method];
  selectValue($("k"), state.k);
  if (state.candidates) selectValue($("candidates"), state.candidates);
  else $("candidates").value = "";
  $("rerank-box").hidden = !(state.offers.rerank && state.offers.reranker);
  $("rerank-note").textContent = state.offers.reranker ? "by " + state.offers.reranker : "";
  $("rerank").checked = state.rerank > 0;
  $("rerank-top-box").hidden = !state.rerank;
  if (state.rerank) selectValue($("rerank-top"), state.rerank);
}
