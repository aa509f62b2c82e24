// What the page works on: the session, the images of the place, and the actions of the person.

import { counted, shown } from "./elements.js";
import { History, newAction } from "./history.js";
import { ItemPages } from "./item_pages.js";
import { readPlace, writePlace } from "./place.js";
import { applyTo, currentOf, words } from "./values.js";
import { Outbox, Refused, get, post } from "./wire.js";

const POLL = 1_500; // ms
const PATIENCE = 8_000; // ms to wait for actions before saving and learning
const MAX_REFRESHED = 30; // images that are asked for one by one

export class Desk {
  /**
   * `view` has `sessionChanged()`, `itemsChanged(ids)`, `placeChanged()`, `stateChanged(state)`, `say(text)`,
   * `warn(text)` and `connectionChanged()`.
   */
  constructor(view) {
    this.view = view;
    this.place = readPlace();
    this.history = new History();
    this.stale = new Set(); // ids that another browser has changed
    this.model = null;
    this.isOutdated = false; // it has learnt by itself; what is shown stays until the person goes on
    this.reversals = 0; // how many actions were undone or done again
    this.isReached = true;
    this.wasReached = true;
    this.outbox = new Outbox(() => view.connectionChanged(), (path, body) => this.#restored(path, body));
  }

  async start() {
    this.session = await get("api/session");
    this.revision = this.session.revision;
    this.known = this.revision; // what was done until then is in the images here
    const lists = this.session.lists;
    if (!lists.some((one) => one.id === this.place.list)) {
      this.place.list = (lists.find((one) => one.left > 0) ?? lists[0]).id;
    }
    setTimeout(() => this.#poll(), POLL);
  }

  /** The cells of images: a class has one without a name. */
  get isClass() {
    return this.session.kind === "class";
  }

  get pageSize() {
    if (this.place.count) return this.place.count;
    return this.session.cells.length > 200 ? 24 : matchMedia("(max-width: 40rem)").matches ? 30 : 60;
  }

  /**
   * Goes to another place; parts that are not named stay, but the size of a proposed grid is that of its list and label
   * alone. `isFresh`: what is shown is loaded anew.
   */
  go(parts, { isFresh = false } = {}) {
    const before = JSON.stringify({ ...this.place, at: 0, view: "" });
    const isElsewhere = Object.keys(parts).some((name) => name !== "at" && name !== "view");
    Object.assign(this.place, isElsewhere ? { count: "" } : {}, parts);
    if (!this.pages || isFresh || before !== JSON.stringify({ ...this.place, at: 0, view: "" })) this.#renew();
    else if (this.isOutdated && "at" in parts) this.#renewInPlace();
    this.#write();
    return this.view.placeChanged();
  }

  /** Loads the images of the place anew. */
  reload() {
    this.#renewInPlace();
    this.#write();
    return this.view.placeChanged();
  }

  #renewInPlace() {
    this.place.at = this.pages ? this.pages.offsetOf(this.place.at) : this.place.at;
    this.#renew();
  }

  #renew() {
    this.pages = new ItemPages(this.place, this.pageSize);
    this.isOutdated = false;
  }

