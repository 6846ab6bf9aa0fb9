// One image: a slice of one series of one time point on a canvas, at the screen's resolution, with its drawings.

import * as draw from "./draw.js";
import { atCentre, distanceMm, inverse, moved } from "./geometry.js";
import { Stack, Windowing } from "./pixels.js";
import { inMm, say } from "./words.js";

export const QUADRANTS = ["upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral"];
const UNIT_MATRIX = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]];

/** Return true if a quadrant's outer edge, away from the joint, is to the left on the image. */
const isOnTheLeft = (joint, item) => (joint === "right") === item.endsWith("iliac");

export class Panel {
  /** A panel of `visit`, showing "stir" or "t1"; `hanging` holds the state that all panels share. */
  constructor(hanging, visit, kind) {
    this.hanging = hanging;
    this.visit = visit;
    this.kind = kind;
    this.series = visit.series[kind];
    this.linked = this.series.to_stir !== null;
    this.toStir = this.series.to_stir ?? UNIT_MATRIX;
    this.fromStir = inverse(this.toStir);
    this.element = document.createElement("div");
    this.element.className = "panel";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "img");
    this.canvas = document.createElement("canvas");
    this.element.append(this.canvas);
    this.stack = new Stack(this.series, (slice) => hanging.imagePath(visit, kind, slice), () => this.redraw());
    this.image = new OffscreenCanvas(this.series.columns, this.series.rows);
    this.shown = "";
    this.windowing = new Windowing();
    this.targets = [];
    this.hovered = null;
    new ResizeObserver(() => this.redraw()).observe(this.element);
  }

  /** Return the slice of this series to show, or null outside the series. */
  get slice() {
    const stir = this.hanging.sliceOf(this.visit);
    if (this.kind === "stir") return stir;
    if (this.visit.stir_to_t1 !== null) return this.visit.stir_to_t1[stir];
    const share = stir / Math.max(this.visit.series.stir.slices - 1, 1);
    return Math.round(share * (this.series.slices - 1));
  }

  /** Draw once at the next frame, even after several calls. */
  redraw() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  /** Return the canvas position of (row, column) of this series. */
  place([row, column]) {
    const { centre, scale, x, y } = this.view;
    return [
      x + (column - centre[1]) * this.series.spacing_mm[2] * scale,
      y + (row - centre[0]) * this.series.spacing_mm[1] * scale,
    ];
  }

  /** Return (row, column) of this series at a position in CSS pixels of the panel. */
  under(cssX, cssY) {
    const { centre, scale, x, y } = this.view;
    return [
      centre[0] + (cssY * this.ratio - y) / (scale * this.series.spacing_mm[1]),
      centre[1] + (cssX * this.ratio - x) / (scale * this.series.spacing_mm[2]),
    ];
  }

  /** Return the millimetres (down, left) from the middle of the panel to a position in CSS pixels. */
  fromMiddle(cssX, cssY) {
    const { clientWidth, clientHeight } = this.element;
    const mm = this.ratio / this.view.scale;
    return [(cssY - clientHeight / 2) * mm, (cssX - clientWidth / 2) * mm];
  }

  /** Return (row, column) of this series at a position of STIR on the shown slice. */
  fromStirPlace(place) {
    if (!this.linked) return place;
    return moved(this.fromStir, [this.hanging.sliceOf(this.visit), ...place]).slice(1);
  }

  /** Return STIR's index of a position of this series on the shown slice. */
  stirIndex(place) {
    return this.linked ? moved(this.toStir, [this.slice, ...place]) : [this.hanging.sliceOf(this.visit), ...place];
  }

  measure() {
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.element.clientWidth * this.ratio);
    const height = Math.round(this.element.clientHeight * this.ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const { hanging } = this;
    const stirCentre = hanging.centreOf(this.visit);
    const centre = this.linked ? this.fromStirPlace(stirCentre) : [(this.series.rows - 1) / 2, (this.series.columns - 1) / 2];
    const box = hanging.boxMm;
    const scale = Math.min(width / box[1], height / box[0]) * hanging.zoom;
    this.view = { centre, scale, x: width / 2 + hanging.pan[1] * scale, y: height / 2 + hanging.pan[0] * scale };
    return [width, height];
  }

  draw() {
    const [width, height] = this.measure();
    if (width === 0 || height === 0) return;
    const context = this.canvas.getContext("2d", { alpha: false });
    context.unit = this.ratio * this.hanging.textScale;
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    const { slice } = this;
    this.targets = [];
    if (this.hanging.isBeyond(this.visit)) {
      draw.notice(context, width, height, say("{label} does not reach this level", { label: this.visit.label }));
    } else if (slice === null) {
      draw.notice(context, width, height, say("T1 does not reach this slice"));
    } else {
      this.stack.want(slice);
      if (this.paint(slice)) this.drawImage(context);
      else draw.notice(context, width, height, this.stack.failed ? say("No connection: trying again") : say("Loading"));
      this.drawMarks(context, width, height);
    }
    this.describe(slice);
  }

  /** Apply the window to the slice's pixels and write `image`; return false until the pixels have arrived. */
  paint(slice) {
    const pixels = this.stack.get(slice);
    if (pixels === undefined) return false;
    const [black, white] = this.hanging.windowOf(this.series, this.kind);
    const shown = `${slice} ${black} ${white}`;
    if (shown !== this.shown) {
      const table = this.windowing.of(black, white);
      const gray = new ImageData(this.series.columns, this.series.rows);
      const words = new Uint32Array(gray.data.buffer);
      for (let i = 0; i < pixels.length; i += 1) words[i] = table[pixels[i]];
      this.image.getContext("2d").putImageData(gray, 0, 0);
      this.shown = shown;
      this.element.dataset.slice = slice;
    }
    return true;
  }

  drawImage(context) {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const [x, y] = this.place([-0.5, -0.5]);
    const [right, bottom] = this.place([this.series.rows - 0.5, this.series.columns - 0.5]);
    context.drawImage(this.image, x, y, right - x, bottom - y);
    this.hanging.overlay?.draw(context, this, [x, y, right - x, bottom - y]);
  }

  drawMarks(context, width, height) {
    const { hanging, visit, kind } = this;
    // If the relative position of the series is unknown, nothing of one is drawn on the other.
    if (hanging.quadrantsShown && this.linked) this.drawQuadrants(context);
    hanging.regions.draw(context, this);
    const ruler = hanging.rulerOn(this);
    if (ruler) draw.ruler(context, this.series, ruler.from, ruler.to, (place) => this.place(place));
    if (hanging.crosshair && this.linked) this.drawCrosshair(context, width, height);
    const position = hanging.positionOf(visit);
    const number = say("Slice {slice} of {count}", { slice: this.slice + 1, count: this.series.slices });
    const part = position === null ? number : `${number}  ·  ${position}/${hanging.sliceCount}`;
    const [black, white] = hanging.windowOf(this.series, kind);
    draw.marks(context, width, height, this.view.scale, {
      figures: `W ${white - black}  L ${Math.round((black + white) / 2)}`,
      head: `${visit.label}  ${kind === "stir" ? "STIR" : "T1"}`,
      below: kind === "stir" || this.linked ? part : `${part}  ·  ${say("not linked")}`,
      right: "R",
      left: "L",
    });
  }

  drawQuadrants(context) {
    const { hanging, visit } = this;
    const slice = hanging.sliceOf(visit);
    for (const joint of visit.joints.filter((each) => each.slice_index === slice)) {
      const points = hanging.pointsOf(visit, joint);
      const machine = hanging.reading.machine?.(visit, joint);
      for (const item of QUADRANTS) {
        const polygons = (joint.quadrants[item] ?? []).map((polygon) => polygon.map((place) => this.fromStirPlace(place)));
        if (polygons.length === 0) continue;
        const target = { joint: joint.joint, item, shapes: [] };
        for (const [i, polygon] of polygons.entries()) {
          const places = polygon.map((place) => this.place(place));
          draw.quadrant(context, places, {
            point: points?.[item],
            hovered: points && this.isHovered(joint.joint, item),
            focused: points && hanging.isFocused(visit, joint.joint, item),
            badge: i === 0 ? draw.beside(context, places, isOnTheLeft(joint.joint, item)) : null,
          });
          target.shapes.push(draw.path(places));
        }
        const first = polygons[0].map((place) => this.place(place));
        if (machine?.[item] === 1) draw.diamond(context, draw.beside(context, first, isOnTheLeft(joint.joint, item)));
        if (points) this.targets.push(target);
      }
      if (points && "intense" in points) this.drawLetters(context, joint, points, machine);
    }
  }

  /** Draw the buttons for intensity and depth below the joint. */
  drawLetters(context, joint, points, machine) {
    if (joint.line.length === 0) return;
    const end = joint.line.at(-1);
    const below = this.place(this.fromStirPlace(end));
    for (const [i, [item, letter]] of [["intense", say("I")], ["deep", say("D")]].entries()) {
      const at = [below[0] + (2 * i - 1) * 13 * context.unit, below[1] + 18 * context.unit];
      const text = points[item] === null ? "–" : letter;
      const lit = this.isHovered(joint.joint, item) || this.hanging.isFocused(this.visit, joint.joint, item);
      const box = draw.stamp(context, at, text, points[item] === 1, lit);
      if (machine?.[item] === 1) draw.diamond(context, [at[0], at[1]]);
      this.targets.push({ joint: joint.joint, item, box });
    }
  }

  drawCrosshair(context, width, height) {
    const index = atCentre(this.visit, this.hanging.crosshair.offset);
    const onSlice = Math.abs(index[0] - this.hanging.sliceOf(this.visit)) <= 0.5;
    draw.crosshair(context, this.place(moved(this.fromStir, index).slice(1)), width, height, onSlice);
  }

  isHovered(joint, item) {
    return this.hovered?.joint === joint && this.hovered?.item === item;
  }

  /** Return the quadrant or letter at a position in CSS pixels, or null. Letters are in front. */
  targetAt(cssX, cssY) {
    const [x, y] = [cssX * this.ratio, cssY * this.ratio];
    const context = this.canvas.getContext("2d");
    const hit = ({ box, shapes }) =>
      box
        ? x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3]
        : shapes.some((shape) => context.isPointInPath(shape, x, y));
    return this.targets.filter((target) => target.box).find(hit) ?? this.targets.find(hit) ?? null;
  }

  describe(slice) {
    const what = { label: this.visit.label, series: this.kind === "stir" ? "STIR" : "T1" };
    const ruler = this.hanging.rulerOn(this);
    this.element.dataset.window = this.hanging.windowOf(this.series, this.kind).join(" ");
    const measured = ruler ? `, ${inMm(distanceMm(this.series, ruler.from, ruler.to))}` : "";
    const text =
      slice === null
        ? say("Time point {label}, {series}: not covered", what)
        : say("Time point {label}, {series}, slice {slice} of {count}", { ...what, slice: slice + 1, count: this.series.slices }) + measured;
    if (this.element.getAttribute("aria-label") !== text) this.element.setAttribute("aria-label", text);
  }
}
