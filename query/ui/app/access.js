/* access.js - the API key: asked for when the server wants one, kept for this tab or this device,
 * and forgotten at a click. It goes to this server only, in a header. */

let keyAsked = null; /* {promise, resolve, calls_wait} while the dialog is open */
let keyDeclined = false; /* closed without a key: the dialog does not come by itself again */

/* Resolves to true once another key was given. Several calls that were refused wait for one. */
function askForKey(why, calls_wait = true) {
  if (keyDeclined && calls_wait) return Promise.resolve(false);
  $("key-why").textContent = why
    ? "Give another key."
    : api.key
      ? "The key in use can be exchanged here."
      : "This server answers only to those with a key. The one who runs it gives out keys.";
  $("key-error").textContent = why;
  $("key-error").hidden = !why;
  $("key-value").value = "";
  $("key-forget").hidden = !api.key;
  $("key").hidden = false;
  openDialog($("key-dialog"));
  $("key-value").focus();
  if (!keyAsked) {
    keyAsked = {};
    keyAsked.promise = new Promise((resolve) => {
      keyAsked.resolve = resolve;
    });
  }
  keyAsked.calls_wait ||= calls_wait;
  return keyAsked.promise;
}

function answerKey(given) {
  const asked = keyAsked;
  keyAsked = null;
  keyDeclined = !given;
  if ($("key-dialog").open) $("key-dialog").close();
  if (asked) asked.resolve(given);
}

function forgetKey() {
  api.key = null;
  store(KEY_NAME, null);
  answerKey(false);
  location.reload(); /* nothing that the key opened stays on the screen */
}

function accessStart() {
  $("key").hidden = !api.key;
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const calls_wait = keyAsked && keyAsked.calls_wait;
    api.key = $("key-value").value.trim();
    store(KEY_NAME, api.key, $("key-keep").checked);
    answerKey(true);
    if (!calls_wait) start();
  });
  $("key-dialog").addEventListener("close", () => keyAsked && answerKey(false));
  $("key-forget").addEventListener("click", forgetKey);
  $("key").addEventListener("click", () => askForKey("", false));
}
