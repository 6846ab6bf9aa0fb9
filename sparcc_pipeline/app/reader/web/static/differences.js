// Differences between two readings of the same images, one line a point; a click on a line shows its slice.

import { make } from "./dialogs.js";
import { jointName, shortItemName } from "./grid.js";
import { say } from "./words.js";

const point = (value) => (value === null || value === undefined ? "–" : String(value));

/**
 * Return a table of differences `{slice, joint, item, reading, ...}`; `key` is the field of the other value, `other` its head.
 * `extra` adds one column, `[head, cell(difference)]`.
 */
export function differenceList(differences, go, other, key, extra = null) {
  if (differences.length === 0) return make("p", { class: "note" }, say("No difference on these slices."));
  const heads = [say("Slice"), say("Joint and item"), say("mine"), other, ...(extra ? [extra[0]] : [])];
  const rows = differences.map((each) => {
    const what = `${jointName(each.joint)} · ${shortItemName(each.item)}`;
    const name = make("button", { type: "button", class: "plain" }, what);
    const cells = [make("td", {}, String(each.slice_index === undefined || each.slice_index === null ? "–" : each.slice_index + 1)), make("td", {}, name)];
    for (const value of [each.reading, each[key]]) cells.push(make("td", { class: value === 1 ? "one" : "" }, make("span", {}, point(value))));
    if (extra) cells.push(make("td", {}, extra[1](each)));
    return make("tr", { click: () => go(each), "data-item": `${each.slice} ${each.joint} ${each.item}` }, ...cells);
  });
  return make("table", { class: "differences" },
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...rows));
}
