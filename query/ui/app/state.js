/* state.js - what is searched for and how, and the same in the address: a copied address shows
 * what its sender saw. */

const K_CHOICES = [10, 20, 50, 100],
  K_MAX = 1000;

/* What is null is left to the server. */
const state = {
  collection: "",
  query: "",
  like: null /* the id of a document: more like it, instead of a query */,
  modes: null /* ["dense", ..] */,
  weights: null /* {dense, sparse, multi} */,
  fusion: null,
  k: 10,
  candidates: null,
  filter: null /* as the server takes it */,
  rerank: 0 /* how many are read again by the reranker; 0: none */,
  open: null /* the id of an opened hit */,

  info: null /* the collection as the server describes it */,
  offers: {} /* what this server can do: api.js, lookAtServer */,
};

const stateModes = () => state.modes || offeredModes();
const offeredModes = () => (state.info && state.info.modes) || MODES;

function stateToHash() {
  const part = new URLSearchParams();
  const put = (name, value) => value && part.set(name, value);
  put("c", state.collection);
  put("q", state.query);
  put("like", state.like);
  put("modes", state.modes && state.modes.join(","));
  put(
    "weights",
    state.weights && MODES.map((mode) => +(state.weights[mode] || 0).toFixed(3)).join(","),
  );
  put("fusion", state.fusion);
  put("k", state.k !== K_CHOICES[0] && String(state.k));
  put("candidates", state.candidates && String(state.candidates));
  put("filter", state.filter && JSON.stringify(state.filter));
  put("rerank", state.rerank && String(state.rerank));
  put("open", state.open);
  return "#" + part;
}

/* What cannot be read is passed over: an address may be typed by hand. */
function stateFromHash(hash) {
  const part = new URLSearchParams(hash.replace(/^#/, ""));
  const whole = (name, low, high) => {
    const n = Number(part.get(name));
    return Number.isInteger(n) && n >= low && n <= high ? n : null;
  };
  const modes = MODES.filter((mode) => (part.get("modes") || "").split(",").includes(mode));
  const weights = (part.get("weights") || "").split(",").map(Number);
  state.collection = part.get("c") || "";
  state.query = part.get("q") || "";
  state.like = part.get("like");
  state.modes = modes.length ? modes : null;
  state.weights = null;
  if (
    weights.length === MODES.length &&
    weights.every((w) => w >= 0 && w <= 1) &&
    weights.some((w) => w > 0)
  )
    state.weights = Object.fromEntries(MODES.map((mode, i) => [mode, weights[i]]));
  state.fusion = part.get("fusion") in FUSIONS ? part.get("fusion") : null;
  state.k = whole("k", 1, K_MAX) || K_CHOICES[0];
  state.candidates = whole("candidates", 1, 10000);
  state.rerank = whole("rerank", 1, K_MAX) || 0;
  state.open = part.get("open");
  state.filter = null;
  try {
    const filter = JSON.parse(part.get("filter"));
    if (filter && typeof filter === "object" && !Array.isArray(filter)) state.filter = filter;
  } catch {
    /* not a filter */
  }
}

/* `step`: the way back in the browser's history stops here. */
function rememberInAddress(step) {
  const hash = stateToHash();
  if (hash !== location.hash) history[step ? "pushState" : "replaceState"](null, "", hash);
}
