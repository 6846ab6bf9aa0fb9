// The second opinion, after lock only: the machine's overlay and points beside the reader's, and a revised reading with a
// reason for each changed point.

import { begin, load, request } from "./api.js";
import { Desk } from "./desk.js";
import { enter, make, mention, showLines } from "./dialogs.js";
import { differenceList } from "./differences.js";
import { Form } from "./form.js";
import { itemName, jointName } from "./grid.js";
import { Hanging } from "./hanging.js";
import { Overlay } from "./overlay.js";
import { ITEMS, Reading } from "./reading.js";
import { Saver } from "./save.js";
import { savedWords } from "./saved_words.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);
const code = document.body.dataset.code;
const api = `/api/cases/${code}`;
const percent = (share) => (share < 0.01 ? "< 1 %" : share > 0.99 ? "> 99 %" : `${Math.round(100 * share)} %`);

class OpinionPage {
  constructor(kase, opinion) {
    this.kase = kase;
    this.opinion = opinion;
    this.primary = opinion.primary.content;
    const revised = opinion.revised;
    this.reading = new Reading(structuredClone(revised?.content ?? this.primary), (typing) => this.changed(typing));
    this.reading.editable = revised?.state === "open";
    this.reading.lockedWords = say("To change a point, file a revised reading.");
    this.reasons = new Map((revised?.reasons ?? []).map((each) => [keyOf(each), each.reason]));
    const onState = (state, error) => this.showSaved(state, error);
    this.saver = new Saver(`${api}/revision`, this.reading, revised?.revision ?? 0, onState, () => ({ reasons: this.given() }));
    this.hanging = new Hanging(byId("hanging"), api, kase.visits, this.answers(), () => this.show());
    this.hanging.overlay = new Overlay(api, this.hanging);
    const differs = (label, slice, joint, item) => this.differs(label, slice, joint, item);
    this.form = new Form(kase, this.reading, this.hanging, differs);
    this.form.fixedWindow = true;
    this.desk = new Desk(this.hanging, (panel, target, event) => this.pressed(panel, target, event), this.commands());
    this.wire();
    if (this.reading.editable && this.saver.recover()) mention(say("Your last entries were restored."));
    this.goToFirst();
    this.show();
  }

  answers() {
    const { reading } = this;
    return {
      first: (visit) => reading.visit(visit.label).first,
      points: (visit, slice, joint) => reading.joint(visit.label, slice, joint),
      machine: (visit, joint) => this.machineJoint(visit.label, joint.slice_index, joint.joint),
      isFocused: (visit, slice, joint, item) => visit === this.hanging?.active && this.form?.grid.isAt(slice, joint, item),
    };
  }

  commands() {
    const command = (id, keys, words, run) => ({ id, keys, words, run });
    return [
      command("overlay", ["o"], say("Show or hide the overlay"), () => this.toggleOverlay()),
      command("more", [">"], say("Overlay stronger"), () => this.setOpacity(Number(byId("opacity").value) + 10)),
      command("less", ["<"], say("Overlay weaker"), () => this.setOpacity(Number(byId("opacity").value) - 10)),
      command("next-difference", ["j"], say("Next difference"), () => this.step(1)),
      command("previous-difference", ["k"], say("Previous difference"), () => this.step(-1)),
      command("grid", ["g"], say("Keyboard to the points"), () => this.form.grid.focus()),
    ];
  }

  wire() {
    byId("opacity").addEventListener("input", (event) => this.setOpacity(Number(event.target.value)));
    byId("revise").addEventListener("click", () => this.revise());
    byId("lock").addEventListener("click", () => this.lock());
  }

  get machine() {
    return this.opinion.visits[this.form.label];
  }

  machineJoint(label, slice, joint) {
    return this.opinion.visits[label].joints.find((each) => each.slice_index === slice && each.joint === joint) ?? null;
  }

  differs(label, slice, joint, item) {
    return this.opinion.visits[label].differences.some(
      (each) => each.slice === slice && each.joint === joint && each.item === item,
    );
  }

  changed(typing) {
    this.saver.change(typing);
    this.show();
  }

  show() {
    if (!this.form) return;
    const slice = this.form.slice;
    if (slice !== null && this.form.grid.at.row !== slice - 1) this.form.grid.follow(slice);
    this.form.show();
    this.desk?.show();
    this.hanging.redraw();
    this.showMachine();
    this.showDifferences();
    this.showChanges();
    const { revised } = this.opinion;
    byId("revise").hidden = revised !== null || this.reading.editable;
    byId("lock").hidden = !this.reading.editable;
    if (revised?.state === "locked") this.showSaved("locked");
  }

  showMachine() {
    const { total, reason, interval_90: interval } = this.machine;
    const between = interval ? ` (${interval[0]}–${interval[1]})` : "";
    byId("machine").textContent =
      total === null ? say("The machine gave no score: {reason}", { reason: reason ?? "–" }) : say("Machine: {total}", { total: `${total}${between}` });
  }

  showDifferences() {
    const { label } = this.form;
    if (this.listed === label) return;
    this.listed = label;
    const { differences } = this.machine;
    const probability = ({ slice_index: slice, joint, item }) =>
      this.machineJoint(label, slice, joint)?.probability?.[item] ?? null;
    // A model without calibration has no probabilities.
    const known = differences.some((each) => probability(each) !== null);
    const shown = (each) => (probability(each) === null ? "–" : percent(probability(each)));
    const extra = known ? [say("probability"), shown] : null;
    const list = differenceList(differences, (each) => this.goTo(label, each), say("machine"), "machine", extra);
    byId("differences").replaceChildren(list);
  }

