// The scoring form beside the images: time points, the grid, the totals, and the questions about each time point.

import { choose, make, mention } from "./dialogs.js";
import { Grid, itemName, jointName, reasonName } from "./grid.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);

export class Form {
  /** The form for `reading` of the case `kase`; `differs(label, slice, joint, item)` marks cells. */
  constructor(kase, reading, hanging, differs = () => false) {
    Object.assign(this, { kase, reading, hanging, differs });
    this.acts = {
      toggle: (slice, joint, item) => this.toggle(slice, joint, item),
      set: (slice, joint, item, value) => this.set(slice, joint, item, value),
      notEvaluable: (slice, joint, items) => this.notEvaluable(slice, joint, items),
      toggleRead: (slice) => this.toggleRead(slice),
      next: (slice) => this.next(slice),
      looked: (slice) => this.look(slice),
    };
    this.grid = this.makeGrid();
    this.tabs();
    this.questions();
  }

  makeGrid() {
    return new Grid(byId("grid"), this.reading, this.acts);
  }

  get label() {
    return this.hanging.active.label;
  }

  get slice() {
    return this.hanging.positionOf(this.hanging.active);
  }

  tabs() {
    const bar = byId("visits");
    for (const visit of this.kase.visits)
      bar.append(make("button", {
        type: "button", role: "tab", "data-label": visit.label, click: () => this.hanging.activate(visit),
      }));
  }

  /** Update the whole form from the reading. */
  show() {
    const { label, reading } = this;
    for (const tab of byId("visits").children) this.showTab(tab);
    this.grid.show(label, this.slice, (slice, joint, item) => this.differs(label, slice, joint, item), (slice, joint, item) => this.judge?.(label, slice, joint, item));
    this.showTotals();
    this.showWindow();
    this.showReasons();
    const visit = reading.visit(label);
    for (const button of document.querySelectorAll("[data-answer]")) {
      const [field, value] = button.dataset.answer.split(" ");
      button.setAttribute("aria-checked", String(String(visit[field]) === value));
      button.disabled = !reading.editable;
    }
    const hint = byId("asas-hint");
    if (hint) hint.textContent = reading.asasByRule(label) ? say("by the rule: yes") : say("by the rule: no");
    this.fillText(byId("visit-comment"), visit.comment);
    this.fillText(byId("case-comment"), reading.content.comment);
    const name = byId("visit-comment-label");
    if (name) name.textContent = say("Comment on time point {label}", { label });
  }

  fillText(area, text) {
    if (!area) return;
    if (area.value !== text) area.value = text;
    area.readOnly = !this.reading.editable;
  }

  showTab(tab) {
    const { label } = tab.dataset;
    const read = this.reading.slices.filter((slice) => this.reading.isRead(label, slice)).length;
    const { total } = this.reading.totals(label);
    const count = this.reading.slices.length;
    const selected = label === this.label;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    tab.replaceChildren(
      make("b", {}, label),
      make("span", { class: read === count ? "done" : "" }, read === count ? "✓" : `${read}/${count}`),
      make("i", {}, total === null ? "–" : String(total)),
    );
    tab.setAttribute("title", say("Time point {label}: {read} of {count} slices read, {total} points", { label, read, count, total: total ?? "–" }));
  }

  showTotals() {
    const { total, maximum, edema, intensity, depth } = this.reading.totals(this.label);
    byId("total").textContent = total === null ? "–" : total;
    byId("maximum").textContent = say("of {maximum} evaluable", { maximum });
    byId("parts").textContent = say("Edema {edema} · intensity {intensity} · depth {depth}", { edema, intensity, depth });
  }

  showWindow() {
    const { label, reading } = this;
    const { first } = reading.visit(label);
    const count = reading.slices.length;
    // The five slices of the structural form are the most posterior of the six.
    const proposed = this.hanging.active.proposed_first + 6 - count;
    const slices = this.hanging.active.series.stir.slices;
    const shifted = first - proposed;
    byId("six").textContent = say("Slices {first}–{last}", { first: first + 1, last: first + count });
    const none = !this.hanging.active.proposed;
    byId("six-note").textContent =
      none ? say("no slices proposed") : shifted === 0 ? say("as proposed") : say("moved by {by}", { by: shifted > 0 ? `+${shifted}` : `−${-shifted}` });
    byId("six-note").classList.toggle("moved", none || shifted !== 0);
    const judged = this.kase.mode === "training" && this.reading.slices.some((slice) => reading.isRead(label, slice));
    const fixed = !this.reading.editable || this.fixedWindow || judged;
    byId("earlier").disabled = fixed || first === 0;
    byId("later").disabled = fixed || first + count >= slices;
  }

