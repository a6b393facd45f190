/* facets.js - which values the fields have, with counts, each a click away from being a filter. The
 * counts are over what the filter allows, not over the hits, so they are asked for when collection
 * or filter change, and cost the search nothing. Which fields there are is seen from some hits. */

const FACETS_SHOWN = 5,
  FACET_VALUES = 8,
  SAMPLE = 30,
  FACET_CHARS_MAX = 40;

const facets = { fields: [], kinds: new Map(), values: {}, more: new Set(), controller: null };

/* Fields and the kinds of their values, from a few hits: {lang: "string", year: "number"}. */
function fieldsOf(hits) {
  const seen = new Map();
  const walk = (object, prefix) => {
    for (const [name, value] of Object.entries(object || {}))
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && typeof one === "object") {
          walk(one, prefix + name + ".");
          continue;
        }
        if (one === null) continue;
        const field = seen.get(prefix + name) || {
          kind: typeof one,
          values: new Map(),
          n: 0,
          long: false,
        };
        field.values.set(one, (field.values.get(one) || 0) + 1);
        field.long ||= String(one).length > FACET_CHARS_MAX;
        field.n++;
        seen.set(prefix + name, field);
      }
  };
  for (const hit of hits) walk(hit.fields, "");
  return seen;
}

/* Those worth counting: short values that come again. */
function worthCounting(seen) {
  return [...seen]
    .filter(([, field]) => !field.long && (field.values.size < field.n || field.n < 4))
    .sort(([, a], [, b]) => a.values.size / a.n - b.values.size / b.n)
    .slice(0, FACETS_SHOWN)
    .map(([name]) => name);
}

const anyHits = (more, signal) =>
  post(
    collectionPath() + "/search",
    { query: "the", modes: [offeredModes()[0]], candidates: SAMPLE, ...more },
    signal,
  );

async function facetsDiscover() {
  Object.assign(facets, { fields: [], kinds: new Map(), values: {}, more: new Set() });
  facetsShow();
  if (!state.info || !state.info.documents) return;
  const name = state.collection;
  try {
    const sample = await anyHits({ k: SAMPLE, ...(state.offers.text ? { text: false } : {}) });
    if (state.collection !== name) return;
    const seen = fieldsOf(sample.hits || []);
    for (const [field, { kind }] of seen) facets.kinds.set(field, kind);
    facets.fields = worthCounting(seen);
    facetsSuggest();
    await facetsRefresh();
  } catch {
    /* a search says what is wrong; without facets it goes on */
  }
}

async function facetsRefresh() {
  if (facets.controller) facets.controller.abort();
  if (!facets.fields.length) {
    facetsShow();
    return;
  }
  const running = (facets.controller = new AbortController());
  try {
    const answer = await anyHits(
      {
        k: 1,
        facets: facets.fields,
        facet_limit: facets.more.size ? 50 : FACET_VALUES,
        ...(state.filter ? { filter: state.filter } : {}),
      },
      running.signal,
    );
    if (facets.controller === running) facets.values = answer.facets || {};
  } catch (cause) {
    if (cause.name === "AbortError") return;
    if (cause.field === "facets") facets.values = {};
  }
  facetsShow();
}

function facetsShow() {
  const groups = facets.fields
    .filter((name) => facets.values[name] && facets.values[name].values.length > 0)
    .map(facetGroup);
  $("facets").replaceChildren(...groups);
}

function facetGroup(name) {
  const { values, distinct } = facets.values[name],
    all = facets.more.has(name),
    largest = Math.max(...values.map((value) => value.count));
  const title = "facet-" + name.replace(/[^A-Za-z0-9]/g, "_");
  return make(
    "section",
    { class: "group facet", "aria-labelledby": title },
    make("h2", { id: title }, name),
    make(
      "ul",
      {},
      ...values.slice(0, all ? 50 : FACET_VALUES).map(({ value, count: n }) => {
        const part = { [name]: value };
        return make(
          "li",
          {},
          make(
            "button",
            {
              type: "button",
              "aria-pressed": String(filterHolds(part)),
              style: { "--part": ((100 * n) / largest).toFixed(1) + "%" },
              click: () => filterToggle(part),
            },
            make("span", { class: "value" }, words(value)),
            make("span", { class: "num" }, count(n)),
          ),
        );
      }),
    ),
    distinct > FACET_VALUES &&
      make(
        "button",
        {
          type: "button",
          class: "link",
          click: () => {
            all ? facets.more.delete(name) : facets.more.add(name);
            facetsRefresh();
          },
        },
        all ? "Fewer" : count(distinct - FACET_VALUES) + " more",
      ),
  );
}

/* What the filter's fields suggest while typing. */
function facetsSuggest() {
  const known = facets.values[$("builder-field").value.trim()];
  $("known-fields").replaceChildren(
    ...[...facets.kinds.keys()].map((name) => make("option", { value: name })),
  );
  $("known-values").replaceChildren(
    ...(known ? known.values : []).map(({ value }) => make("option", { value: words(value) })),
  );
}
