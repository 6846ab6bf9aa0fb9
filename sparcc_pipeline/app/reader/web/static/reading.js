// A reading in progress: points, items that are not evaluable, and the rules of every entry. The content has the form of
// the server's `Content`, and the server checks it again.

import { History } from "./history.js";
import { say } from "./words.js";

export const QUADRANTS = ["upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral"];
export const ITEMS = [...QUADRANTS, "intense", "deep"];
export const JOINTS = ["right", "left"];
export const SLICES = [1, 2, 3, 4, 5, 6];

const fresh = (items, slice, joint) => ({
  slice,
  joint,
  read: false,
  ...Object.fromEntries(items.map((item) => [item, 0])),
  reason: null,
});

/** Return the time point and the slice that differ between two contents; slice 1 for an answer or a comment. */
function changedPlace(before, after) {
  for (const [label, visit] of Object.entries(after.visits)) {
    const old = before.visits[label];
    if (JSON.stringify(visit) === JSON.stringify(old)) continue;
    const joint = visit.joints.find((each, i) => JSON.stringify(each) !== JSON.stringify(old.joints[i]));
    return [label, joint?.slice ?? null];
  }
  return [Object.keys(after.visits)[0], null];
}

export class Reading {
  /** `changed(typing)` is called after every change; `typing` is true while a text is being entered. */
  constructor(content, changed) {
    this.history = new History(content);
    this.changed = (typing = false) => {
      this.history.note(this.current, typing);
      changed(typing);
    };
    this.current = content;
    this.editable = true;
  }

  get items() {
    return ITEMS;
  }

  get slices() {
    return SLICES;
  }

  get content() {
    return this.current;
  }

  /** Another content: of the server, or kept by the browser. It cannot be undone. */
  set content(content) {
    this.current = content;
    this.history.begin(content);
  }

  /** Take back the last entry, or enter it again; return its place [label, slice], or null if there is none. */
  travel(direction) {
    const before = this.current;
    const found = direction === "undo" ? this.history.undo() : this.history.redo();
    if (found === null) return null;
    this.current = found;
    this.changed();
    return changedPlace(before, found);
  }

  visit(label) {
    return this.content.visits[label];
  }

  /** Return the number of a slice that people read (1 is the most anterior of the stack); `slice` is 1-6 within the six. */
  numberOf(label, slice) {
    return this.visit(label).first + slice;
  }

  joint(label, slice, joint) {
    return this.visit(label).joints.find((each) => each.slice === slice && each.joint === joint);
  }

  /** Set an item to 0, 1 or null. Return a sentence if that is impossible or changed other items too. */
  set(label, slice, joint, item, value) {
    const entry = this.joint(label, slice, joint);
    const isQuadrant = QUADRANTS.includes(item);
    if (value === 1 && !isQuadrant && !QUADRANTS.some((quadrant) => entry[quadrant] === 1))
      return item === "deep"
        ? say("Depth needs edema: first mark a quadrant of this joint and slice.")
        : say("Intensity needs edema: first mark a quadrant of this joint and slice.");
    entry[item] = value;
    const sentence = isQuadrant ? this.follow(entry) : null;
    if (!this.items.some((each) => entry[each] === null)) entry.reason = null;
    this.changed();
    return sentence;
  }

  /** Adjust intensity and depth to the edema of the joint; return a sentence if points were removed. */
  follow(entry) {
    const none = QUADRANTS.every((quadrant) => entry[quadrant] === null);
    if (none) {
      entry.intense = null;
      entry.deep = null;
      return null;
    }
    // Both were null because no quadrant was evaluable; now one is.
    if (entry.intense === null && entry.deep === null) {
      entry.intense = 0;
      entry.deep = 0;
    }
    if (QUADRANTS.some((quadrant) => entry[quadrant] === 1)) return null;
    const lost = ["intense", "deep"].filter((item) => entry[item] === 1);
    for (const item of lost) entry[item] = 0;
    return lost.length === 0 ? null : say("Without edema there is no intensity and no depth: their points were removed.");
  }

  toggle(label, slice, joint, item) {
    const now = this.joint(label, slice, joint)[item];
    return this.set(label, slice, joint, item, now === 0 ? 1 : 0);
  }

