/* api.js - talking to the server: the key, what went wrong in words, and what it can do. */

const KEY_NAME = "tercet-key";

class ServerError extends Error {
  constructor(message, about) {
    super(message);
    Object.assign(this, { status: 0, field: null, wait_s: 0 }, about);
  }
}

/* A browser that stores nothing (private windows, some settings) throws instead. */
function stored(name) {
  try {
    return sessionStorage.getItem(name) ?? localStorage.getItem(name);
  } catch {
    return null;
  }
}
function store(name, value, keep) {
  try {
    sessionStorage.removeItem(name);
    localStorage.removeItem(name);
    if (value !== null) (keep ? localStorage : sessionStorage).setItem(name, value);
  } catch {
    /* for this page's life only, then */
  }
}

const api = { key: stored(KEY_NAME) };

async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (api.key) headers.Authorization = "Bearer " + api.key;
  try {
    return await fetch(path, { ...options, headers });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    serverIsThere(false);
    throw new ServerError("The server does not answer. Is tercet serve still running?");
  }
}

/* The answer's JSON, or a ServerError with a sentence for people. A 401 asks for a key, once. */
async function call(path, options, again = true) {
  const answer = await send(path, options);
  serverIsThere(true);
  let body = null;
  try {
    body = await answer.json();
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
  }
  if (answer.ok && body) return body;
  const error = (body && body.error) || {};
  if (
    answer.status === 401 &&
    again &&
    (await askForKey(api.key ? "The server does not know this key." : ""))
  )
    return call(path, options, false);
  throw new ServerError(explainStatus(answer, error), {
    status: answer.status,
    field: error.field || null,
    wait_s: Number(answer.headers.get("Retry-After")) || 0,
  });
}

function explainStatus(answer, error) {
  const said = error.message ? capital(error.message) + "." : "";
  switch (answer.status) {
    case 401:
      return "This server asks for an API key.";
    case 403:
      return api.key ? "This key may not do that: " + error.message + "." : said;
    case 413:
      return "That is more than the server takes at once. " + said;
    case 503:
      return "The server is busy. " + said;
    default:
      return said || "The server answered " + answer.status + ".";
  }
}

const post = (path, body, signal) =>
  call(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

const collectionPath = (name = state.collection) => "/v1/collections/" + encodeURIComponent(name);

/* Older servers know less: what a search request may hold is read from the server's description. */
async function lookAtServer() {
  try {
    const described = await (await send("/openapi.json")).json();
    const knows = described.components.schemas.SearchRequest.properties;
    state.offers.passages = Boolean(described.paths["/v1/collections/{c}"].put.requestBody);
    for (const name of ["highlight", "offset", "rerank", "like", "text"])
      state.offers[name] = name in knows;
  } catch {
    state.offers = {};
  }
}

async function lookForReranker() {
  try {
    state.offers.reranker = (await call("/info")).reranker_id || null;
  } catch {
    state.offers.reranker = null;
  }
}
