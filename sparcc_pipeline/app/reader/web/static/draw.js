// Drawings on an image: quadrants with their points, crosshair, ruler, scale, sides. Colours are those of Okabe and Ito; a
// point of 1 also has a filled badge, a point that is not evaluable is hatched.

import { distanceMm } from "./geometry.js";
import { inMm } from "./words.js";

export const COLOUR = {
  quadrant: "rgba(255, 255, 255, 0.55)",
  given: "#e69f00",
  hover: "#56b4e9",
  machine: "#cc79a7",
  crosshair: "#56b4e9",
  ruler: "#f0e442",
  text: "#f2f4f5",
  paper: "#101418",
};

const outlined = (context, text, x, y) => {
  context.strokeStyle = "rgba(0, 0, 0, 0.85)";
  context.lineWidth = 3 * context.unit;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
};

const font = (context, size, weight = 400) => {
  context.font = `${weight} ${size * context.unit}px "Helvetica Neue", Arial, "Liberation Sans", sans-serif`;
};

/** Return a polygon of canvas positions as a path. */
export function path(places) {
  const shape = new Path2D();
  places.forEach(([x, y], i) => (i === 0 ? shape.moveTo(x, y) : shape.lineTo(x, y)));
  shape.closePath();
  return shape;
}

/** Draw one quadrant: thin for 0, thick with a badge for 1, hatched if not evaluable. */
export function quadrant(context, places, { point, hovered, focused, badge }) {
  const shape = path(places);
  const { unit } = context;
  context.setLineDash(point === 1 || focused ? [] : [3 * unit, 3 * unit]);
  context.lineWidth = (point === 1 ? 2 : 1) * unit;
  context.strokeStyle = point === 1 ? COLOUR.given : COLOUR.quadrant;
  if (hovered || focused) {
    context.strokeStyle = COLOUR.hover;
    context.lineWidth = 2 * unit;
  }
  if (point === null) hatch(context, shape, places);
  context.stroke(shape);
  context.setLineDash([]);
  if (point === 1 && badge) stamp(context, badge, "1", true);
  if (point === null && badge) stamp(context, badge, "–", false);
}

/** Return the place of a badge: beside the quadrant, away from the joint, so that it covers no lesion. */
export function beside(context, places, left) {
  const xs = places.map((place) => place[0]);
  const ys = places.map((place) => place[1]);
  const middle = (Math.min(...ys) + Math.max(...ys)) / 2;
  return [left ? Math.min(...xs) - 13 * context.unit : Math.max(...xs) + 13 * context.unit, middle];
}

