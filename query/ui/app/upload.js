/* upload.js - adding documents: files dropped or chosen, or a pasted text; sent in parts, with what
 * the server says about every row. */

const PART_ROWS = 64,
  PART_CHARS = 1 << 20,
  VERDICTS_SHOWN = 200,
  BUSY_TRIES = 6;

const upload = { controller: null, counts: null };

function addOpen() {
  if ($("sheet").open) $("sheet").close();
  $("add-collection").value = state.collection || "documents";
  if (!upload.controller) addAgain();
  openDialog($("add-dialog"));
  collectionsLoad().catch(() => {
    /* only for suggestions */
  });
}

function addAgain() {
  $("add-input").hidden = false;
  $("add-progress").hidden = true;
  $("add-files").value = "";
}

async function addFiles(files) {
  const found = { rows: [], bad: [] };
  for (const file of files) {
    if (file.size > FILE_BYTES_MAX) {
      found.bad.push({
        where: file.name,
        error: "larger than " + bytes(FILE_BYTES_MAX) + ": use tercet ingest",
      });
      continue;
    }
    try {
      const { rows, bad } = rowsOfText(await file.text(), file.name);
      found.rows = found.rows.concat(rows);
      found.bad = found.bad.concat(bad);
    } catch {
      found.bad.push({ where: file.name, error: "it cannot be read (a folder?)" });
    }
  }
  await addRows(found);
}

/* Parts small enough that the progress is seen and the server's limits are not. */
function partsOf(rows) {
  const parts = [];
  let part = null;
  for (const row of rows) {
    const line = JSON.stringify(row);
    if (!part || part.n === PART_ROWS || part.chars + line.length > PART_CHARS)
      parts.push((part = { lines: [], n: 0, chars: 0 }));
    part.lines.push(line);
    part.n++;
    part.chars += line.length;
  }
  return parts;
}

async function sendPart(name, part, signal) {
  for (let tries = 1; ; tries++)
    try {
      return await call(collectionPath(name) + "/documents", {
        method: "POST",
        signal,
        headers: { "Content-Type": "application/x-ndjson" },
        body: part.lines.join("\n"),
      });
    } catch (cause) {
      if (cause.status !== 503 || tries === BUSY_TRIES) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(cause.wait_s, 1)));
    }
}

async function addRows({ rows, bad }) {
  const name = $("add-collection").value.trim();
  const running = (upload.controller = new AbortController()),
    began = performance.now();
  const counts = (upload.counts = { stored: 0, unchanged: 0, failed: bad.length, sent: 0 });
  addProgressStart();
  for (const { where, error } of bad) verdictAdd(where, "failed", error);
  try {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name))
      throw new ServerError("A collection's name has letters, digits, - and _ only.");
    for (const part of partsOf(rows)) {
      const answer = await sendPart(name, part, running.signal);
      for (const kind of ["stored", "unchanged", "failed"]) counts[kind] += answer[kind];
      counts.sent += part.n;
      answer.rows.forEach((row, i) =>
        verdictAdd(row.id ?? idOfLine(part.lines[i]), row.status, row.error),
      );
      addProgress(rows.length, began);
    }
    addEnded(rows.length + bad.length === 0 ? "There is no document in it." : "", name);
  } catch (cause) {
    addEnded(
      cause.name === "AbortError" ? "Stopped. What is said to be stored is stored." : cause.message,
      name,
    );
  }
  upload.controller = null;
}

const idOfLine = (line) => {
  const row = JSON.parse(line);
  return row.id ?? row._id ?? row.docid ?? "";
};

/* ---- what is seen of it ---- */

function addProgressStart() {
  $("add-input").hidden = true;
  $("add-progress").hidden = false;
  $("verdicts").hidden = true;
  $("verdict-rows").replaceChildren();
  $("add-bar").value = 0;
  $("add-bar").classList.remove("done", "bad");
  $("add-stop").hidden = false;
  $("add-stop").focus();
  $("add-more").hidden = $("add-done").hidden = true;
  $("add-status").textContent = "Reading …";
}

function addProgress(total, began) {
  const { sent } = upload.counts,
    passed_s = (performance.now() - began) / 1000,
    left_s = (passed_s / sent) * (total - sent);
  $("add-bar").value = sent / total;
  const left = left_s < 90 ? Math.ceil(left_s) + " s" : Math.ceil(left_s / 60) + " min";
  const hint = passed_s > 2 && sent < total ? " · " + left + " left" : "";
  $("add-status").textContent = count(sent) + " of " + plural(total, "document") + hint;
}

/* Failures come first and are all counted; of the rest, some are shown. */
function verdictAdd(id, status, error) {
  const body = $("verdict-rows");
  $("verdicts").hidden = false;
  const row = make(
    "tr",
    { class: status },
    make("td", {}, String(id)),
    make("td", {}, make("b", { class: "pill " + status }, status), error ? " " + error : ""),
  );
  if (status === "failed") body.insertBefore(row, body.querySelector("tr:not(.failed)"));
  else body.append(row);
  if (body.childElementCount > VERDICTS_SHOWN) body.lastElementChild.remove();
}

async function addEnded(trouble, name) {
  const { stored, unchanged, failed } = upload.counts;
  const told = [
    stored && plural(stored, "document") + " stored in " + name,
    unchanged && count(unchanged) + " unchanged",
    failed && count(failed) + " failed",
  ]
    .filter(Boolean)
    .join(", ");
  $("add-status").textContent = [trouble, told && told + "."].filter(Boolean).join(" ");
  $("add-bar").classList.add(trouble || failed ? "bad" : "done");
  if (!trouble) $("add-bar").value = 1;
  $("add-stop").hidden = true;
  $("add-more").hidden = false;
  $("add-done").hidden = stored + unchanged === 0;
  $($("add-done").hidden ? "add-more" : "add-done").focus();
  if (stored + unchanged > 0) {
    await collectionsLoad().catch(() => {
      /* the next search will tell */
    });
    if (name !== state.collection) $("query").value = "";
    collectionChoose(name, name !== state.collection);
  }
}

/* ---- how files come in ---- */

const holdsFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");

function dropStart() {
  let within = 0; /* enter and leave come in pairs for each element passed */
  const over = (now) => {
    $("drop").hidden = !now;
    document.body.classList.toggle("dropping", now);
  };
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event) && ++within) over(true);
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event) && --within <= 0) {
      within = 0;
      over(false);
    }
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    within = 0;
    over(false);
    if (upload.controller) return;
    const files = [...event.dataTransfer.files];
    addOpen();
    addFiles(files);
  });
}

function uploadStart() {
  $("add").addEventListener("click", addOpen);
  $("add-files").addEventListener("change", () => addFiles([...$("add-files").files]));
  $("paste").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = $("paste-text").value;
    if (!text.trim()) {
      $("paste-text").focus();
      return;
    }
    $("paste-text").value = "";
    addRows(rowsOfPaste(text));
  });
  $("add-stop").addEventListener("click", () => upload.controller && upload.controller.abort());
  $("add-more").addEventListener("click", addAgain);
  $("add-done").addEventListener("click", () => {
    $("add-dialog").close();
    $("query").focus();
  });
  dropStart();
}
