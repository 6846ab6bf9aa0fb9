// The page of a case: read, lock, correct and, in training, compare with the known points.

import { begin, load, request } from "./api.js";
import { Desk } from "./desk.js";
import { enter, make, mention, showLines } from "./dialogs.js";
import { differenceList } from "./differences.js";
import { Form } from "./form.js";
import { lesionName } from "./grid.js";
import { Hanging } from "./hanging.js";
import { Reading } from "./reading.js";
import { Saver } from "./save.js";
import { savedWords } from "./saved_words.js";
import { itemOf, LESIONS, StructuralForm, StructuralReading } from "./structural.js";
import { say } from "./words.js";

const byId = (id) => document.getElementById(id);
const code = document.body.dataset.code;
const api = `/api/cases/${code}`;

class CasePage {
  constructor(kase) {
    this.kase = kase;
    const state = kase.reading;
    this.structural = kase.mode.startsWith("structural");
    const kind = this.structural ? StructuralReading : Reading;
    this.reading = new kind(state.content, (typing) => this.changed(typing));
    this.reading.editable = state.state === "open";
    this.saver = new Saver(`${api}/reading`, this.reading, state.revision, (saved, error) => this.showSaved(saved, error));
    this.hanging = new Hanging(byId("hanging"), api, kase.visits, this.answers(), () => this.looked());
    this.form = new (this.structural ? StructuralForm : Form)(kase, this.reading, this.hanging);
    this.form.judge = (...at) => this.judge(...at);
    this.desk = new Desk(this.hanging, (panel, target, event) => this.pressed(panel, target, event), this.commands());
    if (this.reading.editable && this.saver.recover()) mention(say("Your last entries were restored."));
    else this.showSaved(this.reading.editable ? "saved" : "locked");
    this.showState();
    this.looked();
  }

  /** Functions of the reading that the images call. */
  answers() {
    const { reading } = this;
    return {
      first: (visit) => reading.visit(visit.label).first,
      count: reading.slices.length,
      points: (visit, slice, joint) =>
        this.structural ? reading.drawn(visit.label, slice, joint, this.lesion) : reading.joint(visit.label, slice, joint),
      isFocused: (visit, slice, joint, item) => visit === this.hanging?.active && this.form?.grid.isAt(slice, joint, this.itemAt(item)),
    };
  }

  get lesion() {
    return this.form?.lesion ?? LESIONS[0];
  }

  /** Return the item of the form at a quadrant of the image. */
  itemAt(quadrant) {
    return this.structural ? itemOf(this.lesion, quadrant) : quadrant;
  }

  commands() {
    const { structural } = this;
    const lesions = LESIONS.map((lesion, i) =>
      ({ id: lesion, keys: [`Shift+${"fevk"[i]}`], words: say("Lesion: {lesion}", { lesion: lesionName(lesion) }), run: () => this.form.choose(lesion) }));
    const asas = { id: "asas", keys: ["Shift+s"], words: say("ASAS-positive: yes, again: no"), run: () => this.answerAsas() };
    const command = (id, keys, words, run) => ({ id, keys, words, run });
    return [
      command("next", ["Enter"], say("Mark this slice as read; go to the next one"), () => this.form.next(this.form.slice)),
      command("grid", ["g"], say("Keyboard to the points"), () => this.form.grid.focus()),
      command("toggle", [" "], say("Points: set or clear (also 1 and 0)"), () => this.form.grid.focus()),
      command("not-evaluable", ["n"], say("Points: not evaluable (Shift+N: the whole joint of this slice)"), () => this.form.grid.focus()),
      command("earlier", ["("], say("Read slices further to the front"), () => byId("earlier").click()),
      command("later", [")"], say("Read slices further to the back"), () => byId("later").click()),
      command("undo", ["Ctrl+z"], say("Undo the last entry"), () => this.travel("undo")),
      command("redo", ["Ctrl+y", "Ctrl+Shift+z"], say("Redo"), () => this.travel("redo")),
      ...(structural ? lesions : [asas]),
      command("good", ["Shift+g"], say("Image quality: good"), () => this.answerQuality("good")),
      command("adequate", ["Shift+a"], say("Image quality: adequate"), () => this.answerQuality("adequate")),
      command("poor", ["Shift+p"], say("Image quality: poor"), () => this.answerQuality("poor")),
      command("lock", ["l"], say("Lock this reading with your password"), () => this.lock()),
    ];
  }

