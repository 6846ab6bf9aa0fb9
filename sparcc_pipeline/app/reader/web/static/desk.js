// Shared parts of the pages with images: tools, keyboard, help. One table of commands serves keys, buttons and help.

import { ask, make, mention } from "./dialogs.js";
import { listen } from "./gestures.js";
import { PRESETS } from "./hanging.js";
import { circle } from "./regions.js";
import { keyName, keyOf } from "./keys.js";
import { say } from "./words.js";

const ZOOM = 1.25;
const PAN_MM = 8;
const CINE_MS = 180;
const CURSOR_MM = 1;
const CURSOR_FAST_MM = 5;

export class Desk {
  /** Control `hanging`; call `pressed(panel, target, event)` for a quadrant; `more` holds further commands of the page. */
  constructor(hanging, pressed, more = []) {
    this.hanging = hanging;
    this.presetNumber = 0;
    this.cursor = false;
    this.commands = [...this.viewing(), ...more];
    for (const panel of hanging.panels) listen(hanging, panel, pressed);
    for (const name of ["pointerdown", "wheel"]) hanging.host.addEventListener(name, () => this.stopCine(), { passive: true });
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("click", (event) => this.click(event));
    this.show();
  }

  viewing() {
    const { hanging } = this;
    const command = (id, keys, words, run, shown) => ({ id, keys, words, run, shown });
    return [
      command("next-slice", ["PageDown", "."], say("Next slice (towards the back)"), () => hanging.scroll(1)),
      command("previous-slice", ["PageUp", ","], say("Previous slice (towards the front)"), () => hanging.scroll(-1)),
      command("alone-next", ["Shift+PageDown"], say("Next slice, only this time point"), () => hanging.scroll(1, true)),
      command("alone-previous", ["Shift+PageUp"], say("Previous slice, only this time point"), () => hanging.scroll(-1, true)),
      command("link", ["y"], say("Link the slices of all time points again"), () => hanging.link()),
      command("next-visit", ["]"], say("Next time point"), () => this.visit(1)),
      command("previous-visit", ["["], say("Previous time point"), () => this.visit(-1)),
      command("tool-window", ["e"], say("Tool: window (drag)"), () => this.tool("window"), () => hanging.tool === "window"),
      command("tool-pan", ["h"], say("Tool: move (drag)"), () => this.tool("pan"), () => hanging.tool === "pan"),
      command("tool-ruler", ["u"], say("Tool: ruler in mm (drag)"), () => this.tool("ruler"), () => hanging.tool === "ruler"),
      command("tool-crosshair", ["c"], say("Tool: crosshair on all images (click)"), () => this.tool("crosshair"), () => hanging.tool === "crosshair"),
      command("tool-scroll", ["i"], say("Tool: scroll (drag)"), () => this.tool("scroll"), () => hanging.tool === "scroll"),
      command("tool-region", ["r"], say("Tool: region, mean and area (draw; at the crosshair: a circle)"), () => this.region(), () => hanging.tool === "region"),
      command("cine", ["b"], say("Cine: run through the slices; again to stop"), () => this.toggleCine(), () => this.running !== undefined),
      command("preset", ["p"], say("Next window preset: standard, narrow, wide"), () => this.preset()),
      command("wider", ["Shift+ArrowRight"], say("Window wider"), () => this.windowBy(0.1, 0)),
      command("narrower", ["Shift+ArrowLeft"], say("Window narrower"), () => this.windowBy(-0.1, 0)),
      command("darker", ["Shift+ArrowDown"], say("Darker"), () => this.windowBy(0, 0.05)),
      command("brighter", ["Shift+ArrowUp"], say("Brighter"), () => this.windowBy(0, -0.05)),
      command("zoom-in", ["+", "="], say("Larger"), () => hanging.zoomBy(ZOOM)),
      command("zoom-out", ["-"], say("Smaller"), () => hanging.zoomBy(1 / ZOOM)),
      command("reset", ["z"], say("Joints fill the panel, or the whole image"), () => hanging.resetView()),
      command("up", ["w"], say("Move the image up"), () => hanging.panBy(-PAN_MM, 0)),
      command("left", ["a"], say("Move the image left"), () => hanging.panBy(0, -PAN_MM)),
      command("down", ["s"], say("Move the image down"), () => hanging.panBy(PAN_MM, 0)),
      command("right", ["d"], say("Move the image right"), () => hanging.panBy(0, PAN_MM)),
      command("quadrants", ["q"], say("Show or hide the quadrants"), () => this.quadrants(), () => hanging.quadrantsShown),
      command("layout", ["t"], say("STIR and T1, STIR alone, T1 alone"), () => hanging.nextLayout()),
      command("single", ["f"], say("This time point alone, or all side by side"), () => hanging.toggleSingle(), () => hanging.single),
      command("cursor", ["x"], say("Crosshair by keyboard: arrows move it (Shift: faster)"), () => this.toggleCursor(), () => this.cursor),
      command("measure", ["m"], say("Measure from the crosshair by keyboard; again to end"), () => this.measure()),
      command("images", ["v"], say("Keyboard to the images"), () => hanging.activePanel.element.focus()),
      command("clear", ["Escape"], say("Remove ruler and crosshair"), () => this.clear()),
      command("help", ["?"], say("This help"), () => this.help()),
    ];
  }