  /** List the reasons for items of this time point that are not evaluable. */
  showReasons() {
    const entries = this.reading.visit(this.label).joints.filter((entry) => this.reading.items.some((item) => entry[item] === null));
    byId("reasons").replaceChildren(...entries.map((entry) => {
      const text = say("Slice {slice} {joint}: {reason}", {
        slice: this.reading.numberOf(this.label, entry.slice), joint: jointName(entry.joint), reason: entry.reason ? reasonName(entry.reason) : say("reason missing"),
      });
      const change = () => this.notEvaluable(entry.slice, entry.joint, this.reading.items.filter((item) => entry[item] === null));
      return make("li", {}, make("button", { type: "button", class: "plain", click: change, disabled: !this.reading.editable }, text));
    }));
  }

  questions() {
    for (const button of document.querySelectorAll("[data-answer]"))
      button.addEventListener("click", () => this.answer(button));
    byId("visit-comment")?.addEventListener("input", (event) => this.reading.comment(this.label, event.target.value));
    byId("case-comment")?.addEventListener("input", (event) => this.reading.caseComment(event.target.value));
    byId("earlier").addEventListener("click", () => this.shift(-1));
    byId("later").addEventListener("click", () => this.shift(1));
    for (const group of document.querySelectorAll("[role=radiogroup], [role=tablist]"))
      group.addEventListener("keydown", (event) => this.arrowAmong(group, event));
  }

  arrowAmong(group, event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...group.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    next?.focus();
    if (group.getAttribute("role") === "tablist") next?.click();
  }

  answer(button) {
    const [field, value] = button.dataset.answer.split(" ");
    const typed = { true: true, false: false }[value] ?? value;
    this.reading.answer(this.label, field, typed);
  }

  // Points

  refuse() {
    mention(this.reading.lockedWords ?? say("This reading is locked and cannot change."));
  }

  /** Return true, with a sentence, if the feedback of a training slice was shown: it cannot change. */
  isFinal(slice) {
    const final = this.kase.mode === "training" && this.reading.isRead(this.label, slice);
    if (final) mention(say("The known points of this slice were shown: it cannot change."));
    return final;
  }

  toggle(slice, joint, item) {
    if (!this.reading.editable) return this.refuse();
    if (this.isFinal(slice)) return undefined;
    return mention(this.reading.toggle(this.label, slice, joint, item));
  }

  set(slice, joint, item, value) {
    if (!this.reading.editable) return this.refuse();
    if (this.isFinal(slice)) return undefined;
    return mention(this.reading.set(this.label, slice, joint, item, value));
  }

  async notEvaluable(slice, joint, items) {
    if (!this.reading.editable) return this.refuse();
    if (this.isFinal(slice)) return undefined;
    const { label } = this;
    const number = this.reading.numberOf(label, slice);
    const entry = this.reading.joint(label, slice, joint);
    const title = items.length === this.reading.items.length
      ? say("Slice {slice}, {joint}: nothing is evaluable because", { slice: number, joint: jointName(joint) })
      : say("Slice {slice}, {joint}, {item}: not evaluable because", { slice: number, joint: jointName(joint), item: items.map(itemName).join(", ") });
    const back = items.every((item) => entry[item] === null) ? [["evaluable", say("it is evaluable")]] : [];
    const reason = await choose(title, null, [...this.kase.reasons.map((each) => [each, reasonName(each)]), ...back]);
    if (reason === "evaluable") for (const item of items) this.reading.set(label, slice, joint, item, 0);
    else if (reason !== null) mention(this.reading.setNotEvaluable(label, slice, joint, items, reason));
    if (reason === "other") mention(say("Explain in the comment why it is not evaluable."));
    return undefined;
  }

  toggleRead(slice) {
    if (!this.reading.editable) return this.refuse();
    if (this.isFinal(slice)) return undefined;
    return this.reading.setRead(this.label, slice, !this.reading.isRead(this.label, slice));
  }

  /** Mark the slice as read; go to the next unread slice, if necessary of the next time point. */
  next(slice) {
    if (!this.reading.editable) return this.refuse();
    const inGrid = this.grid.focused;
    if (slice !== null && !this.reading.isRead(this.label, slice)) this.reading.setRead(this.label, slice, true);
    const next = this.reading.nextUnread(this.label);
    if (next === null) {
      mention(say("All slices of all time points are read."));
      return undefined;
    }
    this.go(...next);
    if (inGrid) this.grid.move(next[1] - 1, 0);
    return undefined;
  }

  go(label, slice) {
    const { hanging } = this;
    hanging.activate(hanging.visits.find((visit) => visit.label === label));
    hanging.link();
    hanging.showSlice(this.reading.visit(label).first + slice - 1);
  }

  look(slice) {
    if (slice !== this.slice) this.hanging.showSlice(this.reading.visit(this.label).first + slice - 1);
    else this.hanging.redraw();
  }

  async shift(by) {
    const { label } = this;
    const first = this.reading.visit(label).first + by;
    if (this.reading.lostBy(label, first)) {
      const answer = await choose(
        say("Read other slices of time point {label}?", { label }),
        say("Points on slices that stay among the six are kept; points on the removed slice are lost."),
        [[true, say("Move the six slices")], [false, say("Keep the slices")]],
      );
      if (!answer) return;
    }
    this.reading.shift(label, first);
    this.hanging.redraw();
  }
}
