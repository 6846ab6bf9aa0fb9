// The pixels of a case: 16 bits, little-endian, one request a slice. The shown slice comes first, then its neighbours,
// then the rest; a failed request is repeated.

const AT_ONCE = 4;
const RETRY_MS = [300, 1000, 3000];

class Line {
  constructor() {
    this.waiting = [];
    this.running = 0;
  }

  add(stack, slice) {
    this.waiting.push({ stack, slice });
    // After all urgent slices are queued.
    queueMicrotask(() => this.next());
  }

  /** Fetch the slices nearest to the shown one first. */
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
  /** `path(slice)` is the address of a slice; `arrived` is called when a slice has arrived or failed. */
  constructor(series, path, arrived) {
    this.series = series;
    this.path = path;
    this.arrived = arrived;
    this.slices = new Map();
    this.wanted = 0;
    this.asked = false;
    this.failed = false;
  }

  /** Return the pixels of a slice (Uint16Array, row by row), or undefined until they arrive. */
  get(slice) {
    return this.slices.get(slice);
  }

  /** Request a slice and, the first time, all other slices after it. */
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

/** Gray of every 16-bit value: a table of 65536 RGBA values for a window. */
export class Windowing {
  constructor() {
    this.table = new Uint32Array(65536);
    this.key = "";
  }

  /** Return the table for black and white at these signals. */
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
