// The labels or classes of an image: a row each, with its key, its probability with the threshold, and what is set.

import { byId, make, setText, shown, spoken } from "./elements.js";
import { UNKNOWN, currentOf, percent, proposalOf, words } from "./values.js";

const SHOWN = 24; // rows, where there are more labels
const SEARCHED_FROM = 13; // labels from which there is a search field

export class LabelPanel {
  /** `act` has `press(cell)`, `clear(cell)` (to unknown), `addLabel()` and `said(text)`. */
  constructor(session, act) {
    this.session = session;
    this.act = act;
    this.isClass = session.kind === "class";
    this.rows = new Map();
    this.list = make("ul", { class: "labels", role: this.isClass ? "radiogroup" : "group", "aria-label": this.isClass ? "Class" : "Labels" });
    this.search = make("input", { type: "search", role: "combobox", "aria-expanded": "false", "aria-controls": "found", "aria-autocomplete": "list", "aria-label": "Find a label", placeholder: `Find one of ${session.cells.length.toLocaleString("en")} labels`, autocomplete: "off" });
    this.found = make("ul", { id: "found", role: "listbox", "aria-label": "Labels found", hidden: true });
    this.search.hidden = session.cells.length < SEARCHED_FROM;
    const parts = [make("div", { class: "finder" }, this.search, this.found), this.list];
    if (session.can.addLabel) {
      const add = make("button", { type: "button", class: "quiet" }, this.isClass ? "Add a class" : "Add a label");
      add.addEventListener("click", () => act.addLabel());
      parts.push(add);
    }
    byId("answers").replaceChildren(...parts);
    this.search.addEventListener("input", () => this.#find());
    this.search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.search.addEventListener("blur", () => setTimeout(() => this.#closeSearch(), 150));
  }

  /** Shows an image; the order of its labels stays while it is shown. */
  show(item) {
    const hadFocus = this.list.contains(document.activeElement) ? document.activeElement.closest("[data-cell]")?.dataset.cell : undefined;
    this.item = item;
    this.cells = this.#order();
    const names = this.cells.map((one) => one.cell);
    if (names.join("\n") !== [...this.rows.keys()].join("\n")) {
      this.rows = new Map(this.cells.map((one) => [one.cell, this.#row(one)]));
      this.list.replaceChildren(...[...this.rows.values()].map((row) => row.element));
    }
    this.update();
    if (hadFocus !== undefined) (this.rows.get(hadFocus) ?? [...this.rows.values()][0])?.button.focus();
  }

  /** Shows what is set now. */
  update() {
    for (const [cell, row] of this.rows) this.#update(cell, row);
  }

  /** Focuses the search field. */
  focusSearch() {
    if (this.search.hidden) return false;
    this.search.focus();
    return true;
  }

  #order() {
    const { cells } = this.session;
    if (cells.length <= SHOWN) return cells;
    const suspects = new Set(this.item.suspect.map((one) => (this.isClass ? one.given : one.cell)));
    const score = ({ cell }) => {
      const isSet = this.isClass ? this.#value("") === cell || this.item.given[""] === cell : this.#value(cell) === "yes" || this.item.given[cell] === "yes";
      return (suspects.has(cell) ? 4 : 0) + (isSet ? 2 : 0) + (this.item.probability[cell] ?? 0);
    };
    const scores = new Map(cells.map((one) => [one, score(one)]));
    return [...cells].sort((one, other) => scores.get(other) - scores.get(one)).slice(0, SHOWN);
  }

  #value(cell) {
    return proposalOf(this.session, this.item, cell) ?? currentOf(this.item, cell);
  }

  #row({ cell, key, threshold, lower }) {
    const fill = make("span", { class: "fill" });
    const track = make("span", { class: "track", "aria-hidden": "true" }, fill);
    for (const mark of [threshold, lower]) {
      if (mark === null || mark === undefined) continue;
      const line = make("span", { class: "mark" });
      line.style.left = `${100 * mark}%`;
      track.append(line);
    }
    const number = make("span", { class: "number" });
    const word = make("span", { class: "word" });
    const note = make("span", { class: "note" });
    const sign = make("span", { class: "sign", "aria-hidden": "true" });
    const button = make(
      "button",
      { type: "button", class: "label", role: this.isClass ? "radio" : "checkbox", "data-cell": cell, "aria-keyshortcuts": key ?? null },
      sign, make("kbd", { "aria-hidden": "true" }, key ?? ""), make("span", { class: "name" }, shown(cell)), number, word, track, note,
    );
    button.addEventListener("click", () => this.act.press(cell));
    const unknown = make("button", { type: "button", class: "unknown", title: "unknown", "data-cell": cell }, make("span", { "aria-hidden": "true" }, "?"), spoken(`${shown(cell)}: unknown`));
    unknown.addEventListener("click", () => this.act.clear(cell));
    const element = make("li", { role: "none" }, button, ...(this.isClass ? [] : [unknown]));
    return { element, button, unknown, fill, number, word, note, sign };
  }

  #update(cell, row) {
    const { item } = this;
    const key = this.isClass ? "" : cell;
    const current = currentOf(item, key);
    const proposal = proposalOf(this.session, item, key);
    const value = this.isClass ? classValue(cell, current, proposal) : (proposal ?? current);
    const isProposed = proposal !== null && value !== UNKNOWN;
    const suspect = item.suspect.find((one) => (this.isClass ? one.predicted === cell || one.given === cell : one.cell === cell));
    row.element.className = `${value}${isProposed ? " proposed" : ""}${suspect ? " suspect" : ""}`;
    row.button.setAttribute("aria-checked", value === UNKNOWN && !this.isClass ? "mixed" : String(value === "yes"));
    setText(row.sign, { yes: "✓", no: "", [UNKNOWN]: "?" }[value]);
    setText(row.word, this.isClass && value === "no" ? "" : `${value}${isProposed ? "?" : ""}`);
    const probability = item.probability[cell];
    const isNumber = typeof probability === "number" && Number.isFinite(probability);
    row.fill.style.width = `${isNumber ? 100 * probability : 0}%`;
    setText(row.number, isNumber ? percent(probability) : "");
    setText(row.note, this.#note(cell, key, suspect));
    if (!this.isClass) row.unknown.setAttribute("aria-pressed", String(value === UNKNOWN));
  }

  #note(cell, key, suspect) {
    const { item } = this;
    const given = item.given[key] ?? UNKNOWN;
    const notes = [];
    if (suspect) notes.push(this.isClass ? classNote(cell, suspect) : `given ${words(suspect.given)}, predicted ${words(suspect.predicted)}`);
    const current = currentOf(item, key);
    if (current !== given && (!this.isClass || cell === current || cell === given)) notes.push(given === UNKNOWN ? "set here" : `was ${words(given)}`);
    return notes.join(" · ");
  }

  // ------------------------------------------------------------------ search

  #find() {
    const text = this.search.value.trim().toLowerCase();
    const names = this.session.cells.map((one) => one.cell);
    const starts = names.filter((name) => name.toLowerCase().startsWith(text));
    const holds = names.filter((name) => !name.toLowerCase().startsWith(text) && name.toLowerCase().includes(text));
    this.matches = text ? [...starts, ...holds].slice(0, 8) : [];
    this.chosen = 0;
    this.found.replaceChildren(...this.matches.map((name, k) => this.#option(name, k)));
    if (text && !this.matches.length) this.act.said(`no label holds “${text}”`);
    this.#mark();
  }

  #option(name, k) {
    const value = this.isClass ? "" : `${this.#value(name)}`;
    const option = make("li", { role: "option", id: `found-${k}`, "aria-selected": "false" }, shown(name), make("span", { class: "word" }, value));
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#take(name);
    });
    return option;
  }

