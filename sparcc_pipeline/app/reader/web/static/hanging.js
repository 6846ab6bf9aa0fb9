// All images of a case: their shared state (slice, zoom, window, crosshair, ruler) and their layout.

import { boxOf, fromCentre, inverse, moved } from "./geometry.js";
import { Panel } from "./panel.js";
import { Regions } from "./regions.js";

const MARGIN_MM = [16, 30];
const WHOLE_IMAGE_SHARE = 0.98;
/** Width and middle of a window, as shares of the window proposed by the server. */
export const PRESETS = [
  { width: 1, centre: 0.5 },
  { width: 0.6, centre: 0.35 },
  { width: 1.6, centre: 0.75 },
];
export const LAYOUTS = ["both", "stir", "t1"];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Hanging {
  /**
   * The images of `visits` in `host`, fetched from `api`. `reading` provides the points: `first(visit)`, `points(visit, joint)`,
   * `isFocused(visit, joint, item)`; `changed` is called when another slice or time point is shown.
   */
  constructor(host, api, visits, reading, changed) {
    Object.assign(this, { host, api, visits, reading, changed });
    this.active = visits[0];
    this.anchor = { visit: visits[0], slice: reading.first(visits[0]) };
    this.apart = new Map(visits.map((visit) => [visit, 0]));
    // A finger scrolls; a mouse has a wheel for that.
    this.tool = window.matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
    this.quadrantsShown = true;
    // Beside each other they would be too small on a phone.
    this.single = window.innerWidth < 700 && visits.length > 1;
    this.hasT1 = visits.some((visit) => visit.series.t1 !== null);
    this.layout = this.hasT1 ? "both" : "stir";
    this.windowing = { stir: { ...PRESETS[0] }, t1: { ...PRESETS[0] } };
    this.ruler = null;
    this.crosshair = null;
    this.regions = new Regions();
    this.overlay = null;
    // Text and lines on the images scale with the text of the page.
    this.textScale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;
    this.panels = visits.flatMap((visit) =>
      ["stir", "t1"].filter((kind) => visit.series[kind] !== null).map((kind) => new Panel(this, visit, kind)),
    );
    this.resetView();
    this.arrange();
    window.addEventListener("resize", () => this.arrange());
    for (const panel of this.panels) panel.stack.want(panel.slice ?? 0);
  }

  imagePath(visit, kind, slice) {
    return `${this.api}/images/${visit.label}/${kind}/${slice}`;
  }

  redraw() {
    for (const panel of this.panels) panel.redraw();
  }

  // Shown slices

  /** Return the shown STIR slice of a time point. */
  sliceOf(visit) {
    return clamp(this.levelOf(visit) + this.apart.get(visit), 0, visit.series.stir.slices - 1);
  }

  /**
   * Return the slice of a time point at the shown level, which may be outside its stack: by the bones where the machine
   * registered them, else the same distance from the first of the six slices.
   */
  levelOf(visit) {
    const { visit: from, slice } = this.anchor;
    if (visit === from) return slice;
    if (visit.level && from.level) {
      const place = moved(inverse(from.level), [slice, ...this.middleOf(from)]);
      return Math.round(moved(visit.level, place)[0]);
    }
    const away = (slice - this.reading.first(from)) * from.series.stir.spacing_mm[0];
    return this.reading.first(visit) + Math.round(away / visit.series.stir.spacing_mm[0]);
  }

  /** The number of slices that the form scores. */
  get sliceCount() {
    return this.reading.count ?? 6;
  }

  /** Return true if the shown level lies outside the images of a time point. */
  isBeyond(visit) {
    const wanted = this.levelOf(visit) + this.apart.get(visit);
    return wanted < 0 || wanted >= visit.series.stir.slices;
  }

  middleOf(visit) {
    return visit.centre.slice(1);
  }

  /** Return 1-6 if the shown slice is one of the six, else null. */
  positionOf(visit) {
    const position = this.sliceOf(visit) - this.reading.first(visit) + 1;
    return position >= 1 && position <= this.sliceCount ? position : null;
  }

  /** Show a slice of the active time point, and the slices of the others that show the same anatomy. */
  showSlice(slice, alone = false) {
    const { active } = this;
    const wanted = clamp(slice, 0, active.series.stir.slices - 1);
    if (alone) this.apart.set(active, wanted - this.levelOf(active));
    else this.anchor = { visit: active, slice: wanted - this.apart.get(active) };
    this.changed();
    this.redraw();
  }

  scroll(steps, alone = false) {
    this.showSlice(this.sliceOf(this.active) + steps, alone);
  }

  /** Show the same level of all time points again. */
  link() {
    const slice = this.sliceOf(this.active);
    for (const visit of this.visits) this.apart.set(visit, 0);
    this.showSlice(slice);
  }

  get unlinked() {
    return [...this.apart.values()].some((steps) => steps !== 0);
  }

  activate(visit) {
    if (visit === this.active) return;
    this.active = visit;
    this.arrange();
    this.changed();
  }

  // Window, zoom, position

  windowOf(series, kind) {
    const [black, white] = series.window;
    const { width, centre } = this.windowing[kind];
    const middle = black + centre * (white - black);
    const half = (width * (white - black)) / 2;
    return [Math.round(middle - half), Math.round(middle + half)];
  }

  /** Change the window by shares of the proposed window. */
  changeWindow(kind, wider, higher) {
    const now = this.windowing[kind];
    now.width = clamp(now.width * Math.exp(wider), 0.02, 20);
    now.centre = clamp(now.centre + higher, -2, 8);
    this.redraw();
  }

  preset(number) {
    for (const kind of ["stir", "t1"]) this.windowing[kind] = { ...PRESETS[number] };
    this.redraw();
  }

  /** Zoom about a fixed position (down, left) in mm from the middle of the panels. */
  zoomBy(factor, about = [0, 0]) {
    const before = this.zoom;
    this.zoom = clamp(before * factor, 0.3, 12);
    const shift = before / this.zoom - 1;
    this.pan = [this.pan[0] + about[0] * shift, this.pan[1] + about[1] * shift];
    this.redraw();
  }

  panBy(downMm, leftMm) {
    this.pan = [this.pan[0] + downMm, this.pan[1] + leftMm];
    this.redraw();
  }

  /** Fit the joints to the panels, or the whole image if the joints fill them already. */
  resetView() {
    const atJoints = this.zoom === 1 && this.pan[0] === 0 && this.pan[1] === 0 && !this.whole;
    this.whole = atJoints;
    this.zoom = 1;
    this.pan = [0, 0];
    this.boxMm = this.whole ? this.wholeBox() : this.jointBox();
    this.redraw();
  }

  /** Return the height and width in mm of the joints of every time point on its six slices. */
  jointBox() {
    const boxes = this.visits.map((visit) => this.jointsOf(visit)).filter((box) => box !== null);
    if (boxes.length === 0) return this.wholeBox();
    const extent = (range, spacing) => (range[1] - range[0]) * spacing;
    return [
      Math.max(...boxes.map(({ box, spacing }) => extent(box.rows, spacing[1]))) + 2 * MARGIN_MM[0],
      Math.max(...boxes.map(({ box, spacing }) => extent(box.columns, spacing[2]))) + 2 * MARGIN_MM[1],
    ];
  }

  wholeBox() {
    const series = this.visits.map((visit) => visit.series.stir);
    return [
      Math.max(...series.map(({ rows, spacing_mm: spacing }) => rows * spacing[1])) / WHOLE_IMAGE_SHARE,
      Math.max(...series.map(({ columns, spacing_mm: spacing }) => columns * spacing[2])) / WHOLE_IMAGE_SHARE,
    ];
  }

  jointsOf(visit) {
    const first = visit.proposed_first;
    const joints = visit.joints.filter((joint) => joint.slice_index >= first && joint.slice_index < first + 6);
    const points = joints.flatMap((joint) => joint.line);
    return points.length === 0 ? null : { box: boxOf(points), spacing: visit.series.stir.spacing_mm };
  }

  /** Return (row, column) of STIR in the middle of the panels. */
  centreOf(visit) {
    const { rows, columns } = visit.series.stir;
    if (this.whole) return [(rows - 1) / 2, (columns - 1) / 2];
    const found = this.jointsOf(visit)?.box;
    if (!found) return visit.centre.slice(1);
    return [(found.rows[0] + found.rows[1]) / 2, (found.columns[0] + found.columns[1]) / 2];
  }

  // Points, crosshair, ruler

  pointsOf(visit, joint) {
    return this.positionOf(visit) === null ? null : this.reading.points(visit, this.positionOf(visit), joint.joint);
  }

  isFocused(visit, joint, item) {
    return this.reading.isFocused(visit, this.positionOf(visit), joint, item);
  }

  /** Set the crosshair in a panel; other time points show it at the same offset from the middle of the joints. */
  point(panel, place) {
    if (!panel.linked) return;
    this.crosshair = { offset: fromCentre(panel.visit, panel.stirIndex(place)) };
    this.redraw();
  }

  rulerOn(panel) {
    const { ruler } = this;
    return ruler && ruler.panel === panel && ruler.slice === panel.slice ? ruler : null;
  }

  setRuler(panel, from, to) {
    this.ruler = { panel, slice: panel.slice, from, to };
    panel.redraw();
  }

  clearMarks() {
    this.ruler = null;
    this.crosshair = null;
    this.regions.clear();
    this.changed();
    this.redraw();
  }

  // Layout

  /** Arrange time points side by side; STIR above T1, or beside it if that makes one time point larger. */
  arrange() {
    const visits = this.single ? [this.active] : this.visits;
    const kinds = this.layout === "both" ? ["stir", "t1"] : [this.layout];
    // A time point without T1 shows STIR in its place.
    const kindsOf = (visit) => (visit.series.t1 === null ? ["stir"] : kinds);
    const shown = this.panels.filter((panel) => visits.includes(panel.visit) && kindsOf(panel.visit).includes(panel.kind));
    const rows = kinds.filter((kind) => shown.some((panel) => panel.kind === kind));
    const beside = visits.length === 1 && this.scaleWith(rows.length, 1) > this.scaleWith(1, rows.length);
    this.host.style.gridTemplateColumns = `repeat(${beside ? rows.length : visits.length}, minmax(0, 1fr))`;
    this.host.style.gridTemplateRows = `repeat(${beside ? 1 : rows.length}, minmax(0, 1fr))`;
    for (const panel of shown) {
      const column = beside ? rows.indexOf(panel.kind) : visits.indexOf(panel.visit);
      panel.element.style.gridColumn = column + 1;
      const alone = panel.visit.series.t1 === null;
      panel.element.style.gridRow = beside ? 1 : alone ? `1 / span ${rows.length}` : rows.indexOf(panel.kind) + 1;
    }
    const now = shown.map((panel) => panel.element);
    if (now.length !== this.host.children.length || now.some((element, i) => element !== this.host.children[i]))
      this.host.replaceChildren(...now);
    for (const panel of this.panels) panel.element.classList.toggle("active", panel.visit === this.active && this.visits.length > 1);
    this.redraw();
  }

  /** Return the size of the joints for a division of the host, in CSS pixels a millimetre. */
  scaleWith(columns, rows) {
    const { clientWidth, clientHeight } = this.host;
    return Math.min(clientWidth / columns / this.boxMm[1], clientHeight / rows / this.boxMm[0]);
  }

  nextLayout() {
    if (!this.hasT1) return;
    this.layout = LAYOUTS[(LAYOUTS.indexOf(this.layout) + 1) % LAYOUTS.length];
    this.arrange();
  }

  toggleSingle() {
    this.single = !this.single && this.visits.length > 1;
    this.arrange();
  }

  /** The STIR panel of the active time point, or its T1 panel if only T1 is shown. */
  get activePanel() {
    const kind = this.layout === "t1" && this.active.series.t1 !== null ? "t1" : "stir";
    return this.panels.find((panel) => panel.visit === this.active && panel.kind === kind);
  }
}
