// The view of many images: to look at them, or to say of all of them that they are one label, with exceptions.

import { byId, counted, make, setText, shown, spoken } from "./elements.js";
import { UNKNOWN, currentOf, isUnlabelled, percent, proposalOf, words } from "./values.js";

const CHIPS = 4;

export class Grid {
  constructor(desk, view) {
    this.desk = desk;
    this.view = view;
    this.exceptions = new Set();
    this.items = [];
    this.tiles = [];
    this.start = 0;
    this.pages = null; // those that are shown; others than the desk's while new ones are loaded
    byId("page-back").addEventListener("click", () => this.turn(-1));
    byId("page-on").addEventListener("click", () => this.turn(1));
    byId("set-all").addEventListener("click", () => this.setAll());
    byId("tiles").addEventListener("focusin", (event) => this.#focused(event.target.closest(".tile")));
  }

  /** The label that all of these are to be; "" while one only looks. */
  get likely() {
    return this.desk.place.likely || this.desk.place.unlikely;
  }

  /** Whether none of these are to be the label, except those that are marked. */
  get isNone() {
    return this.desk.place.unlikely !== "";
  }

  /** Whether the page of the place is shown; else it is being loaded. */
  get isCurrent() {
    const { pages, place } = this.desk;
    return this.pages === pages && this.start === Math.floor(place.at / pages.size) * pages.size;
  }

  /** Shows the page of the place. */
  async show() {
    const { desk } = this;
    const { pages } = desk;
    const number = Math.floor(desk.place.at / pages.size);
    const items = await pages.page(number);
    if (pages !== desk.pages || number !== Math.floor(desk.place.at / pages.size)) return;
    if (!items.length && number > 0) return void desk.go({ at: Math.max(0, (Math.ceil(pages.total / pages.size) - 1) * pages.size) });
    const isSame = this.items === items;
    Object.assign(this, { pages, items, start: number * pages.size });
    if (!items.length) return void this.#showNothing();
    if (!isSame) this.exceptions.clear();
    const hadFocus = byId("tiles").contains(document.activeElement) || document.activeElement === document.body;
    this.tiles = items.map((item, k) => this.#tile(item, this.start + k));
    byId("tiles").replaceChildren(...this.tiles.map((tile) => tile.element));
    if (!isSame) byId("main").scrollTop = 0;
    this.update();
    const at = Math.min(items.length - 1, Math.max(0, desk.place.at - this.start));
    this.#rove(at);
    if (hadFocus) this.tiles[at].button.focus({ preventScroll: isSame });
  }

  /** Moves the focus to the first image. */
  focusFirst() {
    this.tiles[0]?.button.focus();
  }

  /** Shows what is set now. */
  update() {
    const { pages, session } = this.desk;
    if (!this.items.length || this.pages !== pages) return;
    for (const tile of this.tiles) this.#update(tile);
    const last = this.start + this.tiles.length;
    setText(byId("page-place"), `${(this.start + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${pages.total.toLocaleString("en")}`);
    byId("page-back").disabled = this.start === 0;
    byId("page-on").disabled = last >= pages.total;
    const about = session.lists.find((one) => one.id === this.desk.place.list)?.about ?? "";
    const isPredicted = this.items.some((item) => typeof item.probability[this.likely] === "number");
    const order = isPredicted ? `By ${this.isNone ? "rising" : "falling"} probability of “${shown(this.likely)}”.` : "No probabilities yet: sorted by file name.";
    setText(byId("grid-about"), this.likely ? `${order} Mark those that ${this.isNone ? "are" : "are not"}: click, or space.` : about);
    byId("set").hidden = !this.likely;
    if (this.likely) this.#updateSet();
  }

  turn(by) {
    const at = this.start + by * this.desk.pages.size;
    if (at < 0 || at >= this.desk.pages.total) return this.view.say("there is no further page");
    return this.desk.go({ at });
  }

  /** One action on all that are shown. */
  setAll() {
    const { desk, likely } = this;
    if (!this.isCurrent) return;
    const cell = desk.isClass ? "" : likely;
    const changes = this.items.flatMap((item) => {
      const now = desk.isClass ? likely : this.exceptions.has(item.id) === this.isNone ? "yes" : "no";
      const was = currentOf(item, cell);
      return was === now || (desk.isClass && this.exceptions.has(item.id)) ? [] : [{ id: item.id, cell, was, now }];
    });
    if (!changes.length) return this.view.say("nothing would change");
    const text = `“${shown(likely)}” is set for ${counted(changes.length, "image")}`;
    desk.act(changes, [], { done: () => { this.view.say(text); desk.place.at = 0; desk.reload(); } });
  }

  /** Answers a key; returns whether it was one of the grid. */
  key(event) {
    if (event.key === "PageDown") this.turn(1);
    else if (event.key === "PageUp") this.turn(-1);
    else if (event.key === "Enter" && this.likely && !event.shiftKey && !event.target.matches("button:not(.tile)")) this.setAll();
    else if (event.key === "Enter" && event.target.matches(".tile")) this.#open(this.#index(event.target));
    else if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) this.#arrow(event.key);
    else if (event.key === "x" && this.likely && event.target.matches(".tile")) this.#mark(this.#index(event.target));
    else return false;
    return true;
  }

  // ------------------------------------------------------------------ private

  #tile(item, index) {
    const image = make("img", { src: `thumbnail/${item.id}`, alt: "", loading: "lazy", decoding: "async" });
    const picture = make("span", { class: "picture" }, image);
    image.addEventListener("error", () => picture.replaceChildren(make("span", { class: "error" }, "cannot be shown")));
    const chips = make("span", { class: "chips" });
    const mark = make("span", { class: "mark-of" });
    const button = make("button", { type: "button", class: "tile", tabindex: "-1" }, picture, mark, chips, make("span", { class: "file" }, shown(item.file)));
    button.addEventListener("click", () => (this.likely ? this.#mark(index - this.start) : this.#open(index - this.start)));
    return { element: make("li", {}, button), button, item, chips, mark };
  }

  #update({ item, button, chips, mark }) {
    const isException = this.exceptions.has(item.id);
    if (this.likely) button.setAttribute("aria-pressed", String(isException));
    else button.removeAttribute("aria-pressed");
    button.classList.toggle("exception", isException);
    const probability = item.probability[this.likely];
    const words = this.likely ? [isException ? (this.isNone ? "is one" : "not this") : "", typeof probability === "number" ? percent(probability) : ""] : [item.reviewed ? "✓" : "", item.changed ? "changed" : ""];
    mark.replaceChildren(...words.filter(Boolean).map((text) => make("span", {}, text)));
    chips.replaceChildren(...this.#chips(item));
  }

  #chips(item) {
    const { session } = this.desk;
    if (session.kind === "points") return [make("span", { class: "tag" }, counted(Object.values(item.current).filter((value) => value !== UNKNOWN).length, "point"))];
    if (session.kind === "numbers") return Object.entries(item.current).slice(0, CHIPS).map(([cell, value]) => make("span", { class: "tag" }, `${shown(cell)} ${words(value)}`));
    const cells = this.desk.isClass ? [""] : session.cells.map((one) => one.cell);
    const found = cells.flatMap((cell) => {
      const proposal = proposalOf(session, item, cell);
      const value = proposal ?? currentOf(item, cell);
      const suspect = item.suspect.find((one) => one.cell === cell);
      if (this.desk.isClass ? value === UNKNOWN : value !== "yes" && !suspect) return [];
      const name = this.desk.isClass ? value : cell;
      const style = suspect ? "suspect" : proposal !== null ? "proposed" : "yes";
      const text = suspect ? (this.desk.isClass ? `${shown(name)}, or ${shown(suspect.predicted)}?` : `${shown(name)}?`) : `${shown(name)}${proposal !== null ? "?" : ""}`;
      return [{ style, text, note: suspect ? `${value}, predicted ${words(suspect.predicted)}` : "" }];
    });
    found.sort((one, other) => (other.style === "suspect") - (one.style === "suspect"));
    const rest = found.length - CHIPS;
    const made = found.slice(0, CHIPS).map(({ style, text, note }) => make("span", { class: `tag ${style}` }, text, ...(note ? [spoken(` (${note})`)] : [])));
    if (rest > 0) made.push(make("span", { class: "rest" }, `+${rest}`));
    if (!made.length) made.push(make("span", { class: "rest" }, isUnlabelled(item) ? "no labels yet" : "none"));
    return made;
  }

  #updateSet() {
    const exceptions = this.exceptions.size;
    const rest = this.items.length - exceptions;
    const others = exceptions ? (this.desk.isClass ? `; ${exceptions} stay as they are` : `, ${exceptions} ${this.isNone ? "yes" : "no"}`) : "";
    setText(byId("set-all"), this.desk.isClass ? `Set ${rest} to ${shown(this.likely)}` : `Set ${rest} ${this.isNone ? "no" : "yes"}${others}`);
    setText(byId("set-about"), `${this.isNone ? "None" : "All"} of these are “${shown(this.likely)}”${exceptions ? `, except ${counted(exceptions, "image")}` : ""}.`);
  }

  #showNothing() {
    this.tiles = [];
    this.exceptions.clear();
    this.view.showEmpty();
  }

  #mark(k) {
    if (!this.isCurrent) return;
    const { item } = this.tiles[k];
    if (!this.exceptions.delete(item.id)) this.exceptions.add(item.id);
    this.update();
    this.view.say(`${this.exceptions.size} marked`);
  }

  #open(k) {
    this.desk.go({ at: this.start + k, view: "single" });
  }

  #index(button) {
    return this.tiles.findIndex((tile) => tile.button === button);
  }

  #focused(button) {
    const k = this.#index(button);
    if (k < 0) return;
    this.#rove(k);
    this.desk.place.at = this.start + k;
  }

  #rove(k) {
    this.tiles.forEach((tile, one) => tile.button.setAttribute("tabindex", one === k ? "0" : "-1"));
  }

  #arrow(key) {
    const at = this.desk.place.at - this.start;
    const tops = this.tiles.map((tile) => tile.element.offsetTop);
    const columns = Math.max(1, tops.filter((top) => top === tops[0]).length);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: this.tiles.length - 1 }[key];
    this.tiles[Math.max(0, Math.min(this.tiles.length - 1, to))]?.button.focus();
  }
}