  #mark() {
    const isOpen = this.matches.length > 0;
    this.found.hidden = !isOpen;
    this.search.setAttribute("aria-expanded", String(isOpen));
    [...this.found.children].forEach((option, k) => option.setAttribute("aria-selected", String(k === this.chosen)));
    if (isOpen) this.search.setAttribute("aria-activedescendant", `found-${this.chosen}`);
    else this.search.removeAttribute("aria-activedescendant");
  }

  #searchKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.matches?.length) {
      event.preventDefault();
      this.chosen = (this.chosen + step + this.matches.length) % this.matches.length;
      this.#mark();
    } else if (event.key === "Enter" && this.matches?.length) {
      event.preventDefault();
      this.#take(this.matches[this.chosen]);
    } else if (event.key === "Escape" || (event.key === "Enter" && !this.search.value)) {
      this.search.blur();
    }
    event.stopPropagation();
  }

  #take(name) {
    this.act.press(name);
    this.search.value = "";
    this.#find();
  }

  #closeSearch() {
    this.matches = [];
    this.#mark();
  }
}

function classValue(cell, current, proposal) {
  if (proposal !== null) return cell === proposal ? "yes" : "no";
  return cell === current ? "yes" : "no";
}

function classNote(cell, suspect) {
  return cell === suspect.predicted ? "predicted" : "given";
}
