// Autosave: every entry is sent to the server at once, one request at a time. Until the server confirms it, the browser
// keeps it too, so that neither a lost connection nor a killed browser loses an entry.

import { request } from "./api.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const TYPING_MS = 600;

/** Return JSON with sorted keys, so that equal contents give equal texts. */
const canonical = (value) =>
  JSON.stringify(value, (_, each) =>
    each && typeof each === "object" && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

/** Storage of the browser; without storage everything is still sent at once. */
function store(act) {
  try {
    return act(localStorage);
  } catch {
    return null;
  }
}

export class Saver {
  /**
   * Saves the content of `reading` by PUT to `path`. `extra()` is sent too; `onState(state)` gets "saved", "saving",
   * "offline", "conflict", "signed_out" and "refused" (with the error).
   */
  constructor(path, reading, revision, onState, extra = () => ({})) {
    Object.assign(this, { path, reading, revision, onState, extra });
    this.key = `sparcc ${path}`;
    this.dirty = false;
    this.running = false;
    this.failures = 0;
    // Content sent with this revision and never answered: the server may have saved it.
    this.unanswered = [];
    window.addEventListener("online", () => this.retry());
    document.addEventListener("signed-out", () => this.failed({ code: "sign_in" }));
    window.addEventListener("beforeunload", (event) => {
      if (this.dirty) event.preventDefault();
    });
  }

  /** Restore content that the browser kept and the server never received, unless the server has newer content. */
  recover() {
    const kept = JSON.parse(store((all) => all.getItem(this.key)) ?? "null");
    if (kept === null) return false;
    // The server may have saved content that was being sent when the browser or the connection failed.
    const arrived = kept.revision + 1 === this.revision && kept.unanswered.includes(canonical(this.reading.content));
    const unchanged = canonical(kept.content) === canonical(this.reading.content);
    if (unchanged || !(arrived || kept.revision === this.revision)) {
      store((kept) => kept.removeItem(this.key));
      return false;
    }
    this.reading.content = kept.content;
    this.change();
    return true;
  }

  /** Send a change; while a text is being typed, wait for a pause. */
  change(typing = false) {
    this.dirty = true;
    this.keep();
    clearTimeout(this.pause);
    if (this.failures === 0 && !this.stopped) this.onState("saving");
    if (typing) this.pause = setTimeout(() => this.send(), TYPING_MS);
    // Entries of one gesture are sent together.
    else queueMicrotask(() => this.send());
  }

  keep() {
    const { revision, unanswered, reading } = this;
    store((kept) => kept.setItem(this.key, JSON.stringify({ revision, unanswered, content: reading.content })));
  }

  /** Resolve when the server has everything; throw the error that prevents it. */
  async flush() {
    while (this.dirty || this.running) {
      await this.send();
      if (this.problem) throw this.problem;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async send() {
    if (this.running || !this.dirty || this.stopped) return;
    this.running = true;
    this.dirty = false;
    this.unanswered = [...new Set([...this.unanswered, canonical(this.reading.content)])];
    this.keep();
    if (this.failures === 0) this.onState("saving");
    try {
      const state = await request("PUT", this.path, {
        revision: this.revision,
        content: this.reading.content,
        ...this.extra(),
      });
      this.revision = state.revision;
      this.failures = 0;
      this.unanswered = [];
      this.problem = null;
      this.running = false;
      this.state = state;
      if (this.dirty) {
        this.keep();
        this.send();
      } else {
        store((kept) => kept.removeItem(this.key));
        this.onState("saved");
      }
    } catch (error) {
      this.running = false;
      this.dirty = true;
      this.problem = error;
      this.failed(error);
    }
  }

  failed(error) {
    if (error.code === "stale" && this.unanswered.includes(canonical(error.body.reading.content))) {
      // Saved already, only the answer was lost.
      this.revision = error.body.reading.revision;
      this.unanswered = [];
      this.failures = 0;
      this.retry();
    } else if (error.code === "stale") {
      this.stopped = true;
      this.newer = error.body.reading;
      this.onState("conflict", error);
    } else if (error.code === "sign_in" || error.code === "csrf") {
      this.stopped = true;
      this.onState("signed_out", error);
    } else if (error.code === "offline" || error.code === "server" || error.code === "too_many") {
      const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
      this.failures += 1;
      this.onState("offline", error);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.retry(), wait);
    } else {
      this.onState("refused", error);
    }
  }

  retry() {
    clearTimeout(this.timer);
    this.send();
  }

  /** After a conflict: take the newer content of the server, or keep this content. */
  resolve(takeNewer) {
    this.revision = this.newer.revision;
    this.unanswered = [];
    this.stopped = false;
    this.problem = null;
    this.dirty = false;
    if (takeNewer) {
      this.reading.content = this.newer.content;
      store((kept) => kept.removeItem(this.key));
      this.onState("saved");
    } else {
      this.change();
    }
  }
}
