/* filter.js - what the hits' fields must be: conditions added one by one, or the filter as JSON
 * (docs/filters.md). state.filter is the one truth; the list and the text are drawn from it. */

const OPERATORS = [
  ["$eq", "is"],
  ["$ne", "is not"],
  ["$in", "is one of"],
  ["$gte", "at least"],
  ["$lte", "at most"],
  ["$gt", "more than"],
  ["$lt", "less than"],
  ["exists", "is there"],
  ["missing", "is missing"],
];

/* A filter as a list of conditions that must all hold, and back. */
function filterParts(filter) {
  if (!filter) return [];
  const members = Object.entries(filter);
  if (members.length === 1 && members[0][0] === "$and" && Array.isArray(members[0][1]))
    return members[0][1].flatMap(filterParts);
  return members.map(([name, value]) => ({ [name]: value }));
}
function filterOfParts(parts) {
  const names = parts.flatMap((part) => Object.keys(part));
  if (parts.length === 0) return null;
  return new Set(names).size === names.length ? Object.assign({}, ...parts) : { $and: parts };
}

const samePart = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const filterHolds = (part) => filterParts(state.filter).some((one) => samePart(one, part));

function filterSet(filter) {
  state.filter = filter && Object.keys(filter).length ? filter : null;
  filterShow();
  facetsRefresh();
  changed(0);
}

function filterToggle(part) {
  const parts = filterParts(state.filter),
    without = parts.filter((one) => !samePart(one, part));
  filterSet(filterOfParts(without.length < parts.length ? without : [...parts, part]));
}

/* ---- showing it ---- */

const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/* {"year":{"$gte":2020}} -> ["year", "at least 2020"]; what is no simple condition stays JSON. */
function describePart(part) {
  const [[name, value]] = Object.entries(part);
  const plain = ["", JSON.stringify(part)];
  if (name.startsWith("$")) return plain;
  if (value === null) return [name, "is missing"];
  if (typeof value !== "object") return [name, "is " + words(value)];
  if (Array.isArray(value)) return plain;
  const told = Object.entries(value).map(([op, x]) => {
    if (op === "$exists") return x ? "is there" : "is missing";
    const known = OPERATORS.find(([operator]) => operator === op);
    return (
      known &&
      (Array.isArray(x)
        ? known[1] + " " + x.map(words).join(", ")
        : x === null || typeof x !== "object"
          ? known[1] + " " + words(x)
          : null)
    );
  });
  return told.every(Boolean) ? [name, told.join(" and ")] : plain;
}

function filterShow() {
  const parts = filterParts(state.filter);
  $("conditions").replaceChildren(
    ...parts.map((part) => {
      const [name, told] = describePart(part);
      return make(
        "li",
        {},
        make(
          "span",
          { class: name ? null : "code" },
          name && make("b", {}, name),
          name ? " " + told : told,
        ),
        make(
          "button",
          {
            type: "button",
            class: "round small",
            "aria-label": "Remove: " + name + " " + told,
            click: () => filterToggle(part),
          },
          icon("close"),
        ),
      );
    }),
  );
  $("conditions").hidden = parts.length === 0;
  if (document.activeElement !== $("filter-json"))
    $("filter-json").value = state.filter ? JSON.stringify(state.filter, null, 1) : "";
  filterError("");
}

function filterError(text) {
  $("filter-error").textContent = text;
  $("filter-error").hidden = !text;
}

/* ---- changing it ---- */

/* Kinds never mix in a filter: "12" is not 12. A value is of the kind that the field was seen with,
 * else what it looks like; quotes make it a string. */
function valueOf(text, field) {
  const kind = facets.kinds.get(field);
  if (kind === "string" && !/^".*"$/.test(text)) return text;
  try {
    const value = JSON.parse(text);
    if (value === null || typeof value !== "object") return value;
  } catch {
    /* a string */
  }
  return text;
}

function partOfBuilder() {
  const field = $("builder-field").value.trim(),
    op = $("builder-op").value,
    text = $("builder-value").value.trim();
  if (!field) return "Which field?";
  if (op === "exists" || op === "missing") return { [field]: { $exists: op === "exists" } };
  if (!text) return "Which value?";
  if (op === "$in")
    return { [field]: { $in: text.split(",").map((one) => valueOf(one.trim(), field)) } };
  const value = valueOf(text, field);
  return { [field]: op === "$eq" ? value : { [op]: value } };
}

const readRawFilter = after(300, () => {
  const text = $("filter-json").value.trim();
  let filter = null;
  try {
    filter = text ? JSON.parse(text) : null;
  } catch (cause) {
    filterError("Not JSON yet: " + cause.message);
    return;
  }
  if (text && (filter === null || typeof filter !== "object" || Array.isArray(filter)))
    filterError('A filter is an object: {"field": value}');
  else filterSet(filter);
});

function filterStart() {
  $("builder-op").replaceChildren(
    ...OPERATORS.map(([op, told]) => make("option", { value: op }, told)),
  );
  $("builder-op").addEventListener("change", () => {
    $("builder-value").disabled = ["exists", "missing"].includes($("builder-op").value);
    $("builder-value").placeholder = $("builder-op").value === "$in" ? "one, two" : "value";
  });
  $("builder-field").addEventListener("input", facetsSuggest);
  $("builder").addEventListener("submit", (event) => {
    event.preventDefault();
    const part = partOfBuilder();
    if (typeof part === "string") {
      filterError(part);
      return;
    }
    $("builder-field").value = $("builder-value").value = "";
    filterSet(
      filterOfParts([...filterParts(state.filter).filter((one) => !samePart(one, part)), part]),
    );
  });
  $("filter-mode").addEventListener("click", () => {
    const raw = $("filter-raw").hidden;
    $("filter-raw").hidden = !raw;
    $("builder").hidden = raw;
    $("filter-mode").setAttribute("aria-pressed", String(raw));
    if (raw) $("filter-json").focus();
  });
  $("filter-json").addEventListener("input", readRawFilter);
}
