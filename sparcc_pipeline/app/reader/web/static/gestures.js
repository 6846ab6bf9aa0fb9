// Mouse, pen and touch on the images. A drag applies the tool; a click on a quadrant sets or clears its point; the
// wheel scrolls, with Ctrl it zooms. Two fingers zoom and move; a long press is a right click.

const CLICK_PIXELS = 4;
const WHEEL_STEP = 40;

const SCROLL_PIXELS = 18;
const LONG_PRESS_MS = 550;

const zoomOf = (delta) => Math.exp(-delta / 300);

class Drag {
  constructor(hanging, panel, event, tool) {
    Object.assign(this, { hanging, panel, tool });
    this.from = panel.under(event.offsetX, event.offsetY);
    this.start = [event.clientX, event.clientY];
    this.last = this.start;
    this.moved = false;
  }

  to(event) {
    const { hanging, panel } = this;
    const [dx, dy] = [event.clientX - this.last[0], event.clientY - this.last[1]];
    const far = Math.hypot(event.clientX - this.start[0], event.clientY - this.start[1]);
    if (!this.moved && far < CLICK_PIXELS) return;
    this.moved = true;
    this.last = [event.clientX, event.clientY];
    const mm = panel.ratio / panel.view.scale;
    const place = panel.under(event.offsetX, event.offsetY);
    switch (this.tool) {
      case "window":
        hanging.changeWindow(panel.kind, dx / 200, dy / 400);
        break;
      case "pan":
        hanging.panBy(dy * mm, dx * mm);
        break;
      case "zoom":
        hanging.zoomBy(Math.exp(-dy / 200));
        break;
      case "scroll":
        this.turned = (this.turned ?? 0) + dy;
        if (Math.abs(this.turned) >= SCROLL_PIXELS) {
          hanging.scroll(Math.sign(this.turned));
          this.turned = 0;
        }
        break;
      case "region":
        if (!this.drawing) hanging.regions.begin(panel, [this.from]);
        this.drawing = true;
        hanging.regions.extend(place);
        panel.redraw();
        break;
      case "ruler":
        hanging.setRuler(panel, this.from, place);
        break;
      case "crosshair":
        hanging.point(panel, place);
        break;
    }
  }
}

/** Add the gestures to a panel; a click on a quadrant or letter calls `pressed(panel, target, event)`. */
export function listen(hanging, panel, pressed) {
  const { element } = panel;
  let drag = null;
  let turned = 0;

  const toolOf = (event) => {
    if (event.button === 1 || event.shiftKey) return "pan";
    if (event.button === 2) return "zoom";
    return hanging.tool;
  };

  const fingers = new Map();
  let pressing;

  element.addEventListener("pointerdown", (event) => {
    element.focus({ preventScroll: true });
    hanging.activate(panel.visit);
    element.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    clearTimeout(pressing);
    if (fingers.size > 1) drag = null;
    else if (panel.view) drag = Object.assign(new Drag(hanging, panel, event, toolOf(event)), { button: event.button });
    if (drag && event.pointerType === "touch") pressing = setTimeout(() => longPress(event), LONG_PRESS_MS);
    if (event.button === 1) event.preventDefault();
  });
  const longPress = (event) => {
    const target = drag && !drag.moved ? panel.targetAt(event.offsetX, event.offsetY) : null;
    drag = null;
    if (target) pressed(panel, target, { button: 2 });
  };
  element.addEventListener("pointermove", (event) => {
    if (fingers.size === 2 && fingers.has(event.pointerId)) pinch(event);
    else if (drag) drag.to(event);
    else hover(panel, event);
  });
  const pinch = (event) => {
    const before = spread([...fingers.values()]);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    const after = spread([...fingers.values()]);
    const mm = panel.ratio / panel.view.scale;
    hanging.panBy((after.middle[1] - before.middle[1]) * mm, (after.middle[0] - before.middle[0]) * mm);
    hanging.zoomBy(after.apart / before.apart, panel.fromMiddle(...after.middle));
  };
  const lift = (event) => {
    fingers.delete(event.pointerId);
    clearTimeout(pressing);
  };
  element.addEventListener("pointerup", (event) => {
    lift(event);
    if (!drag) return;
    const { moved, button, tool, drawing } = drag;
    drag = null;
    if (drawing) {
      hanging.regions.end();
      hanging.changed();
    }
    if (moved) return;
    const target = panel.targetAt(event.offsetX, event.offsetY);
    if (tool === "crosshair") hanging.point(panel, panel.under(event.offsetX, event.offsetY));
    else if (target && button !== 1) pressed(panel, target, event);
  });
  element.addEventListener("pointercancel", (event) => {
    lift(event);
    drag = null;
  });
  element.addEventListener("pointerleave", () => {
    panel.hovered = null;
    panel.redraw();
  });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("focus", () => hanging.activate(panel.visit));
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      hanging.activate(panel.visit);
      if (event.ctrlKey || event.metaKey) {
        if (panel.view) hanging.zoomBy(zoomOf(event.deltaY), panel.fromMiddle(event.offsetX, event.offsetY));
        return;
      }
      // In some browsers Shift makes the wheel scroll sideways.
      const lines = event.deltaMode === 1 ? WHEEL_STEP : 1;
      turned += (event.deltaY || event.deltaX) * lines;
      const steps = Math.trunc(turned / WHEEL_STEP);
      if (steps === 0) return;
      turned = 0;
      hanging.scroll(Math.sign(steps), event.shiftKey);
    },
    { passive: false },
  );
}

/** Return the distance and the middle of two fingers. */
function spread([[x, y], [u, v]]) {
  return { apart: Math.max(Math.hypot(u - x, v - y), 1), middle: [(x + u) / 2, (y + v) / 2] };
}

function hover(panel, event) {
  if (!panel.view) return;
  const target = panel.targetAt(event.offsetX, event.offsetY);
  const same = target?.joint === panel.hovered?.joint && target?.item === panel.hovered?.item;
  panel.element.classList.toggle("over", target !== null);
  if (same) return;
  panel.hovered = target && { joint: target.joint, item: target.item };
  panel.redraw();
}
