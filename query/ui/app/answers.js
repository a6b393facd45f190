/* answers.js - an answer in words by a chat model, where the operator has named one: asked for by a
 * button, written while it comes, with its sources beside it (docs/answers.md). */

const ANSWER_SOURCES = 5;

const answers = { controller: null /* of the one under way */ };

/* Another search is under way: what was said of the last one goes. */
function answersForget() {
  if (answers.controller) answers.controller.abort();
  answers.controller = null;
  $("answer").hidden = true;
  $("answer").replaceChildren();
}

function answersOffer() {
  answersForget();
  if (!state.offers.answers || state.like || !state.query) return;
  $("answer").hidden = false;
  $("answer").replaceChildren(
    make(
      "button",
      { type: "button", class: "button", click: answerNow },
      "Answer from the best " + ANSWER_SOURCES,
    ),
  );
}

/* The parts of the panel; `words` is what a screen reader follows. */
function answerPanel() {
  const words = make("div", { class: "words", "aria-live": "polite", "aria-busy": "true" }),
    sources = make("ol", { class: "sources" }),
    note = make("p", { class: "note" }, "Reading the sources … "),
    stop = make("button", { type: "button", class: "link", click: answerStop }, "Stop");
  note.append(stop);
  $("answer").replaceChildren(
    make("h2", {}, "Answer"),
    words,
    note,
    make("h3", { class: "hidden" }, "Sources"),
    sources,
  );
  return { words, sources, note };
}

function answerStop() {
  if (answers.controller) answers.controller.abort();
  answers.controller = null;
  const panel = $("answer");
  panel.querySelector(".words").setAttribute("aria-busy", "false");
  panel.querySelector(".note").replaceChildren("Stopped. ", answerAgain());
}

const answerAgain = () =>
  make("button", { type: "button", class: "link", click: answerNow }, "Ask again");

function sourceOpen(source) {
  const card = shown.cards.get(source.id);
  if (!card) return searchFor(source.title || source.id);
  card.element.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  card.element.focus({ preventScroll: true });
}

function showSources(panel, sources) {
  panel.sources.replaceChildren(
    ...sources.map((source) =>
      make(
        "li",
        {},
        make(
          "button",
          { type: "button", class: "link", click: () => sourceOpen(source) },
          source.title || source.id,
        ),
        make("span", {}, source.text.replace(/\s+/g, " ").slice(0, 140)),
      ),
    ),
  );
}

/* "… tides [1]." with each number a button; the words themselves stay text. */
function showWords(panel, text, sources) {
  const byNumber = new Map(sources.map((source) => [source.number, source]));
  panel.words.replaceChildren(
    ...text.split(/\n{2,}/).map((paragraph) => {
      const p = make("p");
      for (const part of paragraph.split(/(\[\d{1,2}\])/)) {
        const source = /^\[\d+\]$/.test(part) && byNumber.get(Number(part.slice(1, -1)));
        p.append(
          source
            ? make(
                "button",
                {
                  type: "button",
                  class: "cite",
                  title: source.title || source.id,
                  "aria-label": "source " + source.number,
                  click: () => sourceOpen(source),
                },
                String(source.number),
              )
            : part,
        );
      }
      return p;
    }),
  );
}

/* Server-sent events, as far as this route sends them: "event: NAME", "data: JSON", a blank line. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      const lines = rest.slice(0, end).split("\n"),
        name = lines.find((line) => line.startsWith("event: ")),
        data = lines.find((line) => line.startsWith("data: "));
      if (name && data) yield { name: name.slice(7), data: JSON.parse(data.slice(6)) };
    }
  }
}

function showAnswered(panel, done) {
  const took = done.took_ms || {};
  panel.words.setAttribute("aria-busy", "false");
  panel.note.replaceChildren(
    done.finish === "no_sources" ? "Nothing was found to answer from. " : "",
    done.finish === "length" ? "Cut off: the model had no more room. " : "",
    "Written by " + (done.model || "a chat model") + "; check it against its sources. ",
    typeof took.total === "number" ? (took.total / 1000).toFixed(1) + " s. " : "",
    answerAgain(),
  );
}

function answerFailed(panel, message) {
  panel.words.setAttribute("aria-busy", "false");
  panel.note.replaceChildren(
    make("span", { class: "bad", role: "alert" }, message + " "),
    answerAgain(),
  );
}

function answerBody() {
  const { query, filter, modes, fusion, weights } = requestBody();
  const body = { question: query, filter, modes, fusion, weights, k: ANSWER_SOURCES, stream: true };
  return JSON.stringify(body); /* what is undefined is left out */
}

async function answerNow() {
  answersForget();
  $("answer").hidden = false;
  const running = (answers.controller = new AbortController()),
    panel = answerPanel();
  let sources = [],
    text = "",
    ended = false;
  try {
    const answer = await send(collectionPath() + "/answer", {
      method: "POST",
      signal: running.signal,
      headers: { "Content-Type": "application/json" },
      body: answerBody(),
    });
    if (!answer.ok) {
      const body = await answer.json().catch(() => null);
      throw new ServerError(explainStatus(answer, (body && body.error) || {}));
    }
    for await (const { name, data } of eventsOf(answer.body)) {
      if (answers.controller !== running) return;
      ended = ended || name === "done" || name === "error";
      if (name === "sources") showSources(panel, (sources = data.sources));
      else if (name === "delta") showWords(panel, (text += data.text), sources);
      else if (name === "done") showAnswered(panel, data);
      else if (name === "error") answerFailed(panel, capital(data.error.message) + ".");
    }
    if (!ended) throw new ServerError("The answer broke off.");
  } catch (cause) {
    if (cause.name === "AbortError" || answers.controller !== running) return;
    answerFailed(panel, cause.message);
  } finally {
    if (answers.controller === running) answers.controller = null;
  }
}
