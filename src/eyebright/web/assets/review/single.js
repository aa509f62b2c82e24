// The view of one image.

import { byId, make, setOptions, setText, shown } from "./elements.js";
import { LabelPanel } from "./label_panel.js";
import { logEntry } from "./log.js";
import { NumberPanel } from "./number_panel.js";
import { PointPanel } from "./point_panel.js";
import { UNKNOWN, acceptingChanges, canAccept, currentOf, keepUnknown, proposalOf, same, toggled } from "./values.js";
import { Viewer } from "./viewer.js";
import { get } from "./wire.js";

const AHEAD = 2; // images that are loaded in advance

export class Single {
  constructor(desk, view) {
    this.desk = desk;
    this.view = view;
    this.item = null;
    this.pages = null; // those of the image that is shown
    this.index = -1; // where it is in them
    this.heat = "";
    this.viewer = new Viewer({ moved: () => this.panel instanceof PointPanel && this.panel.update(), failed: (item, what) => this.#failed(item, what) });
    this.rebuild();
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("accept").addEventListener("click", () => this.accept());
    byId("undo").addEventListener("click", () => desk.undo());
    byId("zoom-in").addEventListener("click", () => this.viewer.zoomBy(1.4));
    byId("zoom-out").addEventListener("click", () => this.viewer.zoomBy(1 / 1.4));
    byId("zoom-fit").addEventListener("click", () => this.viewer.fit());
    byId("heat-cell").addEventListener("change", (event) => this.#setHeat(event.target.value));
    byId("history").addEventListener("toggle", () => this.#showLog());
  }

  /** Makes the panel, for the labels that there are. */
  rebuild() {
    const { session } = this.desk;
    const act = {
      press: (cell) => this.press(cell), clear: (cell) => this.clear(cell), set: (cell, value) => this.set(cell, value),
      addLabel: () => this.view.askLabel(), said: (text) => this.view.say(text),
    };
    const kinds = { points: () => new PointPanel(session, act, this.viewer), numbers: () => new NumberPanel(session, act) };
    this.panel = (kinds[session.kind] ?? (() => new LabelPanel(session, act)))();
    byId("heat-field").hidden = !session.can.heatMap;
    if (session.can.heatMap) setOptions(byId("heat-cell"), session.cells.map((one) => one.cell), { kept: 1 });
    if (this.item) this.panel.show(this.item);
  }

  /** Whether the image of the place is shown; else it is being loaded. */
  get isCurrent() {
    return this.pages === this.desk.pages && this.index === this.desk.place.at;
  }

  /** Shows the image of the place. */
  async show() {
    const { desk } = this;
    const { pages } = desk;
    const index = desk.place.at;
    if (!this.isCurrent) setText(byId("position"), "…");
    const item = await pages.at(index);
    if (pages !== desk.pages || index !== desk.place.at) return;
    Object.assign(this, { pages, index });
    if (!item) {
      this.item = null;
      return void this.view.showEmpty();
    }
    const isNew = this.item?.id !== item.id;
    this.panel.flush?.();
    this.item = item;
    if (isNew) this.#showImage(item);
    this.panel.show(item);
    this.update();
    this.#preload(index);
  }

  /** Shows what is set now. */
  update() {
    const { item, desk } = this;
    if (!item) return;
    this.panel.update();
    setText(byId("file"), shown(item.file));
    if (this.isCurrent) setText(byId("position"), `${(this.index + 1).toLocaleString("en")} of ${(desk.pages.total ?? 0).toLocaleString("en")}`);
    setText(byId("marks"), [item.reviewed ? "✓ reviewed" : "", item.changed ? "changed" : ""].filter(Boolean).join(" · "));
    setText(byId("reason"), item.reason);
    byId("reason").hidden = !item.reason;
    byId("previous").disabled = this.index === 0;
    this.#sayAccept();
    if (byId("history").open) this.#showLog();
  }

  // ------------------------------------------------------------------ what a person does

  async step(by) {
    this.panel.flush?.();
    if (!this.isCurrent) return void this.view.tryAgain();
    const index = this.index + by;
    if (index < 0) return this.view.say("this is the first image");
    if (this.desk.pages.total !== null && index >= this.desk.pages.total) return this.view.say("this was the last image of the list");
    return this.desk.go({ at: index });
  }

  /** Confirms the image as it is shown, and goes on. */
  accept() {
    const { item, desk } = this;
    if (!item) return;
    this.panel.flush?.();
    if (!canAccept(desk.session, item)) return void this.view.say("nothing is set here yet: set a value, or go on with n");
    desk.act(acceptingChanges(desk.session, item), item.reviewed ? [] : [item.id]);
    this.view.say("accepted");
    this.step(1);
  }

  /** What a label's key does: the other value of a label, this class, or the focus of a point or number. */
  press(cell) {
    const { session } = this.desk;
    if (session.kind === "points" || session.kind === "numbers") return this.panel.focus(cell);
    if (session.kind === "class") return this.set("", cell);
    return this.set(cell, toggled(session, this.item, cell));
  }

  clear(cell) {
    this.set(this.desk.isClass ? "" : cell, UNKNOWN);
  }

  set(cell, now) {
    const { item, desk } = this;
    const was = currentOf(item, cell);
    keepUnknown(item, cell, now === UNKNOWN);
    const isShown = cell === "" ? "class" : shown(cell);
    if (same(was, now)) return void (this.update(), this.view.say(`${isShown}: ${shown(String(now))}`));
    desk.act([{ id: item.id, cell, was, now }]);
    return this.view.say(`${isShown}: ${Array.isArray(now) ? now.join(", ") : shown(String(now))}`);
  }

  /** Sets the suspected labels to the predicted value. */
  exchange() {
    const { item, desk } = this;
    const changes = item.suspect.flatMap(({ cell }) => {
      const now = item.predicted[cell];
      const was = currentOf(item, cell);
      return now === undefined || now === null || now === UNKNOWN || same(was, now) ? [] : [{ id: item.id, cell, was, now }];
    });
    if (!changes.length) return void this.view.say("nothing here is suspected any more");
    desk.act(changes);
    return this.view.say("set to the predicted value");
  }

  /** The heat map of a label, on or off. */
  toggleHeat() {
    const { session } = this.desk;
    if (!session.can.heatMap) return this.view.say("this model has no heat maps here");
    const suspect = this.item.suspect[0];
    const best = Object.entries(this.item.probability).sort((one, other) => other[1] - one[1])[0]?.[0];
    const focused = document.activeElement?.closest?.("[data-cell]")?.dataset.cell;
    return this.#setHeat(this.heat ? "" : (focused ?? (suspect?.cell || suspect?.predicted) ?? best ?? session.cells[0]?.cell ?? ""));
  }

  // ------------------------------------------------------------------ private

  #setHeat(cell) {
    this.heat = cell;
    byId("heat-cell").value = cell;
    this.viewer.showHeat(cell);
    this.view.say(cell ? `heat map of ${shown(cell)}` : "no heat map");
  }

  async #showImage(item) {
    byId("missing").hidden = true;
    this.heat = "";
    byId("heat-cell").value = "";
    this.viewer.show(item);
    this.viewer.frame.setAttribute("aria-label", `Image ${shown(item.file)}; plus and minus zoom, shift and arrow keys move it`);
    if (item.missing) this.#failed(item, "image");
    if (this.desk.session.kind !== "points" && !byId("history").open) return;
    const { width, height } = await get(`api/item/${item.id}`).catch(() => ({}));
    if (width && this.item?.id === item.id) this.viewer.setSize(width, height);
  }

  #failed(item, what) {
    if (item.id !== this.item?.id) return; // the item itself is another after each refresh
    if (what === "heat map") return void (this.#setHeat(""), this.view.say("there is no heat map of this image"));
    byId("missing").hidden = false;
    setText(byId("missing"), item.missing ? "This image is no longer in its folder. What was set is kept." : "This image cannot be shown: it is missing or damaged. What was set is kept.");
  }

  async #preload(index) {
    const next = await Promise.all(Array.from({ length: AHEAD }, (_, k) => this.desk.pages.at(index + 1 + k))).catch(() => []);
    if (this.desk.place.at === index) this.viewer.preload(next.filter(Boolean));
  }

  #sayAccept() {
    const { item, desk } = this;
    const count = desk.session.kind === "labels" ? 0 : acceptingChanges(desk.session, item).length;
    const proposed = desk.session.kind === "labels" && desk.session.cells.some((one) => proposalOf(desk.session, item, one.cell) !== null);
    setText(byId("accept"), count || proposed ? "Accept proposal" : item.reviewed ? "Next" : "Accept");
  }

  async #showLog() {
    const { item } = this;
    if (!byId("history").open || !item) return;
    const { log } = await get(`api/item/${item.id}`).catch(() => ({ log: [] }));
    if (item.id !== this.item?.id) return;
    const none = make("li", { class: "none" }, "not changed");
    byId("item-log").replaceChildren(...(log.length ? log.map((entry) => logEntry(entry)) : [none]));
  }
}
