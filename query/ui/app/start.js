/* start.js - the beginning: what the address says, what the server has. */

function stateShow() {
  $("query").value = state.query;
  tuneShow();
  filterShow();
}

/* Also after another key was entered. */
async function start() {
  await lookAtServer();
  try {
    const list = await collectionsLoad();
    await lookForReranker();
    const names = list.map(({ name }) => name);
    if (names.length === 0) {
      aboutShow();
      tuneShow();
      showNoCollections();
      return;
    }
    await collectionChoose(names.includes(state.collection) ? state.collection : names[0], false);
    if (
      state.collection &&
      $("error").hidden &&
      shown.cards.size &&
      state.open &&
      shown.cards.has(state.open)
    )
      shown.cards.get(state.open).element.scrollIntoView({ block: "nearest" });
  } catch (cause) {
    showError("The collections cannot be listed", cause, start);
  }
}

function addressChanged() {
  if (location.hash === stateToHash()) return;
  const collection = state.collection;
  stateFromHash(location.hash);
  stateShow();
  if (!state.collection || state.collection !== collection) start();
  else {
    facetsRefresh();
    changed(0);
  }
}

stateFromHash(location.hash);
themeStart();
accessStart();
tuneStart();
filterStart();
searchStart();
collectionsStart();
uploadStart();
keyboardStart();
stateShow();
addEventListener("popstate", addressChanged);
addEventListener("hashchange", addressChanged);
start().then(watchHealth);
