// Points: handles over the image that are dragged or moved by arrow keys, and a row each with its place.

import { byId, make, makeSvg, setText, shown } from "./elements.js";
import { UNKNOWN, currentOf, proposalOf, same, words } from "./values.js";

const WAIT = 500; // ms after the last arrow key, until the place is set
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class PointPanel {
  /** `act` has `set(cell, value)`; `viewer` knows where pixels are. */
  constructor(session, act, viewer) {
    this.session = session;
    this.act = act;
    this.viewer = viewer;
    this.moving = null; // {cell, place}: a point on its way
    this.rows = new Map(session.cells.map((one) => [one.cell, this.#row(one)]));
    byId("answers").replaceChildren(make("ul", { class: "values", "aria-label": "Points" }, ...[...this.rows.values()].map((row) => row.element)));
    this.drawing = makeSvg("svg", { "aria-hidden": "true" });
    byId("points").replaceChildren(this.drawing, ...[...this.rows.values()].map((row) => row.handle));
  }

  show(item) {
    this.item = item;
    this.update();
  }

  /** Shows what is set now, at the places where the pixels are now. */
  update() {
    if (!this.item) return;
    for (const [cell, row] of this.rows) this.#update(cell, row);
    this.#draw();
  }

  /** Focuses the handle of a point; places it first if it is unknown. */
  focus(cell) {
    if (this.#place(cell) === null) this.act.set(cell, this.#start(cell));
    this.rows.get(cell).handle.focus();
  }

  /** The point that has the focus; null for none. */
  get focused() {
    return document.activeElement?.closest?.("[data-cell]")?.dataset.cell ?? null;
  }

  #place(cell) {
    if (this.moving?.cell === cell) return this.moving.place;
    const value = proposalOf(this.session, this.item, cell) ?? currentOf(this.item, cell);
    return value === UNKNOWN ? null : value;
  }

  #start(cell) {
    const predicted = this.item.predicted[cell];
    if (Array.isArray(predicted)) return predicted;
    const { width, height } = this.viewer.size ?? { width: 100, height: 100 };
    return [width / 2, height / 2];
  }

  #row({ cell, key }) {
    const place = make("span", { class: "number" });
    const note = make("span", { class: "note" });
    const focus = make("button", { type: "button", class: "label", "data-cell": cell, "aria-keyshortcuts": key ?? null }, make("kbd", { "aria-hidden": "true" }, key ?? ""), make("span", { class: "name" }, shown(cell)), place, note);
    focus.addEventListener("click", () => this.focus(cell));
    const unknown = make("button", { type: "button", class: "unknown", title: "unknown", "data-cell": cell, "aria-label": `${shown(cell)}: unknown` }, "?");
    unknown.addEventListener("click", () => this.act.set(cell, UNKNOWN));
    const handle = make("button", { type: "button", class: "point", "data-cell": cell }, make("span", { "aria-hidden": "true" }, shown(cell)));
    handle.addEventListener("keydown", (event) => this.#key(event, cell));
    handle.addEventListener("blur", () => this.flush());
    handle.addEventListener("pointerdown", (event) => this.#grab(event, cell, handle));
    return { element: make("li", {}, focus, unknown), place, note, unknown, handle };
  }

  #update(cell, row) {
    const place = this.#place(cell);
    const current = currentOf(this.item, cell);
    const isProposed = current === UNKNOWN && place !== null;
    row.element.className = isProposed ? "proposed" : "";
    setText(row.place, place === null ? "unknown" : `${words(place)}${isProposed ? " ?" : ""}`);
    setText(row.note, this.#note(cell, current));
    row.unknown.setAttribute("aria-pressed", String(place === null));
    row.handle.hidden = place === null || !this.viewer.size;
    if (place === null) return;
    const [left, top] = this.viewer.toFrame(place);
    row.handle.style.left = `${left}px`;
    row.handle.style.top = `${top}px`;
    row.handle.setAttribute("aria-label", `${shown(cell)}: ${words(place)}; arrow keys move it`);
  }

  #note(cell, current) {
    const given = this.item.given[cell] ?? UNKNOWN;
    const suspect = this.item.suspect.find((one) => one.cell === cell);
    const notes = suspect ? [`predicted ${words(this.item.predicted[cell] ?? suspect.predicted)}`] : [];
    if (!same(given, current)) notes.push(given === UNKNOWN ? "set here" : `was ${words(given)}`);
    return notes.join(" · ");
  }

  /** Rings where the model predicts the points, with lines from where they are. */
  #draw() {
    const parts = [];
    for (const cell of this.rows.keys()) {
      const predicted = this.item.predicted[cell];
      if (!Array.isArray(predicted) || !this.viewer.size) continue;
      const [x, y] = this.viewer.toFrame(predicted);
      const place = this.#place(cell);
      if (place !== null) parts.push(makeSvg("path", { d: `M${x} ${y}L${this.viewer.toFrame(place).join(" ")}` }));
      parts.push(makeSvg("circle", { cx: x, cy: y, r: 6 }));
    }
    this.drawing.replaceChildren(...parts);
  }

  #key(event, cell) {
    if (event.key === "Delete") return this.act.set(cell, UNKNOWN);
    const step = MOVES[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return undefined;
    event.preventDefault();
    event.stopPropagation();
    const far = event.shiftKey ? 10 : 1;
    const [x, y] = this.#place(cell);
    this.#move(cell, [x + step[0] * far, y + step[1] * far]);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), WAIT);
    return undefined;
  }

  #grab(event, cell, handle) {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const from = this.viewer.toImage(event.clientX, event.clientY);
    const place = this.#place(cell);
    const drag = (move) => {
      const to = this.viewer.toImage(move.clientX, move.clientY);
      this.#move(cell, [place[0] + to[0] - from[0], place[1] + to[1] - from[1]]);
    };
    const drop = () => {
      handle.removeEventListener("pointermove", drag);
      this.flush();
    };
    handle.addEventListener("pointermove", drag);
    handle.addEventListener("lostpointercapture", drop, { once: true });
  }

  #move(cell, [x, y]) {
    const { width, height } = this.viewer.size;
    const within = (value, most) => Math.round(10 * Math.min(most, Math.max(0, value))) / 10;
    this.moving = { cell, place: [within(x, width), within(y, height)] };
    this.update();
  }

  /** Sets a point that is still on its way. */
  flush() {
    clearTimeout(this.timer);
    if (!this.moving) return;
    const { cell, place } = this.moving;
    this.moving = null;
    this.act.set(cell, place);
  }
}
