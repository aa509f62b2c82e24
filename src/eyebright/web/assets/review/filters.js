// The search and the filters of a list.

import { byId, setOptions } from "./elements.js";

const NOT_ASKED = { likely: "", unlikely: "" };
const WAIT = 250; // ms after the last key

export class Filters {
  constructor(desk) {
    this.desk = desk;
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("query").addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#go({ query: byId("query").value.trim() }), WAIT);
    });
    for (const name of ["state", "value"]) byId(name).addEventListener("change", () => this.#go({ [name]: byId(name).value, ...(name === "value" ? NOT_ASKED : {}) }));
    byId("cell").addEventListener("change", () => this.#cell(byId("cell").value));
    byId("likely").addEventListener("change", () => this.likely(byId("likely").value));
    byId("unlikely").addEventListener("change", () => this.likely(byId("unlikely").value, { isNone: true }));
    byId("clear").addEventListener("click", () => this.clear());
    byId("more").addEventListener("click", () => byId("more").setAttribute("aria-expanded", String(byId("more").getAttribute("aria-expanded") !== "true")));
  }

  /** Offers the labels that there are. */
  setNames() {
    const { kind, cells } = this.desk.session;
    const names = cells.map((one) => one.cell);
    const isNamed = kind === "labels" || kind === "class";
    for (const field of document.querySelectorAll(".of-labels")) field.hidden = !isNamed;
    if (!isNamed) return;
    for (const name of ["likely", "unlikely", "cell"]) setOptions(byId(name), names, { kept: 1 });
    for (const name of ["value", "unlikely"]) byId(name).parentElement.hidden = kind === "class";
    if (byId("value").options.length === 0) setOptions(byId("value"), ["yes", "no", "unknown"]);
    this.update();
  }

  /** Shows the filters of the place. */
  update() {
    const { place, isClass } = this.desk;
    if (document.activeElement !== byId("query")) byId("query").value = place.query;
    byId("state").value = place.state;
    for (const name of ["likely", "unlikely"]) byId(name).value = place[name];
    byId("cell").value = isClass ? place.value : place.cell;
    byId("value").value = place.value || "yes";
    byId("value").disabled = !place.value;
    byId("clear").hidden = !(place.query || place.state || place.value || place.likely || place.unlikely);
  }

  /** The grid of images that are probably of a label, or of those that are probably not; "" leaves it. */
  likely(name, { isNone = false } = {}) {
    const list = this.desk.session.lists.some((one) => one.id === "all") ? "all" : this.desk.place.list;
    this.#go({ ...NOT_ASKED, [isNone ? "unlikely" : "likely"]: name, view: "grid", cell: "", value: "", ...(name ? { list } : {}) });
  }

  clear() {
    this.#go({ query: "", state: "", cell: "", value: "", ...NOT_ASKED });
  }

  #cell(name) {
    if (this.desk.isClass) return this.#go({ cell: name && "(class)", value: name, ...NOT_ASKED });
    return this.#go({ cell: name, value: name && (byId("value").value || "yes"), ...NOT_ASKED });
  }

  #go(parts) {
    this.desk.go({ ...parts, at: 0 });
  }
}
