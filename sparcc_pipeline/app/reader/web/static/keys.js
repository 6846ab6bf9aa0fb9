// Names of keys: as events have them, and as people read them.

import { say } from "./words.js";

/** The key as the tables name it: letters small, whatever caps lock says; Shift only where it makes no other character. */
export function keyOf({ key, shiftKey }) {
  const letter = key.length === 1 && key.toLowerCase() !== key.toUpperCase();
  return `${shiftKey && (letter || key.length > 1) ? "Shift+" : ""}${letter ? key.toLowerCase() : key}`;
}

/** A key as its cap shows it. */
export const keyName = (key) =>
  key
    .replace("ArrowRight", "→").replace("ArrowLeft", "←").replace("ArrowUp", "↑").replace("ArrowDown", "↓")
    .replace("PageUp", "PgUp").replace("PageDown", "PgDn").replace("Escape", "Esc").replace("Enter", "⏎").replace(/^ $/, say("Space"));
