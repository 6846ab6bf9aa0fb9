// Regions drawn on an image: mean signal and area. Intensity is a comparison with vessels, so regions stay until they are
// removed, each with its number, also when another slice is shown.

import { COLOUR, path } from "./draw.js";
import { say } from "./words.js";

const MOST = 4;
const CIRCLE_MM = 4;

/** Return the area in mm2 of a polygon (row, column). */
export function areaMm2({ spacing_mm: spacing }, points) {
  const twice = points.reduce((sum, [row, column], i) => {
    const [nextRow, nextColumn] = points[(i + 1) % points.length];
    return sum + row * nextColumn - nextRow * column;
  }, 0);
  return (Math.abs(twice) / 2) * spacing[1] * spacing[2];
}

const isInside = (points, row, column) => {
  let inside = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
    const [[r, c], [s, d]] = [points[i], points[j]];
    if (r > row !== s > row && column < ((d - c) * (row - r)) / (s - r) + c) inside = !inside;
  }
  return inside;
};

/** Return the mean signal of the pixels with their centre in a polygon; of the pixel in its middle if there is none. */
export function meanOf(pixels, { rows, columns }, points) {
  const clamp = (value, high) => Math.min(high, Math.max(0, value));
  const of = (axis) => points.map((point) => point[axis]);
  let [sum, count] = [0, 0];
  for (let row = clamp(Math.ceil(Math.min(...of(0))), rows - 1); row <= clamp(Math.floor(Math.max(...of(0))), rows - 1); row += 1)
    for (let column = clamp(Math.ceil(Math.min(...of(1))), columns - 1); column <= clamp(Math.floor(Math.max(...of(1))), columns - 1); column += 1)
      if (isInside(points, row, column)) {
        sum += pixels[row * columns + column];
        count += 1;
      }
  if (count > 0) return sum / count;
  const middle = (axis, high) => clamp(Math.round(of(axis).reduce((a, b) => a + b, 0) / points.length), high);
  return pixels[middle(0, rows - 1) * columns + middle(1, columns - 1)];
}

/** Return a circle (row, column) about a place, for the keyboard. */
export function circle({ spacing_mm: spacing }, [row, column]) {
  return Array.from({ length: 24 }, (_, i) => {
    const angle = (i * Math.PI) / 12;
    return [row + (CIRCLE_MM * Math.sin(angle)) / spacing[1], column + (CIRCLE_MM * Math.cos(angle)) / spacing[2]];
  });
}

export class Regions {
  constructor() {
    this.all = [];
    this.next = 1;
  }

  /** Begin a region on a panel; the oldest is removed. */
  begin(panel, points) {
    this.all.push({ number: this.next, panel, slice: panel.slice, points });
    this.next += 1;
    if (this.all.length > MOST) this.all.shift();
  }

  extend(point) {
    this.all.at(-1).points.push(point);
  }

  /** Remove the last region if it is only a click. */
  end() {
    if (this.all.at(-1)?.points.length >= 3) return;
    this.all.pop();
    this.next -= 1;
  }

  clear() {
    this.all = [];
    this.next = 1;
  }

  /** Draw the regions of a panel on its shown slice. */
  draw(context, panel) {
    for (const region of this.all.filter((each) => each.panel === panel && each.slice === panel.slice)) {
      const places = region.points.map((point) => panel.place(point));
      context.lineWidth = 1.5 * context.unit;
      context.strokeStyle = COLOUR.ruler;
      context.stroke(path(places));
      const right = places.reduce((best, place) => (place[0] > best[0] ? place : best));
      context.font = `700 ${13 * context.unit}px sans-serif`;
      context.textAlign = "left";
      context.fillStyle = COLOUR.ruler;
      context.strokeStyle = "rgba(0, 0, 0, 0.85)";
      context.lineWidth = 3 * context.unit;
      const text = `${region.number}: ${this.measured(region)}`;
      context.strokeText(text, right[0] + 6 * context.unit, right[1]);
      context.fillText(text, right[0] + 6 * context.unit, right[1]);
    }
  }

  /** Return mean and area in words. */
  measured({ panel, slice, points }) {
    const pixels = panel.stack.get(slice);
    const mean = pixels === undefined ? "–" : Math.round(meanOf(pixels, panel.series, points));
    return say("mean {mean}, {area} mm²", { mean, area: Math.round(areaMm2(panel.series, points)) });
  }

  /** Return one line a region, for the list beside the images. */
  lines() {
    return this.all.map((region) => {
      const { panel, slice, number } = region;
      const series = panel.kind === "stir" ? "STIR" : "T1";
      const where = { number, label: panel.visit.label, series, slice: slice + 1, measured: this.measured(region) };
      return say("Region {number}, {label} {series} slice {slice}: {measured}", where);
    });
  }
}