  travel(direction) {
    if (!this.reading.editable) return;
    if (this.kase.mode === "training") {
      mention(say("In a training case a read slice is final: entries are not undone."));
      return;
    }
    const place = this.reading.travel(direction);
    if (place === null) {
      mention(direction === "undo" ? say("There is nothing to undo.") : say("There is nothing to redo."));
      return;
    }
    const [label, slice] = place;
    this.form.go(label, slice ?? this.form.slice ?? 1);
    mention(direction === "undo" ? say("Undone.") : say("Redone."));
  }

  answerAsas() {
    if (!this.reading.editable) return;
    const { label } = this.form;
    this.reading.answer(label, "asas_positive", this.reading.visit(label).asas_positive !== true);
  }

  answerQuality(quality) {
    if (this.reading.editable) this.reading.answer(this.form.label, "image_quality", quality);
  }

  changed(typing) {
    this.saver.change(typing);
    this.show();
  }

  looked() {
    const slice = this.form?.slice ?? null;
    if (slice !== null && this.form.grid.at.row !== slice - 1) this.form.grid.follow(slice);
    this.show();
  }

  show() {
    if (!this.form) return;
    this.form.show();
    this.desk?.show();
    this.hanging.redraw();
    if (!this.reading.editable) return;
    const missing = this.kase.visits.flatMap((visit) => this.reading.missing(visit.label));
    byId("lock").classList.toggle("strong", missing.length === 0);
  }

  pressed(panel, target, event) {
    const slice = this.hanging.positionOf(panel.visit);
    if (slice === null) return;
    const item = this.itemAt(target.item);
    const unknown = this.reading.joint(panel.visit.label, slice, target.joint)[item] === null;
    if (event.button === 2 || unknown) this.form.notEvaluable(slice, target.joint, [item]);
    else this.form.toggle(slice, target.joint, item);
  }

  showSaved(state, error) {
    if (this.kase.mode === "training" && state === "saved") this.feedback();
    savedWords(state, error, this.saver.failures, (takeNewer) => this.resolve(takeNewer));
  }

  resolve(takeNewer) {
    this.saver.resolve(takeNewer);
    this.show();
  }

  // Lock, correction

  async lock() {
    if (!this.reading.editable) return;
    const missing = this.kase.visits
      .map((visit) => [visit.label, this.reading.missing(visit.label)])
      .filter(([, what]) => what.length > 0);
    if (missing.length > 0) {
      const lines = missing.map(([label, what]) => say("{label}: {missing}", { label, missing: what.join("; ") }));
      await showLines(say("Not yet complete"), lines);
      const [label] = missing[0];
      const next = this.reading.nextUnread(label);
      if (next) this.form.go(...next);
      else this.form.go(label, 1);
      return;
    }
    const locked = await enter(say("Lock this reading"), {
      text: say("A locked reading cannot change. Your password is your signature on this reading."),
      content: this.summary(),
      label: say("Your password"),
      type: "password",
      button: say("Sign and lock"),
      wide: true,
      act: async (password) => {
        await this.saver.flush();
        return request("POST", `${api}/lock`, { revision: this.saver.revision, password });
      },
    });
    if (locked !== null) location.reload();
  }

