// Whether what was entered is with the server: a word in the bar, and what to do where it is not.

import { make } from "./dialogs.js";
import { say } from "./words.js";

const LONG = 2;

/** Show the state of a `Saver`; `tries` in vain so far; `resolve(takeNewer)` ends a conflict. */
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
  // A short break of the line moves nothing on the page.
  bar.hidden = state === "offline" ? tries < LONG : !["conflict", "signed_out", "refused"].includes(state);
  if (state === "conflict") {
    bar.replaceChildren(
      say("This reading was changed in another window since this page was loaded."), " ",
      make("button", { type: "button", click: () => resolve(true) }, say("Show what is saved there")),
      make("button", { type: "button", click: () => resolve(false) }, say("Save what is here instead")),
    );
  } else if (state === "signed_out") {
    bar.replaceChildren(
      say("You were signed out. What you entered is kept in this browser and saved when you are back."), " ",
      make("a", { href: `/login?next=${encodeURIComponent(location.pathname)}` }, say("Sign in again")),
    );
  } else if (state === "offline") {
    bar.replaceChildren(say("The server cannot be reached. What you enter is kept in this browser and saved as soon as it answers: go on reading."));
  } else if (state === "refused") bar.replaceChildren(error.message);
}
