// The morning, live: asks whether something happened, and then loads the page again, but never under a typed reason.

import { load } from "./api.js";
import { say } from "./words.js";

const ASK_EVERY_MS = 10000;

const live = document.getElementById("live");
const night = () => document.getElementById("night");

/** Return true while the user has a form open or an identity on the screen, which a new page would take away. */
const isBusy = () => document.querySelector(".decisions details[open], .whose") !== null;

/** Put the content of the newest page in place of this one; opened lists stay open. */
async function renew() {
  const answer = await fetch("/night");
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const open = [...document.querySelectorAll(".noted")].map((each) => each.open);
  night().replaceChildren(...page.getElementById("night").childNodes);
  night().dataset.newest = page.getElementById("night").dataset.newest;
  if (document.querySelectorAll(".noted").length === open.length)
    document.querySelectorAll(".noted").forEach((each, number) => (each.open = open[number]));
  document.getElementById("live").textContent = say("updated just now");
}

/** Offer the new page to a user who is busy. */
function offer() {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = say("Show it");
  button.addEventListener("click", renew);
  document.getElementById("live").replaceChildren(say("Something happened in the night."), button);
}

async function ask() {
  try {
    const { newest } = await load("/api/night");
    if (String(newest) === night().dataset.newest) document.getElementById("live").textContent = say("live");
    else if (isBusy()) offer();
    else await renew();
  } catch (error) {
    if (error.code === "sign_in") return location.assign("/login?next=%2Fnight");
    document.getElementById("live").textContent = error.message;
  }
  setTimeout(ask, ASK_EVERY_MS);
}

live.textContent = say("live");
document.body.dataset.ready = "true";
setTimeout(ask, ASK_EVERY_MS);