  goTo(label, difference) {
    const visit = this.hanging.visits.find((each) => each.label === label);
    this.hanging.activate(visit);
    this.hanging.link();
    this.hanging.showSlice(difference.slice_index);
    for (const row of document.querySelectorAll("#differences tbody tr"))
      row.classList.toggle("chosen", row.dataset.item === `${difference.slice} ${difference.joint} ${difference.item}`);
    this.chosen = difference;
  }

  step(by) {
    const { differences } = this.machine;
    const next = differences[differences.indexOf(this.chosen) + by];
    if (next) this.goTo(this.form.label, next);
  }

  goToFirst() {
    for (const { label } of this.kase.visits) {
      const [first] = this.opinion.visits[label].differences;
      if (first) {
        this.goTo(label, first);
        return;
      }
    }
  }

  setOpacity(value) {
    byId("opacity").value = value;
    this.hanging.overlay.opacity = Number(byId("opacity").value) / 100;
    this.hanging.redraw();
  }

  toggleOverlay() {
    const shown = this.hanging.overlay.opacity > 0;
    if (shown) this.before = Number(byId("opacity").value);
    this.setOpacity(shown ? 0 : this.before || 50);
  }

  pressed(panel, target, event) {
    const slice = this.hanging.positionOf(panel.visit);
    if (slice === null) return;
    if (event.button === 2) this.form.notEvaluable(slice, target.joint, [target.item]);
    else this.form.toggle(slice, target.joint, target.item);
  }

  // Revised reading

  /** Return the points that differ from the primary reading. */
  changes() {
    return this.kase.visits.flatMap(({ label }) =>
      this.primary.visits[label].joints.flatMap((before) =>
        ITEMS.filter((item) => this.reading.joint(label, before.slice, before.joint)[item] !== before[item]).map((item) => ({
          label, slice: before.slice, joint: before.joint, item,
          from: before[item], to: this.reading.joint(label, before.slice, before.joint)[item],
        })),
      ),
    );
  }

  given() {
    return this.changes()
      .filter((each) => this.reasons.get(keyOf(each)))
      .map(({ label, slice, joint, item }) => ({ label, slice, joint, item, reason: this.reasons.get(keyOf({ label, slice, joint, item })) }));
  }

  revise() {
    this.reading.editable = true;
    this.form.show();
    this.show();
    mention(say("Change points in the grid or on the image; each change needs a reason. Your locked reading stays unchanged."));
  }

  showChanges() {
    const changes = this.changes();
    byId("changes").hidden = changes.length === 0;
    const place = byId("changed");
    const listed = JSON.stringify([changes, this.reading.editable]);
    if (place.dataset.listed === listed) return;
    place.dataset.listed = listed;
    place.replaceChildren(...changes.map((each) => this.changeLine(each)));
  }

  changeLine(each) {
    const value = (point) => (point === null ? "–" : String(point));
    const what = say("{label} · slice {slice}, {joint}, {item}: {from} → {to}", {
      ...each, joint: jointName(each.joint), item: itemName(each.item), from: value(each.from), to: value(each.to),
    });
    const input = make("input", { maxlength: 500, required: true, readonly: !this.reading.editable });
    input.value = this.reasons.get(keyOf(each)) ?? "";
    input.placeholder = say("reason");
    input.addEventListener("input", () => {
      this.reasons.set(keyOf(each), input.value.trim());
      this.saver.change(true);
    });
    return make("label", {}, what, input);
  }

  async lock() {
    const changes = this.changes();
    const without = changes.filter((each) => !this.reasons.get(keyOf(each)));
    if (changes.length === 0) return showLines(say("Nothing was changed"), [say("A revised reading must differ from the locked reading in at least one point.")]);
    if (without.length > 0) return showLines(say("Reasons are missing"), [say("{count} changed points need a reason.", { count: without.length })]);
    const locked = await enter(say("Lock the revised reading"), {
      text: say("{count} points changed, each with a reason. The locked reading stays unchanged; both are kept separately.", { count: changes.length }),
      label: say("Your password"),
      type: "password",
      button: say("Sign and lock"),
      act: async (password) => {
        await this.saver.flush();
        return request("POST", `${api}/revision/lock`, { revision: this.saver.revision, password });
      },
    });
    if (locked !== null) location.reload();
    return undefined;
  }

  showSaved(state, error) {
    savedWords(state, error, this.saver.failures, (takeNewer) => {
      this.saver.resolve(takeNewer);
      this.show();
    });
  }
}

const keyOf = ({ label, slice, joint, item }) => `${label} ${slice} ${joint} ${item}`;

async function open(method) {
  const path = `${api}/second-opinion`;
  const [kase, opinion] = await Promise.all([load(api), method === "POST" ? request("POST", path, {}) : load(path)]);
  byId("closed").hidden = true;
  byId("opened").hidden = false;
  window.page = new OpinionPage(kase, opinion);
}

if (document.body.dataset.state === "available") {
  byId("closed").hidden = false;
  byId("open").addEventListener("click", () => begin(() => open("POST")));
} else {
  begin(() => open("GET"));
}
