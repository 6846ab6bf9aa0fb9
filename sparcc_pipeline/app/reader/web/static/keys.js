// Names of keys: in events, and for people.

import { say } from "./words.js";

/** Return the key's name in the tables: letters in lower case, Shift only where it produces no other character. */
export function keyOf({ key, shiftKey, ctrlKey, metaKey }) {
  if (ctrlKey || metaKey) return `Ctrl+${shiftKey ? "Shift+" : ""}${key.toLowerCase()}`;
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  return `${shiftKey && (letter || key.length > 1) ? "Shift+" : ""}${letter ? key.toLowerCase() : key}`;
}

/** Return the label of a key. */
export const keyName = (key) =>
  key
    .replace("ArrowRight", "→").replace("ArrowLeft", "←").replace("ArrowUp", "↑").replace("ArrowDown", "↓")
    .replace("PageUp", "PgUp").replace("PageDown", "PgDn").replace("Escape", "Esc").replace("Enter", "⏎").replace(/^ $/, say("Space"));
