// Mouse, pen and touch on the images. A drag applies the tool; a click on a quadrant sets or clears its point; the
// wheel scrolls, with Ctrl it zooms.

const CLICK_PIXELS = 4;
const WHEEL_STEP = 40;

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

  element.addEventListener("pointerdown", (event) => {
    element.focus({ preventScroll: true });
    hanging.activate(panel.visit);
    element.setPointerCapture(event.pointerId);
    if (panel.view) drag = Object.assign(new Drag(hanging, panel, event, toolOf(event)), { button: event.button });
    if (event.button === 1) event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (drag) drag.to(event);
    else hover(panel, event);
  });
  element.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { moved, button, tool } = drag;
    drag = null;
    if (moved) return;
    const target = panel.targetAt(event.offsetX, event.offsetY);
    if (tool === "crosshair") hanging.point(panel, panel.under(event.offsetX, event.offsetY));
    else if (target && button !== 1) pressed(panel, target, event);
  });
  element.addEventListener("pointercancel", () => (drag = null));
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

function hover(panel, event) {
  if (!panel.view) return;
  const target = panel.targetAt(event.offsetX, event.offsetY);
  const same = target?.joint === panel.hovered?.joint && target?.item === panel.hovered?.item;
  panel.element.classList.toggle("over", target !== null);
  if (same) return;
  panel.hovered = target && { joint: target.joint, item: target.item };
  panel.redraw();
}