function hatch(context, shape, places) {
  const { unit } = context;
  const xs = places.map((place) => place[0]);
  const ys = places.map((place) => place[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  context.save();
  context.clip(shape);
  context.setLineDash([]);
  context.lineWidth = unit;
  context.strokeStyle = "rgba(255, 255, 255, 0.35)";
  context.beginPath();
  for (let x = left - (bottom - top); x < right; x += 7 * unit) {
    context.moveTo(x, bottom);
    context.lineTo(x + bottom - top, top);
  }
  context.stroke();
  context.restore();
}

/** Draw a letter or number in a rounded box, filled for a point of 1; return the box for clicks. */
export function stamp(context, [x, y], text, given, hovered = false) {
  const { unit } = context;
  const half = (text.length > 1 ? 12 : 9) * unit;
  const high = 9 * unit;
  context.beginPath();
  context.roundRect(x - half, y - high, 2 * half, 2 * high, 6 * unit);
  context.fillStyle = given ? COLOUR.given : "rgba(16, 20, 24, 0.72)";
  context.fill();
  context.lineWidth = (hovered ? 2 : 1) * unit;
  context.strokeStyle = hovered ? COLOUR.hover : given ? COLOUR.given : "rgba(255, 255, 255, 0.6)";
  context.stroke();
  font(context, 12, 700);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = given ? "#000" : COLOUR.text;
  context.fillText(text, x, y + 0.5 * unit);
  return [x - half, y - high, x + half, y + high];
}

/** Draw the machine's point beside the reader's, in another shape and colour. */
export function diamond(context, [x, y]) {
  const { unit } = context;
  const [at, half] = [y + 19 * unit, 7 * unit];
  const shape = path([[x, at - half], [x + half, at], [x, at + half], [x - half, at]]);
  context.lineWidth = 3.5 * unit;
  context.strokeStyle = "rgba(0, 0, 0, 0.8)";
  context.stroke(shape);
  context.lineWidth = 2 * unit;
  context.strokeStyle = COLOUR.machine;
  context.stroke(shape);
}

/** Draw a crosshair, open at its centre to keep the image visible; dashed if its centre is on another slice. */
export function crosshair(context, [x, y], width, height, onSlice) {
  const { unit } = context;
  const gap = 8 * unit;
  context.strokeStyle = COLOUR.crosshair;
  context.lineWidth = unit;
  context.setLineDash(onSlice ? [] : [4 * unit, 4 * unit]);
  context.beginPath();
  for (const [from, to] of [[[0, y], [x - gap, y]], [[x + gap, y], [width, y]], [[x, 0], [x, y - gap]], [[x, y + gap], [x, height]]]) {
    context.moveTo(...from);
    context.lineTo(...to);
  }
  context.stroke();
  context.setLineDash([]);
}

/** Draw a ruler between two positions (row, column), with a mark at 10 mm and its length. */
export function ruler(context, series, from, to, place) {
  const { unit } = context;
  const length = distanceMm(series, from, to);
  const [a, b] = [place(from), place(to)];
  const pixels = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const along = [(b[0] - a[0]) / pixels, (b[1] - a[1]) / pixels];
  const tick = (at, half) => {
    context.moveTo(at[0] - along[1] * half, at[1] + along[0] * half);
    context.lineTo(at[0] + along[1] * half, at[1] - along[0] * half);
  };
  for (const [colour, width] of [["rgba(0, 0, 0, 0.8)", 4], [COLOUR.ruler, 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    tick(a, 5 * unit);
    tick(b, 5 * unit);
    if (length >= 10) tick([a[0] + (b[0] - a[0]) * (10 / length), a[1] + (b[1] - a[1]) * (10 / length)], 8 * unit);
    context.stroke();
  }
  font(context, 14, 700);
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillStyle = COLOUR.ruler;
  outlined(context, inMm(length), Math.max(a[0], b[0]) + 8 * unit, (a[0] > b[0] ? a : b)[1]);
}

/** Draw the patient's sides, a bar of 10 mm, and two lines of text in the corners. */
export function marks(context, width, height, pixelsPerMm, { head, figures, below, right, left }) {
  const { unit } = context;
  context.fillStyle = COLOUR.text;
  context.textBaseline = "top";
  font(context, 14, 600);
  context.textAlign = "left";
  outlined(context, head, 10 * unit, 9 * unit);
  font(context, 12);
  context.textAlign = "right";
  const narrow = width < 250 * unit;
  if (!narrow) outlined(context, figures, width - 10 * unit, 9 * unit);
  context.textAlign = "left";
  font(context, 18, 700);
  context.textBaseline = "middle";
  outlined(context, right, 10 * unit, height / 2);
  context.textAlign = "right";
  outlined(context, left, width - 10 * unit, height / 2);
  const bar = 10 * pixelsPerMm;
  const [x, y] = [10 * unit, height - 12 * unit];
  context.fillStyle = "rgba(0, 0, 0, 0.7)";
  context.fillRect(x - 2 * unit, y - 3 * unit, bar + 4 * unit, 6 * unit);
  context.fillStyle = COLOUR.text;
  context.fillRect(x, y - unit, bar, 2 * unit);
  font(context, 12);
  context.textAlign = "left";
  if (!narrow) outlined(context, "10 mm", x + bar + 7 * unit, y);
  context.textAlign = "right";
  outlined(context, below, width - 10 * unit, y);
}

/** Write a sentence in place of a missing image. */
export function notice(context, width, height, text) {
  font(context, 14);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = "#9aa5ad";
  context.fillText(text, width / 2, height / 2);
}
