// Who changed what when, newest first; each action can be taken back by itself.

import { entrySentence } from "./desk.js";
import { byId, make } from "./elements.js";
import { get } from "./wire.js";

const SIZE = 50; // entries a page

/** An entry as an item of a list; with `undo`, a button takes it back. */
export function logEntry(entry, undo = null) {
  const time = new Date(entry.time);
  const parts = [
    make("span", { class: "when" }, make("time", { datetime: entry.time }, time.toLocaleString([], { dateStyle: "short", timeStyle: "medium" })), ` · ${entry.who}`),
    make("span", { class: "what" }, entrySentence(entry)),
  ];
  const isOwn = !entry.undoes && !entry.redoes && !entry.add && !entry.saved;
  if (entry.undone) parts.push(make("span", { class: "note" }, "taken back"));
  else if (undo && isOwn) {
    const button = make("button", { type: "button", class: "quiet", "aria-label": `Undo action ${entry.revision}` }, "undo");
    button.addEventListener("click", () => undo(entry));
    parts.push(button);
  }
  return make("li", { class: entry.undone ? "undone" : "" }, ...parts);
}

export class Log {
  constructor(desk) {
    this.desk = desk;
    this.dialog = byId("log");
    byId("open-log").addEventListener("click", () => this.open());
    byId("more-entries").addEventListener("click", () => this.#more());
  }

  open() {
    this.dialog.showModal();
    return this.refresh();
  }

  /** Loads the newest entries. */
  async refresh() {
    if (!this.dialog.open) return;
    this.count = 0;
    const entries = await this.#load();
    byId("entries").replaceChildren(...(entries.length ? entries : [make("li", { class: "none" }, "Nothing has been changed yet.")]));
  }

  async #more() {
    byId("entries").append(...(await this.#load()));
  }

  async #load() {
    const { total, entries } = await get(`api/log?offset=${this.count}&limit=${SIZE}`).catch(() => ({ total: 0, entries: [] }));
    this.count += entries.length;
    byId("more-entries").hidden = this.count >= total;
    return entries.map((entry) => logEntry(entry, () => this.#undo(entry)));
  }

  #undo(entry) {
    this.desk.undo(entry.action);
    setTimeout(() => this.refresh(), 300);
  }
}
