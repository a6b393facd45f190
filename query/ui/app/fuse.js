/* fuse.js - query/fuse.c once more, for the hits that are already here: moving a weight shows what
 * it does without asking the server. tests/browser.py compares the two number by number. */

const MODES = ["dense", "sparse", "multi"];
const FUSIONS = {
  zscore: "z-score: how far above the rest",
  weighted: "weighted: sum of the raw scores",
  minmax: "min-max: between worst and best",
  rrf: "RRF: by ranks alone",
  dbsf: "DBSF: within three deviations",
};
const RRF_K = 60,
  DBSF_REACH = 3;

/* fuse_default_weights; passages: the collection's texts are cut into them. */
function defaultWeights(method, modes, passages) {
  const three = [0.3, 0.3, 0.4],
    two = [0.6, 0.4, 0],
    parts = [0.15, 0.65, 0.2];
  const spread = passages ? parts : modes.includes("multi") ? three : two;
  const chosen = method === "weighted" ? [1, 0.3, 1] : method === "rrf" ? [1, 1, 1] : spread;
  const used = MODES.map((mode, i) => (modes.includes(mode) ? chosen[i] : 0));
  const sum = used.reduce((a, b) => a + b, 0);
  const scale = method === "weighted" || method === "rrf" || sum === 0 ? 1 : sum;
  return Object.fromEntries(MODES.map((mode, i) => [mode, used[i] / scale]));
}

function spreadOf(raws) {
  const mean = raws.reduce((sum, raw) => sum + raw, 0) / raws.length;
  const variance = raws.reduce((sum, raw) => sum + (raw - mean) ** 2, 0) / raws.length;
  return { mean, deviation: Math.sqrt(variance), min: Math.min(...raws), max: Math.max(...raws) };
}

function normalize(method, spread, raw, rank) {
  switch (method) {
    case "zscore":
      return spread.deviation > 0 ? (raw - spread.mean) / spread.deviation : 0;
    case "minmax":
      return spread.max > spread.min ? (raw - spread.min) / (spread.max - spread.min) : 0;
    case "dbsf":
      if (!(spread.deviation > 0)) return 0;
      return Math.min(
        Math.max((raw - spread.mean) / (2 * DBSF_REACH * spread.deviation) + 0.5, 0),
        1,
      );
    case "rrf":
      return 1 / (RRF_K + rank);
    default:
      return raw;
  }
}

/* Rows {raw: {dense, ..}, order} with order as the docids ascend; each gets normalized,
 * contribution and rank by mode, and a score. The best first. */
function fuse(plan, rows) {
  const single = plan.modes.length === 1;
  const method = single ? "weighted" : plan.method;
  const parts = plan.modes.map((mode) => {
    const raws = rows.map((row) => row.raw[mode]);
    const ranks = new Map(
      [...rows]
        .sort((a, b) => b.raw[mode] - a.raw[mode] || a.order - b.order)
        .map((row, i) => [row, i + 1]),
    );
    return { mode, spread: spreadOf(raws), ranks };
  });
  for (const row of rows) {
    row.scores = {};
    for (const { mode, spread, ranks } of parts) {
      const raw = row.raw[mode],
        rank = ranks.get(row);
      row.scores[mode] = { raw, rank, normalized: normalize(method, spread, raw, rank) };
    }
  }
  return sum(plan, rows);
}

/* Weights what is normalised, adds it up, and sorts. */
function sum(plan, rows) {
  const single = plan.modes.length === 1;
  for (const row of rows) {
    row.score = 0;
    for (const mode of plan.modes) {
      const part = row.scores[mode];
      part.contribution = (single ? 1 : plan.weights[mode]) * part.normalized;
      row.score += part.contribution;
    }
  }
  return rows.sort((a, b) => b.score - a.score || a.order - b.order);
}

/* What a hit's score would be by another method, from what the server said about the hit: it knows
 * all candidates, we know only those that it returned. null: not to be known from here. */
function carriedOver(from, to, given) {
  if (to === "weighted") return given.raw;
  if (to === "rrf") return 1 / (RRF_K + given.rank);
  if (to === from) return given.normalized;
  if (from === "zscore" && to === "dbsf")
    return Math.min(Math.max(given.normalized / (2 * DBSF_REACH) + 0.5, 0), 1);
  return null;
}

/* The hits of an answer under another plan {method, modes, weights}: rows {hit, scores, score}, or
 * null where a mode is wanted that they were not scored in. Where all that a method needs is known
 * of every candidate, the scores are the server's; else its statistics are those of these hits. */
function refuse(answer, hits, plan) {
  if (
    !hits.length ||
    !plan.modes.length ||
    !plan.modes.every((mode) => answer.modes.includes(mode))
  )
    return null;
  const given = (hit, mode) => hit.scores && hit.scores[mode];
  if (!hits.every((hit) => plan.modes.every((mode) => given(hit, mode)))) return null;
  const rows = hits.map((hit, order) => ({
    hit,
    order,
    raw: Object.fromEntries(plan.modes.map((mode) => [mode, given(hit, mode).raw])),
  }));
  const single = plan.modes.length === 1;
  const from = answer.modes.length === 1 ? "weighted" : answer.fusion,
    to = single ? "weighted" : plan.method;
  if (carriedOver(from, to, { raw: 0, rank: 1, normalized: 0 }) === null) return fuse(plan, rows);
  for (const row of rows)
    row.scores = Object.fromEntries(
      plan.modes.map((mode) => {
        const { raw, rank } = given(row.hit, mode);
        return [mode, { raw, rank, normalized: carriedOver(from, to, given(row.hit, mode)) }];
      }),
    );
  return sum(plan, rows);
}
