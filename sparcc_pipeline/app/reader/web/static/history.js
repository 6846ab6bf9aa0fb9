// Undo and redo of the entries of a reading: texts of its content, newest last.

const MOST = 200;

export class History {
  constructor(content) {
    this.begin(content);
  }

  /** Forget everything: another content was loaded. */
  begin(content) {
    this.past = [];
    this.future = [];
    this.now = JSON.stringify(content);
    this.typing = false;
  }

  /** Note the content after a change; letters typed one after another are one step. */
  note(content, typing) {
    const next = JSON.stringify(content);
    if (next === this.now) return;
    if (!(typing && this.typing)) this.past.push(this.now);
    if (this.past.length > MOST) this.past.shift();
    this.future = [];
    this.now = next;
    this.typing = typing;
  }

  /** Return the content before the last change, or null. */
  undo() {
    return this.step(this.past, this.future);
  }

  /** Return the content that the last undo replaced, or null. */
  redo() {
    return this.step(this.future, this.past);
  }

  step(from, to) {
    if (from.length === 0) return null;
    to.push(this.now);
    this.now = from.pop();
    this.typing = false;
    return JSON.parse(this.now);
  }
}
