// Numbers: a field each.

import { byId, make, setText, shown } from "./elements.js";
import { UNKNOWN, currentOf, proposalOf, same, words } from "./values.js";

export class NumberPanel {
  /** `act` has `set(cell, value)` and `said(text)`. */
  constructor(session, act) {
    this.session = session;
    this.act = act;
    this.rows = new Map(session.cells.map(({ cell }) => [cell, this.#row(cell)]));
    byId("answers").replaceChildren(make("ul", { class: "values", "aria-label": "Numbers" }, ...[...this.rows.values()].map((row) => row.element)));
  }

  show(item) {
    const isNew = this.item?.id !== item.id;
    this.item = item;
    if (isNew) for (const row of this.rows.values()) row.put = null;
    this.update();
  }

  /** Shows what is set now, except in a field in which somebody types. */
  update() {
    for (const [cell, row] of this.rows) {
      const value = proposalOf(this.session, this.item, cell) ?? currentOf(this.item, cell);
      const given = this.item.given[cell] ?? UNKNOWN;
      const predicted = this.item.predicted[cell];
      const text = value === UNKNOWN ? "" : String(value);
      if (!isTyped(row)) row.input.value = row.put = text;
      const notes = typeof predicted === "number" ? [`predicted ${words(predicted)}`] : [];
      if (!same(given, currentOf(this.item, cell))) notes.push(given === UNKNOWN ? "set here" : `was ${words(given)}`);
      setText(row.note, notes.join(" · "));
      row.unknown.setAttribute("aria-pressed", String(value === UNKNOWN));
    }
  }

  /** Focuses the first field, or that of a number. */
  focus(cell = this.session.cells[0].cell) {
    this.rows.get(cell).input.select();
    this.rows.get(cell).input.focus();
  }

  /** Sets what stands in a field; returns whether that was new. */
  take(input) {
    const cell = input.dataset.cell;
    const value = input.value.trim() === "" ? UNKNOWN : Number(input.value);
    if (input.validity.badInput || Number.isNaN(value)) {
      this.act.said("this is no number");
      return true;
    }
    const before = proposalOf(this.session, this.item, cell) ?? currentOf(this.item, cell);
    this.rows.get(cell).put = input.value;
    if (same(value, before)) return false;
    this.act.set(cell, value);
    return true;
  }

  #row(cell) {
    const input = make("input", { type: "number", step: "any", placeholder: "unknown", "data-cell": cell });
    input.addEventListener("change", () => this.take(input));
    const note = make("span", { class: "note" });
    const unknown = make("button", { type: "button", class: "unknown", title: "unknown", "aria-label": `${shown(cell)}: unknown` }, "?");
    unknown.addEventListener("click", () => this.act.set(cell, UNKNOWN));
    return { element: make("li", {}, make("label", { class: "field" }, make("span", { class: "name" }, shown(cell)), input, note), unknown), input, note, unknown, put: null };
  }
}

/** Whether a field has the focus and another text than was last put there. */
function isTyped({ input, put }) {
  return put !== null && document.activeElement === input && (input.value !== put || input.validity.badInput);
}