  /** Return the summary before the lock, one row a time point. */
  summary() {
    if (this.structural) return this.structuralSummary();
    const heads = [
      say("Time point"), say("Six slices"), "SPARCC", say("Edema"), say("Intensity"), say("Depth"), say("Evaluable"),
      say("ASAS-positive"), say("Image quality"),
    ];
    const rows = this.kase.visits.map(({ label, proposed, proposed_first: from }) => {
      const visit = this.reading.visit(label);
      const { total, edema, intensity, depth, maximum } = this.reading.totals(label);
      const moved = visit.first === from || !proposed ? "" : ` (${say("moved")})`;
      const cells = [
        `${visit.first + 1}–${visit.first + 6}${moved}`, total ?? "–", edema, intensity, depth, `${maximum} / 72`,
        visit.asas_positive ? say("yes") : say("no"), qualityName(visit.image_quality),
      ];
      return make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((cell) => make("td", {}, String(cell))));
    });
    return summaryTable(heads, rows);
  }

  structuralSummary() {
    const heads = [say("Time point"), say("Five slices"), ...LESIONS.map(lesionName), say("Evaluable"), say("Image quality")];
    const rows = this.kase.visits.map(({ label }) => {
      const visit = this.reading.visit(label);
      const totals = this.reading.totals(label);
      const cells = [`${visit.first + 1}–${visit.first + 5}`, ...LESIONS.map((lesion) => totals[lesion] ?? "–"), `${totals.maximum} / 120`, qualityName(visit.image_quality)];
      return make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((cell) => make("td", {}, String(cell))));
    });
    return summaryTable(heads, rows);
  }

  showState() {
    const { kase, reading } = this;
    byId("lock").hidden = !reading.editable;
    byId("next").hidden = !reading.editable;
    byId("lock").addEventListener("click", () => this.lock());
    byId("next").addEventListener("click", () => this.form.next(this.form.slice));
    const correct = byId("correct");
    correct.hidden = reading.editable || !kase.may_correct;
    correct.addEventListener("click", () => this.correct());
    byId("onward").hidden = reading.editable;
    byId("opinion").hidden = reading.editable || !["available", "opened", "filed"].includes(kase.second_opinion);
    // The next step gets the focus.
    if (!reading.editable) (kase.second_opinion === "available" ? byId("opinion") : byId("onward")).focus();
    byId("later-note").hidden = reading.editable || kase.second_opinion !== "later";
    const version = kase.reading.version;
    if (version > 1) byId("version").textContent = say("Version {version}", { version });
    if (kase.mode === "training") this.feedback();
  }

  async correct() {
    const done = await enter(say("Correct this reading"), {
      text: say("The locked version stays unchanged. A new version opens with the same content, and both are kept."),
      label: say("Why must it be corrected?"),
      type: "area",
      button: say("Open a new version"),
      act: (reason) => request("POST", `${api}/correction`, { reason }),
    });
    if (done !== null) location.reload();
  }

  /** Training: judge every read slice, item by item, and show the agreement so far. */
  async feedback() {
    const { visits, agreement } = await load(`${api}/feedback`);
    this.judgement = visits;
    const place = byId("feedback");
    place.hidden = false;
    const blocks = this.kase.visits.filter(({ label }) => visits[label]?.judged.length > 0).map(({ label }) => {
      const { total, known_total: known, differences } = visits[label];
      return make("section", {},
        make("h3", {}, known === null ? say("Time point {label}, read slices", { label }) : say("{label}: your total {total}, known {known}", { label, total: total ?? "–", known: known ?? "–" })),
        differenceList(differences, (each) => this.form.go(label, each.slice), say("known"), "known"));
    });
    place.replaceChildren(agreementLine(agreement), ...blocks);
    this.show();
  }

  /** Return "right" or "wrong" for an item of a judged slice, else null. */
  judge(label, slice, joint, item) {
    const visit = this.judgement?.[label];
    if (!visit?.judged.includes(slice)) return null;
    const differs = visit.differences.some((each) => each.slice === slice && each.joint === joint && each.item === item);
    return differs ? "wrong" : "right";
  }
}

const summaryTable = (heads, rows) =>
  make("table", { class: "summary" },
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...rows));

const twoPlaces = (value) => (value === null ? "–" : value.toFixed(2));

/** Return the agreement with the training set so far, in one line. */
function agreementLine(agreement) {
  if (agreement === null) return make("p", { class: "note" }, say("A slice that you mark as read is compared with the known points, and cannot change after that."));
  const { icc, icc_change: change, pass_mark: mark, pass_mark_change: changeMark, visits, needed } = agreement;
  const totals = say("ICC of totals {icc} (pass mark {mark}), {visits} of {needed} time points", { icc: twoPlaces(icc), mark: twoPlaces(mark), visits, needed });
  const changes = changeMark === null ? "" : `; ${say("of changes {icc} (pass mark {mark})", { icc: twoPlaces(change), mark: twoPlaces(changeMark) })}`;
  return make("p", { id: "agreement", class: agreement.passed ? "passed" : "" }, `${agreement.passed ? "✓ " : ""}${totals}${changes}`);
}

export const qualityName = (quality) =>
  ({ good: say("good"), adequate: say("adequate"), poor: say("poor") })[quality] ?? "–";

await begin(async () => {
  // For the browser's console and the tests.
  window.page = new CasePage(await load(api));
});
