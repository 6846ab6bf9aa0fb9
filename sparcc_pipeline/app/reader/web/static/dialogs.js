// Questions to the reader: small modal dialogs, built when needed. A `dialog` element keeps the focus inside, and Escape
// closes it.

import { say } from "./words.js";

/** Return an element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Show a dialog that `fill(dialog, close)` completes; resolve to the argument of `close` (null for Escape). */
export function ask(title, fill, kind = "") {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const head = make("h2", { id: "dialog-title" }, title);
    const dialog = make("dialog", { class: kind, "aria-labelledby": "dialog-title" }, head);
    let answer = null;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    fill(dialog, close);
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus?.({ preventScroll: true });
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask for one of several answers, [[value, text], ...]; digits choose too. */
export function choose(title, text, answers) {
  return ask(title, (dialog, close) => {
    if (text) dialog.append(make("p", {}, text));
    const list = make("div", { class: "answers" });
    for (const [i, [value, words]] of answers.entries())
      list.append(make("button", { type: "button", click: () => close(value) }, make("kbd", {}, String(i + 1)), ` ${words}`));
    dialog.append(list);
    dialog.addEventListener("keydown", (event) => {
      const chosen = answers[Number(event.key) - 1];
      if (!chosen) return;
      event.preventDefault();
      close(chosen[0]);
    });
  });
}

/** Ask for a text, or null; if `act(text)` throws, show its message and keep the dialog open. */
export function enter(title, { text, label, type = "text", button, act, content = null, wide = false }) {
  return ask(
    title,
    (dialog, close) => {
      const input = type === "area" ? make("textarea", { rows: 3, maxlength: 2000, required: true }) : make("input", { type, required: true, autocomplete: type === "password" ? "current-password" : "off" });
      const wrong = make("p", { class: "wrong", role: "alert" });
      const send = make("button", { type: "submit", class: "strong" }, button);
      const form = make(
        "form", { method: "dialog" },
        make("label", {}, label, input),
        wrong,
        make("div", { class: "buttons" }, make("button", { type: "button", click: () => close(null) }, say("Cancel")), send),
      );
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        send.disabled = true;
        try {
          close(await act(input.value));
        } catch (error) {
          wrong.textContent = error.message;
          send.disabled = false;
          input.select();
        }
      });
      if (text) dialog.append(make("p", {}, text));
      if (content) dialog.append(content);
      dialog.append(form);
      queueMicrotask(() => input.focus());
    },
    wide ? "wide" : "",
  );
}

/** Show lines that the reader must confirm. */
export function showLines(title, lines) {
  return ask(title, (dialog, close) => {
    dialog.append(make("ul", {}, ...lines.map((line) => make("li", {}, line))));
    dialog.append(make("div", { class: "buttons" }, make("button", { type: "button", class: "strong", autofocus: true, click: () => close(true) }, say("OK"))));
  });
}

let hiding;

/** Show a sentence for a few seconds below the images; screen readers announce it. */
export function mention(text) {
  if (!text) return;
  const place = document.getElementById("mention");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => place.classList.remove("shown"), 6000);
}
