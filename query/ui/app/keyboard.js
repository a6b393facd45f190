/* keyboard.js - the page without a mouse, and the dialogs' opening and closing. */

const writing = (element) =>
  element &&
  /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) &&
  !["checkbox", "range", "file"].includes(element.type);

function moveAmongHits(event, card) {
  const cards = [...$("hits").children],
    i = card ? cards.indexOf(card) : -1;
  const next = event.key === "ArrowDown" ? i + 1 : i - 1;
  if (!card && event.key === "ArrowUp") return;
  event.preventDefault();
  if (next < 0) $("query").focus();
  else if (cards[next]) cards[next].focus();
}

function escape(event, card) {
  event.preventDefault();
  const at = document.activeElement,
    opened = card && (card.card.open || card.card.whole);
  if (opened) {
    cardOpen(card.card, false, false);
    card.focus();
  } else if (at === $("query") && $("query").value) {
    $("query").value = "";
    state.like = null;
    changed(0);
  } else {
    $("query").focus();
    scrollTo({ top: 0 });
  }
}

function keyDown(event) {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.isComposing ||
    document.querySelector("dialog[open]")
  )
    return;
  const at = document.activeElement,
    card = at && at.closest(".hit");
  if (event.key === "/" && !writing(at)) {
    event.preventDefault();
    $("query").focus();
    $("query").select();
  } else if (event.key === "?" && !writing(at)) {
    event.preventDefault();
    openDialog($("help-dialog"));
  } else if (event.key === "Escape") escape(event, card);
  else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (card || at === $("query")))
    moveAmongHits(event, card);
  else if (event.key === "Enter" && card && at === card) {
    event.preventDefault();
    cardOpen(card.card, !card.card.open, !card.card.open);
  }
}

/* On a narrow screen the rail is a sheet: the same elements, moved. */
function sheetOpen() {
  $("sheet-body").append($("rail-inside"));
  openDialog($("sheet"));
}
function sheetClosed() {
  $("rail").append($("rail-inside"));
}

function keyboardStart() {
  document.addEventListener("keydown", keyDown);
  $("help").addEventListener("click", () => openDialog($("help-dialog")));
  $("tune").addEventListener("click", sheetOpen);
  $("sheet").addEventListener("close", sheetClosed);
  matchMedia("(min-width: 961px)").addEventListener("change", (wide) => {
    if (wide.matches && $("sheet").open) $("sheet").close();
  });
  for (const dialog of document.querySelectorAll("dialog"))
    dialog.addEventListener("click", (event) => {
      /* the cross, or beside the dialog */
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
}
