// The structural form on T1: fat and erosion in quadrants, backfill and ankylosis in halves of a joint, on five slices. One
// lesion is shown at a time, in the grid and on the images.

import { make } from "./dialogs.js";
import { Form } from "./form.js";
import { Grid, itemName, lesionName } from "./grid.js";
import { JOINTS, QUADRANTS, Reading } from "./reading.js";
import { say } from "./words.js";

const HALVES = ["upper", "lower"];
const PARTS = { fat: QUADRANTS, erosion: QUADRANTS, backfill: HALVES, ankylosis: HALVES };
export const LESIONS = Object.keys(PARTS);
const ITEMS = LESIONS.flatMap((lesion) => PARTS[lesion].map((part) => `${lesion}_${part}`));
const SLICES = [1, 2, 3, 4, 5];
const QUADRANT_COLUMNS = { right: ["upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral"], left: ["upper_sacral", "lower_sacral", "upper_iliac", "lower_iliac"] };

export class StructuralReading extends Reading {
  get items() {
    return ITEMS;
  }

  get slices() {
    return SLICES;
  }

  set(label, slice, joint, item, value) {
    const entry = this.joint(label, slice, joint);
    entry[item] = value;
    if (!ITEMS.some((each) => entry[each] === null)) entry.reason = null;
    this.changed();
    return null;
  }

  follow() {
    return null;
  }

  /** Return the four totals, each null if nothing is evaluable; `total` is null because they are never summed. */
  totals(label) {
    const { joints } = this.visit(label);
    const of = (lesion) => {
      const points = joints.flatMap((entry) => PARTS[lesion].map((part) => entry[`${lesion}_${part}`])).filter((point) => point !== null);
      return points.length === 0 ? null : points.reduce((sum, point) => sum + point, 0);
    };
    const maximum = joints.reduce((n, entry) => n + ITEMS.filter((item) => entry[item] !== null).length, 0);
    return { ...Object.fromEntries(LESIONS.map((lesion) => [lesion, of(lesion)])), total: null, maximum };
  }

  /** Return the points of one lesion by quadrant, as the images draw them. */
  drawn(label, slice, joint, lesion) {
    const entry = this.joint(label, slice, joint);
    return Object.fromEntries(QUADRANTS.map((quadrant) => [quadrant, entry[itemOf(lesion, quadrant)]]));
  }
}

/** Return the item of a lesion at a quadrant: of the half of the joint for backfill and ankylosis. */
export const itemOf = (lesion, quadrant) => `${lesion}_${PARTS[lesion] === HALVES ? quadrant.split("_")[0] : quadrant}`;

class StructuralGrid extends Grid {
  constructor(host, reading, acts, lesion) {
    const parts = (joint) => (PARTS[lesion] === HALVES ? HALVES : QUADRANT_COLUMNS[joint]);
    super(host, reading, acts, JOINTS.flatMap((joint) => parts(joint).map((part) => [joint, `${lesion}_${part}`])));
  }

  isEdge(column) {
    return column % (this.columns.length / 2) === 0;
  }

  head() {
    const half = this.columns.length / 2;
    const sides = make("tr", {}, make("th"));
    for (const name of [say("Patient's right"), say("Patient's left")]) sides.append(make("th", { colspan: half, scope: "colgroup", class: "edge" }, name));
    sides.append(make("th"));
    const items = make("tr", {}, make("th"));
    for (const [i, [, item]] of this.columns.entries()) {
      const short = [item.includes("upper") ? say("up") : say("lo"), item.includes("iliac") ? say("Iliac") : item.includes("sacral") ? say("Sacral") : ""];
      items.append(make("th", { class: this.isEdge(i) ? "edge" : "", title: itemName(item) }, short.filter(Boolean).join(" ")));
    }
    items.append(make("th", { title: say("read") }, "✓"));
    return make("thead", {}, sides, items);
  }
}

export class StructuralForm extends Form {
  makeGrid() {
    this.lesion ??= LESIONS[0];
    return new StructuralGrid(document.getElementById("grid"), this.reading, this.acts, this.lesion);
  }

  questions() {
    super.questions();
    for (const button of document.querySelectorAll("[data-lesion]"))
      button.addEventListener("click", () => this.choose(button.dataset.lesion));
  }

  choose(lesion) {
    this.lesion = lesion;
    const { row } = this.grid.at;
    this.grid = this.makeGrid();
    this.grid.at.row = row;
    this.show();
    this.hanging.redraw();
  }

  show() {
    super.show();
    for (const button of document.querySelectorAll("[data-lesion]"))
      button.setAttribute("aria-checked", String(button.dataset.lesion === this.lesion));
  }

  showTotals() {
    const totals = this.reading.totals(this.label);
    document.getElementById("total").textContent = totals[this.lesion] ?? "–";
    document.getElementById("maximum").textContent = lesionName(this.lesion);
    document.getElementById("parts").textContent = LESIONS.map((lesion) => `${lesionName(lesion)} ${totals[lesion] ?? "–"}`).join(" · ");
  }
}
