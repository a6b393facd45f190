/* reading.js - files into rows that the server takes: {"id","title","text","fields"}. What needs
 * more than that (PDF, HTML, archives) is for `tercet ingest`. */

const FILE_BYTES_MAX = 256 << 20; /* it is read into memory */

const withoutEnding = (name) => name.replace(/\.[^.]+$/, "");
const hasId = (row) => ["id", "_id", "docid"].some((name) => row[name] != null);

/* A row without an id is named after where it stood. */
const named = (row, where) => (hasId(row) ? row : { id: where, ...row });

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/* -> {rows: [object..], bad: [{where, error}]} */
function rowsOfText(text, name) {
  const ending = (name.match(/\.([^.]+)$/) || ["", ""])[1].toLowerCase();
  text = text.replace(/^\ufeff/, "");
  switch (ending) {
    case "jsonl":
    case "ndjson":
      return rowsOfLines(text, name);
    case "json":
      return rowsOfJson(text, name);
    case "csv":
      return rowsOfTable(text, name, separatorOf(text));
    case "tsv":
      return rowsOfTable(text, name, "\t");
    case "md":
    case "markdown":
      return rowsOfMarkdown(text, name);
    case "txt":
      return { rows: [{ id: name, title: withoutEnding(name), text }], bad: [] };
    default:
      return {
        rows: [],
        bad: [
          {
            where: name,
            error:
              "This page does not read such files; tercet ingest reads PDF, HTML and archives too.",
          },
        ],
      };
  }
}

function rowsOfLines(text, name) {
  const found = { rows: [], bad: [] };
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    const where = name + ":" + (i + 1);
    try {
      const row = JSON.parse(line);
      if (isObject(row)) found.rows.push(named(row, where));
      else found.bad.push({ where, error: "not a JSON object" });
    } catch (cause) {
      found.bad.push({ where, error: cause.message });
    }
  });
  return found;
}

/* An array of documents, one document, or an object that holds the array. */
function rowsOfJson(text, name) {
  let whole;
  try {
    whole = JSON.parse(text);
  } catch (cause) {
    return text.trim().startsWith("{") && text.trim().includes("\n")
      ? rowsOfLines(text, name)
      : { rows: [], bad: [{ where: name, error: cause.message }] };
  }
  const list = Array.isArray(whole)
    ? whole
    : (isObject(whole) &&
        !hasId(whole) &&
        Object.values(whole).find((value) => Array.isArray(value) && value.every(isObject))) || [
        whole,
      ];
  const found = { rows: [], bad: [] };
  list.forEach((row, i) => {
    const where = name + "#" + (i + 1);
    if (isObject(row)) found.rows.push(named(row, where));
    else found.bad.push({ where, error: "not a JSON object" });
  });
  return found;
}

/* The title: front matter's, else the first heading. The text: what stands behind the former. */
function rowsOfMarkdown(text, name) {
  const front = text.match(/^---\r?\n([\s\S]*?)\n---\s*?(\n|$)/);
  const given = front && front[1].match(/^title:\s*["']?(.+?)["']?\s*$/m);
  if (front) text = text.slice(front[0].length);
  const heading = text.match(/^#{1,2}\s+(.+?)\s*#*\s*$/m);
  const title = given ? given[1] : heading ? heading[1] : withoutEnding(name);
  return { rows: [{ id: name, title, text }], bad: [] };
}

/* RFC 4180: a cell in quotes may hold separators, line ends and doubled quotes. */
function cellsOf(text, separator) {
  const lines = [];
  let line = [],
    cell = "",
    quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === separator) {
      line.push(cell);
      cell = "";
    } else if (c === "\n" || c === "\r") {
      if (c === "\r" && text[i + 1] === "\n") i++;
      lines.push([...line, cell]);
      line = [];
      cell = "";
    } else cell += c;
  }
  if (cell !== "" || line.length) lines.push([...line, cell]);
  return lines.filter((cells) => cells.some((one) => one.trim() !== ""));
}

/* What stands most often in the first line. */
function separatorOf(text) {
  const first = text.slice(0, text.search(/[\r\n]|$/));
  const times = (separator) => first.split(separator).length;
  return [",", ";", "\t", "|"].reduce((best, one) => (times(one) > times(best) ? one : best));
}

/* The first line names the columns: id, title and text by their usual names, the rest fields. */
function rowsOfTable(text, name, separator) {
  const [head = [], ...lines] = cellsOf(text, separator),
    names = head.map((one) => one.trim());
  const column = (...usual) => names.findIndex((one) => usual.includes(one.toLowerCase()));
  const id = column("id", "_id", "docid"),
    title = column("title", "name"),
    body = column("text", "body", "content", "description", "abstract");
  if (body < 0 && title < 0)
    return {
      rows: [],
      bad: [
        {
          where: name,
          error: "no column called text, body, content, description, abstract or title",
        },
      ],
    };
  const rows = lines.map((cells, i) => {
    const fields = {};
    names.forEach((column_name, at) => {
      const value = (cells[at] || "").trim();
      if (![id, title, body].includes(at) && column_name && value !== "")
        fields[column_name] = /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value) ? Number(value) : value;
    });
    return {
      id: (id >= 0 && cells[id]) || name + ":" + (i + 2),
      title: (title >= 0 && cells[title]) || "",
      text: (body >= 0 && cells[body]) || "",
      fields,
    };
  });
  return { rows, bad: [] };
}

/* Pasted: JSON if it looks like it, else one text. */
function rowsOfPaste(text) {
  const trimmed = text.trim(),
    name = "pasted-" + new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  if (trimmed.startsWith("[")) return rowsOfJson(trimmed, name);
  if (trimmed.startsWith("{")) return rowsOfJson(trimmed, name);
  return {
    rows: [{ id: name, title: trimmed.split("\n")[0].slice(0, 80), text: trimmed }],
    bad: [],
  };
}
