// The compact grid of one time point: six slices, with the items of both joints in the order of the image. One cell is in
// the tab order; arrow keys move the focus, and the images show its slice.

import { keyOf } from "./keys.js";
import { say } from "./words.js";

/** Items in the order of the image: the ilia outside, the sacrum between. */
export const COLUMNS = [
  ...["upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral", "intense", "deep"].map((item) => ["right", item]),
  ...["upper_sacral", "lower_sacral", "upper_iliac", "lower_iliac", "intense", "deep"].map((item) => ["left", item]),
];

export const itemName = (item) =>
  structuralName(item) ??
  ({
    upper_iliac: say("upper iliac quadrant"),
    lower_iliac: say("lower iliac quadrant"),
    upper_sacral: say("upper sacral quadrant"),
    lower_sacral: say("lower sacral quadrant"),
    intense: say("intensity"),
    deep: say("depth"),
  })[item];

const LESIONS = ["fat", "erosion", "backfill", "ankylosis"];

export const lesionName = (lesion) =>
  ({ fat: say("fat"), erosion: say("erosion"), backfill: say("backfill"), ankylosis: say("ankylosis") })[lesion];

/** Return the name of an item of the structural form, `lesion_part`, or null. */
function structuralName(item) {
  const lesion = LESIONS.find((each) => item.startsWith(`${each}_`));
  if (!lesion) return null;
  const part = item.slice(lesion.length + 1);
  const half = { upper: say("upper half"), lower: say("lower half") }[part];
  return `${lesionName(lesion)}, ${half ?? itemName(part)}`;
}

/** The same for a line that names the joint already. */
export const shortItemName = (item) =>
  ({
    upper_iliac: say("upper iliac"),
    lower_iliac: say("lower iliac"),
    upper_sacral: say("upper sacral"),
    lower_sacral: say("lower sacral"),
    intense: say("intensity"),
    deep: say("depth"),
  })[item];

export const jointName = (joint) => (joint === "right" ? say("right") : say("left"));

export const reasonName = (reason) =>
  ({
    joint_not_visible: say("joint not visible"),
    joint_too_short: say("joint too short for lower quadrants"),
    artefact: say("artefact"),
    outside_image: say("outside the image"),
    other: say("other (comment needed)"),
  })[reason];

const short = (item) =>
  ({ upper: say("up"), lower: say("lo"), intense: say("I"), deep: say("D") })[item.split("_")[0]];

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

export class Grid {
  /**
   * A grid in `host`. `reading` holds the points; `acts` has `toggle(slice, joint, item)`, `notEvaluable(...)`,
   * `toggleRead(slice)`, `next()` and `looked(slice)`, called when another row is selected.
   */
  constructor(host, reading, acts, columns = COLUMNS) {
    Object.assign(this, { host, reading, acts, columns });
    this.at = { row: 0, column: 0 };
    this.cells = this.reading.slices.map(() => []);
    this.table = element("table", { class: "points", role: "grid" });
    this.table.append(this.head(), this.body());
    host.replaceChildren(this.table);
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.table.addEventListener("click", (event) => this.click(event));
    this.table.addEventListener("contextmenu", (event) => this.click(event));
  }

  head() {
    const sides = element("tr", {}, element("th"));
    sides.append(element("th", { colspan: 6, scope: "colgroup", class: "edge" }, say("Patient's right")));
    sides.append(element("th", { colspan: 6, scope: "colgroup", class: "edge" }, say("Patient's left")), element("th"));
    const bones = element("tr", {}, element("th"));
    for (const [first, second] of [
      [say("Iliac"), say("Sacral")],
      [say("Sacral"), say("Iliac")],
    ])
      bones.append(element("th", { colspan: 2, class: "edge" }, first), element("th", { colspan: 2 }, second), element("th"), element("th"));
    bones.append(element("th"));
    const items = element("tr", {}, element("th"));
    for (const [i, [, item]] of this.columns.entries())
      items.append(element("th", { class: i % 6 === 0 ? "edge" : "", title: itemName(item) }, short(item)));
    items.append(element("th", { title: say("read") }, "✓"));
    return element("thead", {}, sides, bones, items);
  }

  isEdge(column) {
    return column % 6 === 0;
  }

  body() {
    const body = element("tbody");
    for (const [row, slice] of this.reading.slices.entries()) {
      const line = element("tr", { role: "row", "data-slice": slice });
      line.append(element("th", { scope: "row", class: "slice" }));
      for (const [column, [joint, item]] of this.columns.entries()) {
        const cell = element("td", {
          role: "gridcell", tabindex: -1, class: this.isEdge(column) ? "edge" : "",
          "data-row": row, "data-column": column, "data-item": `${slice} ${joint} ${item}`,
        });
        cell.append(element("span", { "aria-hidden": "true" }));
        this.cells[row].push(cell);
        line.append(cell);
      }
      const check = element("td", {
        role: "gridcell", tabindex: -1, class: "check", "data-row": row, "data-column": this.columns.length, "data-read": slice,
      });
      check.append(element("span", { "aria-hidden": "true" }));
      this.cells[row].push(check);
      line.append(check);
      body.append(line);
    }
    return body;
  }

