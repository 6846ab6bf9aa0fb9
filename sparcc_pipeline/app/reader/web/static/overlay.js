// The machine's probability of edema over the images, in one colour, with adjustable opacity.

const COLOUR = [204, 121, 167];

export class Overlay {
  constructor(api, hanging) {
    Object.assign(this, { api, hanging });
    this.opacity = 0.5;
    this.slices = new Map();
  }

  /** Draw the overlay over a STIR panel at `box` (x, y, width, height). */
  draw(context, panel, box) {
    if (panel.kind !== "stir" || this.opacity === 0) return;
    const image = this.get(panel);
    if (!image) return;
    context.save();
    context.globalAlpha = this.opacity;
    context.drawImage(image, ...box);
    context.restore();
  }

  get(panel) {
    const key = `${panel.visit.label}/${panel.slice}`;
    if (!this.slices.has(key)) {
      this.slices.set(key, null);
      this.fetch(key, panel.series).catch(() => this.slices.delete(key));
    }
    return this.slices.get(key);
  }

  async fetch(key, { rows, columns }) {
    const answer = await fetch(`${this.api}/overlay/${key}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const probability = new Uint8Array(await answer.arrayBuffer());
    const colours = new ImageData(columns, rows);
    for (let i = 0; i < probability.length; i += 1) colours.data.set([...COLOUR, probability[i]], 4 * i);
    const image = new OffscreenCanvas(columns, rows);
    image.getContext("2d").putImageData(colours, 0, 0);
    this.slices.set(key, image);
    this.hanging.redraw();
  }
}
