// Positions of pixels. An index is (slice, row, column), whole at centres of pixels. The series of one time point share
// STIR's index; several time points share millimetres from the middle between the joints.

/** Return an index after an affine transform (4 x 4). */
export function moved(matrix, index) {
  return [0, 1, 2].map((i) => matrix[i][0] * index[0] + matrix[i][1] * index[1] + matrix[i][2] * index[2] + matrix[i][3]);
}

/** Return the inverse of an affine transform (4 x 4). */
export function inverse(matrix) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = matrix;
  const cofactors = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0];
  const rows = cofactors.map((row) => row.map((value) => value / determinant));
  return [...rows.map((row) => [...row, -(row[0] * x + row[1] * y + row[2] * z)]), [0, 0, 0, 1]];
}

/** Return the offset in mm (behind, below, to the patient's left) of a STIR index from the middle between the joints. */
export function fromCentre(visit, index) {
  return index.map((value, axis) => (value - visit.centre[axis]) * visit.series.stir.spacing_mm[axis]);
}

/** Return the STIR index at an offset in mm from the middle between the joints. */
export function atCentre(visit, offset) {
  return offset.map((value, axis) => visit.centre[axis] + value / visit.series.stir.spacing_mm[axis]);
}

/** Return the distance in mm of two positions (row, column) on one slice. */
export function distanceMm(series, a, b) {
  return Math.hypot((a[0] - b[0]) * series.spacing_mm[1], (a[1] - b[1]) * series.spacing_mm[2]);
}

/** Return the middle of points (row, column). */
export function middle(points) {
  const sum = points.reduce(([r, c], point) => [r + point[0], c + point[1]], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}

/** Return the box of points (row, column): first and last row and column. */
export function boxOf(points) {
  const rows = points.map((point) => point[0]);
  const columns = points.map((point) => point[1]);
  return { rows: [Math.min(...rows), Math.max(...rows)], columns: [Math.min(...columns), Math.max(...columns)] };
}
