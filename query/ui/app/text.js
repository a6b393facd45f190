/* text.js - which part of a text is shown, and what is marked in it. The server counts bytes of
 * UTF-8; strings here count UTF-16 units. */

const SNIPPET_CHARS = 300;

/* Byte offsets -> offsets in the string. Ascending order makes it one walk. */
function unitsOfBytes(text, offsets) {
  const found = new Map(),
    sorted = [...offsets].sort((a, b) => a - b);
  let at = 0,
    unit = 0;
  for (const wanted of sorted) {
    while (at < wanted && unit < text.length) {
      const point = text.codePointAt(unit);
      at += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      unit += point < 0x10000 ? 1 : 2;
    }
    found.set(wanted, unit);
  }
  return (offset) => found.get(offset);
}

/* The hit's highlights of one field as [{begin, end, score, source}] in units of the string. */
function marksOf(hit, field, text) {
  const given = (hit.highlights || []).filter(
    (mark) => mark.field === field && mark.end > mark.begin,
  );
  const unit = unitsOfBytes(
    text,
    given.flatMap(({ begin, end }) => [begin, end]),
  );
  return given.map((mark) => ({ ...mark, begin: unit(mark.begin), end: unit(mark.end) }));
}

/* Where a snippet of the text begins and ends: where most is marked, else in the passage that was
 * found, else at the beginning; at word ends. Of a long text only the passage counts. */
function snippetOf(text, marks, passage) {
  if (text.length <= SNIPPET_CHARS + 40) return { begin: 0, end: text.length };
  let begin = passage ? passage.begin : 0,
    best = 0;
  const inside = (mark) => !passage || (mark.begin >= passage.begin && mark.end <= passage.end);
  const counted = marks.filter(inside);
  for (const first of counted) {
    const weight = counted
      .filter((mark) => mark.begin >= first.begin && mark.end <= first.begin + SNIPPET_CHARS - 40)
      .reduce((sum, mark) => sum + (mark.score || 0.5), 0);
    if (weight > best) {
      best = weight;
      begin = first.begin < 120 ? 0 : first.begin - 40;
    }
  }
  begin = begin > 0 ? wordAt(text, begin) : 0;
  let end = Math.min(begin + SNIPPET_CHARS, text.length);
  if (end < text.length) {
    const blank = text.lastIndexOf(" ", end);
    if (blank > begin + SNIPPET_CHARS / 2) end = blank;
    else if (/[\udc00-\udfff]/.test(text[end])) end--; /* not between the halves of a character */
  }
  return { begin, end };
}

/* The first letter of a word at or behind `at`, unless words here have no blanks between them. */
function wordAt(text, at) {
  const blank = text.indexOf(" ", at - 1);
  if (blank >= 0 && blank < at + 30) return blank + 1;
  return /[\udc00-\udfff]/.test(text[at]) ? at + 1 : at;
}

/* The part of the text as nodes, with <mark>s. */
function markedText(text, { begin, end }, marks) {
  const nodes = [begin > 0 ? "… " : ""];
  let at = begin;
  for (const mark of marks) {
    if (mark.end <= at || mark.begin >= end) continue;
    const from = Math.max(mark.begin, at),
      to = Math.min(mark.end, end);
    nodes.push(
      text.slice(at, from),
      make(
        "mark",
        { class: mark.source, style: { "--s": String(0.35 + 0.65 * (mark.score ?? 1)) } },
        text.slice(from, to),
      ),
    );
    at = to;
  }
  nodes.push(text.slice(at, end), end < text.length ? " …" : "");
  return nodes.filter((node) => node !== "");
}