  /** Mark items of a joint slice as not evaluable, with the reason. */
  setNotEvaluable(label, slice, joint, items, reason) {
    const entry = this.joint(label, slice, joint);
    for (const item of items) entry[item] = null;
    const sentence = this.follow(entry);
    entry.reason = reason;
    this.changed();
    return sentence;
  }

  /** Return true if both joints of a slice are read. */
  isRead(label, slice) {
    return JOINTS.every((joint) => this.joint(label, slice, joint).read);
  }

  setRead(label, slice, read) {
    for (const joint of JOINTS) this.joint(label, slice, joint).read = read;
    this.changed();
  }

  /** Return the first unread slice from this time point on as [label, slice], or null. */
  nextUnread(label) {
    const labels = Object.keys(this.content.visits);
    const from = labels.indexOf(label);
    const order = [...labels.slice(from), ...labels.slice(0, from)];
    for (const each of order) for (const slice of this.slices) if (!this.isRead(each, slice)) return [each, slice];
    return null;
  }

  /** Choose another six slices. Slices in both sets keep their points, the others must be read. */
  shift(label, first) {
    const visit = this.visit(label);
    const by = first - visit.first;
    visit.joints = this.slices.flatMap((slice) =>
      JOINTS.map((joint) => {
        const before = this.joint(label, slice + by, joint);
        return before ? { ...before, slice } : fresh(this.items, slice, joint);
      }),
    );
    visit.first = first;
    this.changed();
  }

  /** Return the points that a shift would remove. */
  lostBy(label, first) {
    const by = first - this.visit(label).first;
    const removed = this.visit(label).joints.filter(({ slice }) => slice - by < 1 || slice - by > this.slices.length);
    return removed.some((entry) => entry.read || this.items.some((item) => entry[item] !== 0));
  }

  answer(label, field, value) {
    this.visit(label)[field] = value;
    this.changed();
  }

  comment(label, text) {
    this.visit(label).comment = text;
    this.changed(true);
  }

  caseComment(text) {
    this.content.comment = text;
    this.changed(true);
  }

  /** Return points and evaluable maximum; the total is null if nothing is evaluable. */
  totals(label) {
    const { joints } = this.visit(label);
    const sum = (items) => joints.reduce((n, entry) => n + items.filter((item) => entry[item] === 1).length, 0);
    const maximum = joints.reduce((n, entry) => n + this.items.filter((item) => entry[item] !== null).length, 0);
    return {
      edema: sum(QUADRANTS),
      intensity: sum(["intense"]),
      depth: sum(["deep"]),
      total: maximum === 0 ? null : sum(this.items),
      maximum,
    };
  }

  /** Apply the ASAS rule to the entries, as a hint: two lesions on a slice, or one on two consecutive slices. */
  asasByRule(label) {
    const lesions = this.slices.map((slice) =>
      JOINTS.flatMap((joint) =>
        QUADRANTS.filter((quadrant) => this.joint(label, slice, joint)[quadrant] === 1).map(
          (quadrant) => `${joint} ${quadrant.split("_")[1]}`,
        ),
      ),
    );
    const consecutive = lesions.slice(1).some((here, i) => here.some((lesion) => lesions[i].includes(lesion)));
    return consecutive || lesions.some((here) => here.length >= 2);
  }

  /** Return the missing entries of a time point before the lock, as phrases. */
  missing(label) {
    const visit = this.visit(label);
    const unread = this.slices.filter((slice) => !this.isRead(label, slice));
    const needsComment = visit.joints.some((entry) => entry.reason === "other") && visit.comment.trim() === "";
    const unreasoned = visit.joints.some((entry) => entry.reason === null && this.items.some((item) => entry[item] === null));
    return [
      unread.length > 0 && say("slices not marked as read: {slices}", { slices: unread.join(", ") }),
      unreasoned && say("a reason why something is not evaluable"),
      needsComment && say("a comment that explains the reason \"other\""),
      visit.asas_positive === null && say("the ASAS question"),
      visit.image_quality === null && say("the image quality"),
    ].filter(Boolean);
  }
}
