// The pixels of a case: 16 bits, little-endian, one request a slice. The slice that is looked at comes first, its
// neighbours after it, the rest while the reader looks; a request that fails is made again.

const AT_ONCE = 4;
const RETRY_MS = [300, 1000, 3000];

class Line {
  constructor() {
    this.waiting = [];
    this.running = 0;
  }

  add(stack, slice) {
    this.waiting.push({ stack, slice });
    // When all that is wanted now is in the line.
    queueMicrotask(() => this.next());
  }

  /** Fetch those first that are nearest to what is looked at. */
  next() {
    while (this.running < AT_ONCE && this.waiting.length > 0) {
      let best = 0;
      for (let i = 1; i < this.waiting.length; i += 1) if (away(this.waiting[i]) < away(this.waiting[best])) best = i;
      const [{ stack, slice }] = this.waiting.splice(best, 1);
      this.running += 1;
      stack.fetch(slice).finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }
}

const away = ({ stack, slice }) => Math.abs(slice - stack.wanted);
const line = new Line();

/** The slices of one series. */
export class Stack {
  /** `path(slice)` is where a slice is fetched; `arrived` is called when one is here or could not be fetched. */
  constructor(series, path, arrived) {
    this.series = series;
    this.path = path;
    this.arrived = arrived;
    this.slices = new Map();
    this.wanted = 0;
    this.asked = false;
    this.failed = false;
  }

  /** The pixels of a slice (Uint16Array, row by row), or undefined until they are here. */
  get(slice) {
    return this.slices.get(slice);
  }

  /** Ask for a slice and, the first time, for all the others after it. */
  want(slice) {
    this.wanted = slice;
    if (this.asked) return;
    this.asked = true;
    for (let other = 0; other < this.series.slices; other += 1) line.add(this, other);
  }

  async fetch(slice) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await fetch(this.path(slice));
        if (answer.status === 401) document.dispatchEvent(new Event("signed-out"));
        if (!answer.ok) throw new Error(answer.statusText);
        this.slices.set(slice, new Uint16Array(await answer.arrayBuffer()));
        this.failed = false;
        this.arrived(slice);
        return;
      } catch {
        this.failed = true;
        this.arrived(slice);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
      }
    }
  }
}

/** Gray of every 16-bit value: a table of 65536 RGBA words for a window. */
export class Windowing {
  constructor() {
    this.table = new Uint32Array(65536);
    this.key = "";
  }

  /** The table for black and white at these signals. */
  of(black, white) {
    const key = `${black} ${white}`;
    if (key !== this.key) {
      const scale = 255 / Math.max(white - black, 1);
      for (let value = 0; value < 65536; value += 1) {
        const gray = Math.min(255, Math.max(0, Math.round((value - black) * scale)));
        this.table[value] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
      }
      this.key = key;
    }
    return this.table;
  }
}
