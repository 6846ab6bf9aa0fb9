// Requests to the server. An answer that is no success becomes an ApiError with the server's own sentence.

import { say } from "./words.js";

const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";
const TIMEOUT_MS = 15000;

/** What the server refused, in its words; `code` "offline" where it could not be reached. */
export class ApiError extends Error {
  constructor(code, message, body = {}) {
    super(message);
    this.code = code;
    this.body = body;
  }
}

/** The JSON that `method` on `path` answers. */
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
    throw new ApiError("offline", say("The server cannot be reached. Check the network; the page tries again."));
  }
  const content = await answer.json().catch(() => null);
  if (answer.ok && content !== null) return content;
  const code = content?.error?.code ?? (answer.status >= 500 ? "offline" : "invalid");
  const message = content?.error?.message ?? say("The server answered something unexpected. Load the page again.");
  throw new ApiError(code, message, content ?? {});
}

export const load = (path) => request("GET", path);