  run(id) {
    const command = this.commands.find((each) => each.id === id);
    command.run();
    this.show();
  }

  key(event) {
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.matches("input:not([type=radio], [type=range]), textarea, select")) return;
    if (["Enter", " "].includes(event.key) && target.matches("button, a, summary")) return;
    if (event.key.startsWith("Arrow") && target.matches("input")) return;
    if (event.key !== "b") this.stopCine();
    const arrows = event.key.startsWith("Arrow") && !event.ctrlKey && !event.metaKey;
    if (arrows && (this.cursor || !event.shiftKey) && target.closest(".panel, body") && this.arrow(event)) {
      event.preventDefault();
      return;
    }
    const name = keyOf(event);
    const command = this.commands.find((each) => each.keys.includes(name));
    if (!command) return;
    event.preventDefault();
    command.run();
    this.show();
  }

  arrow(event) {
    const [down, left] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (this.cursor) {
      const step = event.shiftKey ? CURSOR_FAST_MM : CURSOR_MM;
      this.moveCursor(down * step, left * step);
    } else if (down !== 0) this.hanging.scroll(down);
    else this.visit(left);
    return true;
  }

  click(event) {
    const button = event.target.closest("[data-command]");
    if (button) this.run(button.dataset.command);
  }

  /** Mark the button of the active tool. */
  show() {
    for (const button of document.querySelectorAll("[data-command]")) {
      const command = this.commands.find((each) => each.id === button.dataset.command);
      if (command?.shown) button.setAttribute("aria-pressed", String(Boolean(command.shown())));
      if (command && !button.title) button.title = `${command.words} (${command.keys[0]})`;
    }
    document.body.classList.toggle("unlinked", this.hanging.unlinked);
    this.hanging.host.dataset.tool = this.hanging.tool;
    const regions = document.getElementById("regions");
    const lines = this.hanging.regions.lines();
    if (regions && regions.textContent !== lines.join("")) regions.replaceChildren(...lines.map((line) => make("li", {}, line)));
  }

  visit(step) {
    const { hanging } = this;
    const place = hanging.visits.indexOf(hanging.active) + step;
    if (place < 0 || place >= hanging.visits.length) return;
    const onImages = hanging.host.contains(document.activeElement);
    hanging.activate(hanging.visits[place]);
    if (onImages) hanging.activePanel.element.focus();
  }

  tool(name) {
    this.hanging.tool = this.hanging.tool === name ? "window" : name;
  }

  /** Draw regions; while the crosshair is moved by keyboard, add a circle there. */
  region() {
    const { hanging } = this;
    if (!this.cursor) {
      this.tool("region");
      return;
    }
    hanging.regions.begin(hanging.activePanel, circle(hanging.activePanel.series, this.place));
    hanging.changed();
  }

  // Cine: back and forth through the stack of the active time point

  toggleCine() {
    if (this.running !== undefined) {
      this.stopCine();
      return;
    }
    let step = 1;
    this.running = setInterval(() => {
      const { hanging } = this;
      const slice = hanging.sliceOf(hanging.active);
      if (slice + step < 0 || slice + step >= hanging.active.series.stir.slices) step = -step;
      hanging.scroll(step);
    }, CINE_MS);
  }

  stopCine() {
    clearInterval(this.running);
    this.running = undefined;
  }

  preset() {
    this.presetNumber = (this.presetNumber + 1) % PRESETS.length;
    this.hanging.preset(this.presetNumber);
    mention([say("Window: standard"), say("Window: narrow"), say("Window: wide")][this.presetNumber]);
  }

  windowBy(wider, higher) {
    this.hanging.changeWindow(this.hanging.activePanel.kind, wider, higher);
  }

  quadrants() {
    this.hanging.quadrantsShown = !this.hanging.quadrantsShown;
    this.hanging.redraw();
  }

  // Crosshair and ruler by keyboard

  toggleCursor() {
    this.cursor = !this.cursor;
    if (!this.cursor) {
      this.clear();
      return;
    }
    const panel = this.hanging.activePanel;
    this.place = panel.view.centre;
    this.measuring = null;
    this.hanging.point(panel, this.place);
    panel.element.focus();
  }

  moveCursor(downMm, leftMm) {
    const panel = this.hanging.activePanel;
    const [, row, column] = panel.series.spacing_mm;
    this.place = [this.place[0] + downMm / row, this.place[1] + leftMm / column];
    this.hanging.point(panel, this.place);
    if (this.measuring) this.hanging.setRuler(panel, this.measuring, this.place);
  }

  measure() {
    if (!this.cursor) this.toggleCursor();
    this.measuring = this.measuring ? null : this.place;
    if (this.measuring) this.hanging.setRuler(this.hanging.activePanel, this.place, this.place);
  }

  clear() {
    this.cursor = false;
    this.measuring = null;
    this.hanging.clearMarks();
  }

  help() {
    const rows = this.commands.map((command) => {
      const keys = command.keys.flatMap((key) => [make("kbd", {}, keyName(key)), " "]);
      return make("tr", {}, make("th", { scope: "row" }, ...keys), make("td", {}, command.words));
    });
    const mouse = [
      [say("Wheel"), say("Scroll; with Ctrl: zoom; with Shift: only this time point")],
      [say("Click on a quadrant, I or D"), say("Set or clear its point; right click: not evaluable")],
      [say("Touch"), say("Tap: set a point; long press: not evaluable; two fingers: zoom and move")],
      [say("Drag"), say("Use the tool; middle button or Shift: move; right button: zoom")],
    ].map(([what, words]) => make("tr", {}, make("th", { scope: "row" }, what), make("td", {}, words)));
    ask(
      say("Keyboard and mouse"),
      (dialog, close) => {
        const lines = [...mouse, ...rows];
        const half = Math.ceil(lines.length / 2);
        const halves = [lines.slice(0, half), lines.slice(half)].map((part) => make("table", {}, make("tbody", {}, ...part)));
        dialog.append(make("div", { class: "help" }, ...halves));
        dialog.append(make("div", { class: "buttons" }, make("button", { type: "button", class: "strong", click: () => close(null) }, say("Close"))));
        dialog.addEventListener("keydown", (event) => event.key === "?" && close(null));
      },
      "wide",
    );
  }
}
