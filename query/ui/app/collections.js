/* collections.js - which collections there are, what is in them, and going from one to another. */

const collections = { list: [] };

async function collectionsLoad() {
  const listed = await call("/v1/collections");
  collections.list = listed.collections || [];
  state.offers.answers = Boolean(listed.answer_model);
  $("known-collections").replaceChildren(
    ...collections.list.map(({ name }) => make("option", { value: name })),
  );
  return collections.list;
}

/* What the server says about the chosen one. */
async function collectionRefresh() {
  const name = state.collection;
  const info = await call(collectionPath(name));
  if (state.collection !== name) return;
  state.info = info;
  aboutShow();
}

async function collectionChoose(name, step = true) {
  if (name !== state.collection) state.like = state.open = null;
  state.collection = name;
  state.info = collections.list.find((one) => one.name === name) || null;
  Object.assign(search, { answer: null, hits: [], asked: "" });
  $("query").placeholder = "Search " + name;
  clearHits();
  aboutShow();
  tuneShow();
  filterShow();
  changed(0, step);
  try {
    await collectionRefresh();
  } catch (cause) {
    if (state.collection === name)
      showError("This collection cannot be opened", cause, () => collectionChoose(name));
    return;
  }
  if (state.collection !== name) return;
  tuneShow();
  if (!state.query && !state.like) showWelcome();
  facetsDiscover();
}

function aboutShow() {
  const info = state.info || {};
  $("switcher-name").textContent = state.collection || "No collection";
  $("phone-collection").textContent = state.collection || "Collections";
  $("switcher-about").textContent =
    info.documents == null ? "Make one, or choose" : plural(info.documents, "document");
  $("drop-name").textContent = state.collection || "a new collection";
  $("about").hidden = !state.collection;
  const rows = [
    ["Documents", info.documents != null && count(info.documents)],
    ["Segments", info.segments != null && count(info.segments)],
    ["Passages", info.chunk_tokens ? count(info.passages) : null],
    ["Cut at", info.chunk_tokens ? count(info.chunk_tokens) + " tokens" : null],
    ["On disk", info.bytes != null && bytes(info.bytes)],
    ["Model", info.model],
    ["Words", info.analyzer],
    ["Modes", info.modes && info.modes.join(", ")],
  ];
  $("about-list").replaceChildren(
    ...rows
      .filter(([, value]) => value)
      .map(([name, value]) =>
        make(
          "div",
          {},
          make("dt", {}, name),
          make("dd", { class: "num", title: String(value) }, value),
        ),
      ),
    make(
      "div",
      {},
      make("dt", {}, "Server"),
      make("dd", { id: "health", class: "health" }, "ready"),
    ),
  );
  showHealth();
}

/* ---- the dialog ---- */

function collectionsShow() {
  const list = collections.list;
  $("collection-list").hidden = list.length === 0;
  $("collection-list").replaceChildren(
    ...list.map((info) =>
      make(
        "li",
        {},
        make(
          "button",
          {
            type: "button",
            "aria-current": info.name === state.collection ? "true" : null,
            click: () => {
              $("collections-dialog").close();
              collectionChoose(info.name);
            },
          },
          make("b", {}, info.name),
          make(
            "span",
            { class: "num" },
            plural(info.documents, "document") +
              " · " +
              (info.chunk_tokens ? plural(info.passages, "passage") + " · " : "") +
              plural(info.segments ?? 0, "segment") +
              " · " +
              bytes(info.bytes || 0),
          ),
          make(
            "small",
            {},
            ...(info.modes || []).map((mode) => make("i", { class: "dot " + mode, title: mode })),
            " " + (info.model || "") + (info.analyzer ? " · " + info.analyzer : ""),
          ),
        ),
      ),
    ),
  );
}

async function collectionsOpen() {
  if ($("sheet").open) $("sheet").close();
  collectionsShow();
  $("create-error").hidden = true;
  $("create-passages").hidden = !state.offers.passages;
  openDialog($("collections-dialog"));
  try {
    await collectionsLoad();
    collectionsShow();
  } catch (cause) {
    $("create-error").textContent = cause.message;
    $("create-error").hidden = false;
  }
}

async function collectionCreate(event) {
  event.preventDefault();
  const name = $("create-name").value.trim();
  $("create-error").hidden = true;
  try {
    if (collections.list.some((one) => one.name === name))
      throw new ServerError("“" + name + "” is there already.");
    const chunk_tokens = Number($("create-chunks").value);
    const body = chunk_tokens ? JSON.stringify({ chunk_tokens }) : undefined;
    const headers = { "Content-Type": "application/json" };
    await call(collectionPath(name), { method: "PUT", headers, body });
    await collectionsLoad();
    $("create-name").value = "";
    $("collections-dialog").close();
    $("query").value = "";
    state.filter = null;
    collectionChoose(name);
  } catch (cause) {
    $("create-error").textContent = cause.message;
    $("create-error").hidden = false;
  }
}

function collectionsStart() {
  for (const id of ["switcher", "phone-collection"])
    $(id).addEventListener("click", collectionsOpen);
  $("create").addEventListener("submit", collectionCreate);
}