  #write() {
    writePlace({ ...this.place, at: this.pages.offsetOf(this.place.at) });
  }

  // ------------------------------------------------------------------ actions

  /** One action: changes of any images, and images that are confirmed; shown at once, sent until it is written. */
  act(changes, reviewed = [], { done = () => {} } = {}) {
    const ids = [...new Set([...changes.map((one) => one.id), ...reviewed])];
    if (!ids.length) return;
    const mine = new Map(ids.map((id) => [id, this.pages.items.get(id)]));
    for (const [id, item] of mine) {
      if (!item) continue;
      applyTo(item, changes.filter((one) => one.id === id));
      if (reviewed.includes(id)) item.reviewed = true;
      this.pages.noteChange(id);
    }
    const action = newAction();
    this.history.did(action);
    this.outbox.push("api/change", { action, changes, reviewed, unreviewed: [] }, {
      done: ({ revision }) => {
        if (revision === null) this.history.drop(action);
        this.#wasWritten(revision);
        // An image that was loaded anew meanwhile may be as it was before this action.
        for (const [id, item] of mine) if (this.pages.items.get(id) !== item) this.stale.add(id);
        this.view.proposal.refresh();
        done();
      },
      refused: (error) => {
        this.history.drop(action);
        this.#refused(error, changes, ids);
      },
    });
    this.view.itemsChanged(ids);
  }

  /** Takes back the last action of this window, or a named one. */
  undo(of = this.history.last) {
    if (of === undefined) return void this.view.say("nothing of this window is left to undo; the log has all actions");
    const action = newAction();
    this.history.undid(of, action);
    this.outbox.push("api/undo", { action, of }, {
      done: ({ revision, undone }) => {
        this.#wasWritten(revision);
        this.#reversed(undone, "undone");
      },
      refused: (error) => {
        this.history.drop(action);
        this.view.warn(sentence(error.message));
      },
    });
    return undefined;
  }

  /** Takes back the last undo of this window. */
  redo() {
    const of = this.history.redid();
    if (of === undefined) return void this.view.say("there is nothing to redo");
    this.outbox.push("api/redo", { action: newAction(), of: of.undo }, {
      done: ({ revision, redone }) => {
        this.#wasWritten(revision);
        this.#reversed(redone, "done again");
      },
      refused: (error) => {
        this.history.drop(of.action);
        this.view.say(sentence(error.message));
      },
    });
    return undefined;
  }

  addLabel(name) {
    this.outbox.push("api/label", { action: newAction(), add: name }, {
      done: () => this.refreshSession().then(() => this.view.say(`${this.isClass ? "Class" : "Label"} “${shown(name)}” added`)),
      refused: (error) => this.view.warn(sentence(error.message)),
    });
  }

  async learn() {
    if (!(await this.#isWritten("Learning is not started"))) return;
    try {
      const { learning } = await post("api/learn", {});
      this.view.stateChanged({ learning });
    } catch (error) {
      this.view.warn(sentence(error.message));
    }
  }

  async save() {
    this.view.say("Saving …");
    if (!(await this.#isWritten("The table was not saved"))) return;
    try {
      const saved = await post("api/save", {});
      this.view.say(saved.sentence);
      await this.refreshSession();
    } catch (error) {
      this.view.warn(`The table was not saved: ${error.message}.`);
    }
  }

  // ------------------------------------------------------------------ what others did

  async refreshSession() {
    const session = await get("api/session");
    const isGrown = session.cells.length !== this.session.cells.length;
    this.session = session;
    this.view.sessionChanged(isGrown);
  }

  /** Asks for images anew, and shows them. */
  async refresh(ids) {
    const pages = this.pages;
    const mine = ids.filter((id) => pages.items.has(id));
    if (mine.length > MAX_REFRESHED) return this.reload();
    let items;
    try {
      items = await Promise.all(mine.map((id) => get(`api/item/${id}`)));
    } catch (error) {
      ids.forEach((id) => this.stale.add(id));
      throw error;
    }
    if (this.outbox.waiting || this.pages !== pages) {
      ids.forEach((id) => this.stale.add(id));
      return undefined;
    }
    items.forEach((item) => pages.replace(item));
    return mine.length ? this.view.itemsChanged(mine) : undefined;
  }

  /** Notes that an action of this page is in the images here, so that it is not asked for like those of others. */
  #wasWritten(revision) {
    if (revision === this.known + 1) this.known = revision;
  }

  /** Waits some seconds until all actions are written; says so if they are not. */
  async #isWritten(consequence) {
    if (await this.outbox.emptied(PATIENCE)) return true;
    this.view.say("");
    this.view.warn(`${consequence}: ${counted(this.outbox.waiting, "action")} could not be written yet. Try again when the server answers.`);
    return false;
  }

  /** What becomes of an action that waited when the page was loaded anew. */
  #restored(path, body) {
    if (path !== "api/change") return { refused: (error) => this.view.warn(sentence(error.message)) };
    const ids = [...new Set([...body.changes.map((one) => one.id), ...body.reviewed])];
    return {
      done: () => ids.forEach((id) => this.stale.add(id)),
      refused: (error) => {
        this.history.drop(body.action);
        this.#refused(error, body.changes, ids);
      },
    };
  }

  #refused(error, changes, ids) {
    for (const item of this.pages ? error.items : []) this.pages.replace(item);
    if (this.pages) this.view.itemsChanged(ids);
    const lost = changes.flatMap(({ id, cell, now }) => {
      const item = error.items.find((one) => one.id === id);
      return item ? [`${cell === "" ? "the class" : `“${shown(cell)}”`} of ${shown(item.file)} is ${words(currentOf(item, cell))} now, your ${words(now)} is not set`] : [];
    });
    const which = lost.length ? `: ${lost.slice(0, 3).join("; ")}${lost.length > 3 ? `; and ${lost.length - 3} more` : ""}` : "";
    this.view.warn(error.status === 409 ? `Not set: the value was changed in another browser${which}. Look again and set it once more if it is right.` : sentence(error.message));
    if (error.status !== 409 && this.pages) this.refresh(ids).catch(() => {});
    else ids.forEach((id) => this.stale.add(id));
  }

  async #reversed(entry, word) {
    this.reversals += 1;
    const turn = this.reversals;
    const ids = new Set((entry.changes ?? []).map((one) => one.id));
    const files = new Set([...(entry.reviewed ?? []), ...(entry.unreviewed ?? [])]);
    if (files.size) for (const [id, item] of this.pages.items) if (files.has(item.file)) ids.add(id);
    this.view.say(`${word}: ${entrySentence(entry)}`); // before the images are loaded: what is said later stays
    await this.refresh([...ids]).catch(() => {});
    const index = ids.size ? this.pages.indices.get([...ids][0]) : undefined;
    // Only the last one: images that were asked for first may come last.
    if (turn === this.reversals && this.place.view === "single" && index !== undefined) await this.go({ at: index });
  }

  async #poll() {
    try {
      const state = await get(`api/state?since=${this.known}`);
      this.isReached = true;
      await this.#take(state);
    } catch (error) {
      this.isReached = false;
      this.trouble = error instanceof Refused ? (error.status === 404 ? "The address of this page has changed: open the one that the server printed." : error.message) : "";
    }
    if (this.isReached !== this.wasReached) {
      this.wasReached = this.isReached;
      this.view.connectionChanged();
    }
    setTimeout(() => this.#poll(), POLL);
  }

  async #take(state) {
    state.changed.forEach((id) => this.stale.add(id));
    const isNew = state.revision !== this.revision;
    const isTaught = this.model !== null && state.learning.model !== this.model;
    this.view.stateChanged(state);
    if (isNew || isTaught) await this.refreshSession();
    this.revision = state.revision;
    this.known = Math.max(this.known, state.revision);
    this.model = state.learning.model;
    this.isOutdated ||= isTaught;
    if (isNew || isTaught) this.view.proposal.refresh();
    if (isTaught && !state.learning.automatic) {
      this.stale.clear();
      await this.reload();
    } else if (this.stale.size && !this.outbox.waiting) {
      const ids = [...this.stale];
      this.stale.clear();
      await this.refresh(ids);
    }
  }
}

/** What an entry of the log did, in words. */
export function entrySentence(entry) {
  if (entry.add) return `added “${shown(entry.add)}”`;
  if (entry.saved) return `saved ${shown(entry.saved.path ?? "the table")}`;
  const changes = entry.changes ?? [];
  const parts = [];
  if (changes.length) {
    const { file, cell, was, now } = changes[0];
    const first = `${shown(file)}: ${cell === "" ? "" : `${shown(cell)} `}${words(was)} → ${words(now)}`;
    parts.push(changes.length > 1 ? `${first}, and ${changes.length - 1} more` : first);
  }
  const files = entry.reviewed ?? [];
  if (files.length) parts.push(changes.length ? "confirmed" : `${shown(files[0])} confirmed${files.length > 1 ? `, and ${files.length - 1} more` : ""}`);
  if (entry.undoes) parts.unshift(`took back action ${entry.undoes}`);
  if (entry.redoes) parts.unshift(`did again what action ${entry.redoes} took back`);
  return parts.join("; ") || "nothing";
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
