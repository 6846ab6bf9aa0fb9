// Requests to the server. A failed request throws an ApiError with the server's own sentence.

import { say } from "./words.js";

const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const TIMEOUT_MS = 15000;

/** A refused request with the server's sentence; `code` is "offline" if the server cannot be reached. */
export class ApiError extends Error {
  constructor(code, message, body = {}) {
    super(message);
    this.code = code;
    this.body = body;
  }
}

/** Return the JSON answer of `method` on `path`. */
export async function request(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError("offline", say("The server cannot be reached. Check the network; the page will try again."));
  }
  const content = await answer.json().catch(() => null);
  if (answer.ok && content !== null) return content;
  const code = content?.error?.code ?? (answer.status >= 500 ? "offline" : "invalid");
  const message = content?.error?.message ?? say("The server sent an unexpected answer. Load the page again.");
  throw new ApiError(code, message, content ?? {});
}

export const load = (path) => request("GET", path);

const AGAIN_MS = 2000;

/** Start a page; while the server cannot be reached show a message and retry, after a sign-out go to the sign-in. */
export async function begin(start) {
  const trouble = document.getElementById("trouble");
  for (;;) {
    try {
      await start();
      trouble.hidden = true;
      document.body.dataset.ready = "true";
      return;
    } catch (error) {
      if (error.code === "sign_in") location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
      trouble.hidden = false;
      trouble.textContent = error.message;
      if (error.code !== "offline") throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}