  /** Show a time point and mark the shown slice. */
  show(label, looked, differs = () => false, judge = () => null) {
    this.label = label;
    this.table.setAttribute("aria-label", say("Points of time point {label}", { label }));
    for (const [row, slice] of this.reading.slices.entries()) {
      const line = this.cells[row][0].parentElement;
      line.classList.toggle("looked", slice === looked);
      const number = this.reading.numberOf(label, slice);
      line.firstElementChild.textContent = number;
      line.firstElementChild.title = say("{place} of the {count} slices", { place: slice, count: this.reading.slices.length });
      for (const [column, [joint, item]] of this.columns.entries()) {
        const value = this.reading.joint(label, slice, joint)[item];
        this.fill(this.cells[row][column], label, slice, joint, item, value);
        this.cells[row][column].classList.toggle("differs", differs(slice, joint, item));
        for (const answer of ["right", "wrong"])
          this.cells[row][column].classList.toggle(answer, judge(slice, joint, item) === answer);
      }
      const read = this.reading.isRead(label, slice);
      const check = this.cells[row][this.columns.length];
      check.firstChild.textContent = read ? "✓" : "";
      check.classList.toggle("read", read);
      check.setAttribute("aria-label", read ? say("Slice {slice}: read", { slice: number }) : say("Slice {slice}: not yet read", { slice: number }));
    }
    this.roam();
  }

  fill(cell, label, slice, joint, item, value) {
    // An unread slice has no points, not points of 0.
    const none = this.reading.joint(label, slice, joint).read ? "0" : "·";
    cell.firstChild.textContent = value === null ? "–" : value || none;
    cell.classList.toggle("one", value === 1);
    cell.classList.toggle("na", value === null);
    const shown = value === null ? say("not evaluable") : value;
    cell.setAttribute(
      "aria-label",
      say("Slice {slice}, {joint}, {item}: {value}", { slice: this.reading.numberOf(label, slice), joint: jointName(joint), item: itemName(item), value: shown }),
    );
  }

  roam() {
    for (const cell of this.cells.flat()) cell.tabIndex = -1;
    this.cell.tabIndex = 0;
  }

  get cell() {
    return this.cells[this.at.row][this.at.column];
  }

  get focused() {
    return this.table.contains(document.activeElement);
  }

  /** Return true if the cell of this item has the focus. */
  isAt(slice, joint, item) {
    if (!this.focused || this.at.column === this.columns.length) return false;
    const [here, what] = this.columns[this.at.column];
    return this.reading.slices[this.at.row] === slice && here === joint && what === item;
  }

  move(row, column, focus = true) {
    this.at = { row: Math.min(this.reading.slices.length - 1, Math.max(0, row)), column: Math.min(this.columns.length, Math.max(0, column)) };
    this.roam();
    if (focus) this.cell.focus();
    this.acts.looked(this.reading.slices[this.at.row]);
  }

  /** Mark the row of a slice without moving the focus. */
  follow(slice) {
    this.at.row = slice - 1;
    this.roam();
    if (this.focused) this.cell.focus();
  }

  focus() {
    this.move(this.at.row, this.at.column);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { row, column } = this.at;
    const moves = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, this.columns.length],
    };
    const slice = this.reading.slices[row];
    const acts = {
      " ": () => this.press(slice, column),
      1: () => this.press(slice, column, 1),
      0: () => this.press(slice, column, 0),
      n: () => this.press(slice, column, null),
      "Shift+n": () => column < this.columns.length && this.acts.notEvaluable(slice, this.columns[column][0], this.reading.items),
      Enter: () => this.acts.next(slice),
    };
    const name = keyOf(event);
    if (moves[name]) this.move(...moves[name]);
    else if (acts[name]) acts[name]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  press(slice, column, value) {
    if (column === this.columns.length) {
      if (value !== null) this.acts.toggleRead(slice);
      return;
    }
    const [joint, item] = this.columns[column];
    if (value === null) this.acts.notEvaluable(slice, joint, [item]);
    else if (value === undefined) this.acts.toggle(slice, joint, item);
    else this.acts.set(slice, joint, item, value);
  }

  click(event) {
    const cell = event.target.closest("td");
    if (cell === null) return;
    event.preventDefault();
    const [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
    this.move(row, column);
    this.press(this.reading.slices[row], column, event.type === "contextmenu" ? null : undefined);
  }
}

