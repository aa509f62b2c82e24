// The keys of the page.

import { byId, make, shown } from "./elements.js";

const TYPED = "input:not([type=checkbox]), select, textarea";

export class Keys {
  constructor(page) {
    this.page = page;
    document.addEventListener("keydown", (event) => this.#down(event));
  }

  /** Shows the keys. */
  help() {
    const { session } = this.page.desk;
    const named = { labels: "switches its label between yes and no", class: "sets its class", points: "goes to its point", numbers: "goes to its number" }[session.kind];
    const rows = [
      ["Enter", "confirm all values as shown (proposed ones are set) and go to the next image"],
      ["a letter", named],
      ["Shift + letter", "unknown"],
      ["x", "set suspected labels to the predicted value"],
      ["→ n j", "next image"],
      ["← p k", "previous image"],
      ["Backspace z u", "undo, as often as you like"],
      ["r y", "redo"],
      ["h", "heat map on and off"],
      ["+ − 0", "zoom in, out, fit; Shift + arrows move"],
      [".", "do what is proposed next"],
      ["/", "find a label, or a file in the grid"],
      ["Esc", "grid, and back"],
      ["in the grid", "arrows move, Enter opens; a letter: all are this label, with Shift: none are"],
      ["set many", "Space marks an exception, Enter sets all shown"],
      ["?", "these keys"],
    ];
    const named2 = session.cells.filter((one) => one.key).slice(0, 40).map((one) => [one.key, shown(one.cell)]);
    byId("keys").replaceChildren(...[...rows, ...named2].map(([key, text]) => make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, text))));
    byId("help").showModal();
  }

  #down(event) {
    const { target } = event;
    if (document.querySelector("dialog[open]") || event.isComposing || event.altKey) return;
    if (target.matches(TYPED)) return void this.#typed(event);
    if (event.ctrlKey || event.metaKey) return void this.#withControl(event);
    if (event.key === "Tab" || (event.key === " " && target.matches("button"))) return;
    if (event.key === "Enter" && target.matches("button:not(.tile, .label, .unknown, .point, #accept), a, summary")) return;
    if (this.#general(event) || this.#ofView(event)) event.preventDefault();
  }

  #typed(event) {
    const { target } = event;
    if (event.key === "Escape") return void target.blur();
    if (event.key !== "Enter" || !target.matches("#answers input")) return;
    event.preventDefault();
    const { panel } = this.page.single;
    if (!panel.take?.(target)) this.page.single.accept();
  }

  #withControl(event) {
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    if (key === "y" || event.shiftKey) this.page.desk.redo();
    else this.page.desk.undo();
  }

  #general(event) {
    const { desk } = this.page;
    const isLabel = this.#cellOf(event) !== null;
    if (event.key === "?") this.help();
    else if (event.key === "Backspace" || (!isLabel && (event.key === "z" || event.key === "u"))) desk.undo();
    else if (!isLabel && (event.key === "r" || event.key === "y")) desk.redo();
    else if (event.key === "Escape") desk.go({ view: desk.place.view === "grid" ? "single" : "grid" });
    else if (event.key === "/") this.#search();
    else if (event.key === ".") this.page.proposal.take();
    else return false;
    return true;
  }

  #ofView(event) {
    const { desk, grid, single } = this.page;
    if (!this.page.view.isCurrent) return this.#early(event);
    if (desk.place.view === "grid") {
      if (grid.key(event)) return true;
      const cell = this.#cellOf(event);
      if (cell === null || !this.#isNamed()) return false;
      const isNone = event.shiftKey && !desk.isClass;
      this.page.filters.likely(cell === desk.place[isNone ? "unlikely" : "likely"] ? "" : cell, { isNone });
      return true;
    }
    if (!single.item) return false;
    return this.#single(event, single);
  }

  #single(event, single) {
    const cell = this.#cellOf(event);
    if (cell !== null) {
      if (event.shiftKey) single.clear(cell);
      else single.press(cell);
      return true;
    }
    if (single.viewer.key(event)) return true;
    const actions = {
      Enter: () => single.accept(), x: () => single.exchange(), h: () => single.toggleHeat(),
      ArrowRight: () => single.step(1), n: () => single.step(1), j: () => single.step(1),
      ArrowLeft: () => single.step(-1), p: () => single.step(-1), k: () => single.step(-1),
    };
    if (!Object.hasOwn(actions, event.key)) return false;
    actions[event.key]();
    return true;
  }

  /** A key before the images are loaded: it would be meant for others than those that are shown. */
  #early(event) {
    if (event.key.length > 1 && event.key !== "Enter" && !event.key.startsWith("Arrow")) return false;
    this.page.tryAgain();
    return true;
  }

  #isNamed() {
    return ["labels", "class"].includes(this.page.desk.session.kind);
  }

  /** The label whose key was pressed, with or without Shift; null for none. */
  #cellOf(event) {
    const code = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    const key = code && !/^[^\d]$/.test(event.shiftKey ? "" : event.key) ? code : event.key.toLowerCase();
    if (event.key.length !== 1 && !code) return null;
    return this.page.desk.session.cells.find((one) => one.key === key)?.cell ?? null;
  }

  #search() {
    const { desk, single } = this.page;
    if (desk.place.view !== "grid" && single.panel.focusSearch?.()) return;
    byId("more").setAttribute("aria-expanded", "true");
    byId("query").focus();
    byId("query").select();
  }
}
