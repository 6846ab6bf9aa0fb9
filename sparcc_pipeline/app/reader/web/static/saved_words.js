// State of saving: a word in the bar, and the remedy if an entry is not saved.

import { make } from "./dialogs.js";
import { say } from "./words.js";

const LONG = 2;

/** Show the state of a `Saver`; `tries` counts failed attempts; `resolve(takeNewer)` ends a conflict. */
export function savedWords(state, error, tries, resolve) {
  const place = document.getElementById("saved");
  const words = {
    saved: say("Saved"),
    saving: say("Saving …"),
    offline: say("Not saved: no connection"),
    conflict: say("Changed in another window"),
    signed_out: say("Signed out: nothing is lost"),
    refused: say("Not saved"),
    locked: say("Locked"),
  };
  place.dataset.state = state;
  if (place.textContent !== words[state]) place.textContent = words[state];
  const bar = document.getElementById("trouble");
  // A short loss of connection must not move the page.
  bar.hidden = state === "offline" ? tries < LONG : !["conflict", "signed_out", "refused"].includes(state);
  if (state === "conflict") {
    bar.replaceChildren(
      say("This reading was changed in another window after this page was loaded."), " ",
      make("button", { type: "button", click: () => resolve(true) }, say("Show the saved version")),
      make("button", { type: "button", click: () => resolve(false) }, say("Save this version instead")),
    );
  } else if (state === "signed_out") {
    bar.replaceChildren(
      say("You were signed out. Your entries are kept in this browser and saved after you sign in again."), " ",
      make("a", { href: `/login?next=${encodeURIComponent(location.pathname)}` }, say("Sign in again")),
    );
  } else if (state === "offline") {
    bar.replaceChildren(say("The server cannot be reached. Your entries are kept in this browser and saved when the server answers: continue reading."));
  } else if (state === "refused") bar.replaceChildren(error.message);
}
