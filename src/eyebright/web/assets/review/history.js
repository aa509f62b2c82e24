// The actions of this window that can be undone and redone. The identifiers of actions survive a reload of the page.

const MAX_ACTIONS = 2_000; // actions

/** An identifier for an action. */
export function newAction() {
  return crypto.randomUUID();
}

export class History {
  constructor() {
    this.key = `eyebright-review-history ${location.pathname}`;
    this.done = []; // actions, the last one last
    this.undone = []; // {action, undo}: actions that are taken back, and by which action
    try {
      Object.assign(this, JSON.parse(sessionStorage.getItem(this.key) ?? "{}"));
    } catch {
      // without storage it begins anew
    }
  }

  /** The last action that is not undone; undefined if there is none. */
  get last() {
    return this.done.at(-1);
  }

  /** Notes a new action, which ends redoing. */
  did(action) {
    this.done = [...this.done, action].slice(-MAX_ACTIONS);
    this.undone = [];
    this.#keep();
  }

  /** Notes that an action is taken back. */
  undid(action, undo) {
    this.done = this.done.filter((one) => one !== action);
    this.undone.push({ action, undo });
    this.#keep();
  }

  /** Notes that the last undo is taken back, and returns it; undefined if there is none. */
  redid() {
    const last = this.undone.pop();
    if (last) this.done.push(last.action);
    this.#keep();
    return last;
  }

  /** Forgets an action or an undo that was not carried out. */
  drop(action) {
    this.done = this.done.filter((one) => one !== action);
    this.undone = this.undone.filter((one) => one.action !== action && one.undo !== action);
    this.#keep();
  }

  #keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ done: this.done, undone: this.undone }));
    } catch {
      // without storage it is known in this page alone
    }
  }
}
