// The page: makes its parts, answers keys, and says what happens.

import { Desk } from "./desk.js";
import { byId, counted, make, setText, shown, spoken } from "./elements.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { Keys } from "./keys.js";
import { Log } from "./log.js";
import { readPlace } from "./place.js";
import { Proposal } from "./proposal.js";
import { Single } from "./single.js";

const NARROW = "(max-width: 40rem)";

class Page {
  async start() {
    this.desk = new Desk(this);
    this.say("Loading …");
    try {
      await this.desk.start();
    } catch (error) {
      this.say("");
      return void this.warn(`The images cannot be loaded: ${error.message}.`);
    }
    const { session } = this.desk;
    const title = shown(session.title) || "Images";
    document.title = `${title} – Review`;
    setText(byId("title"), title);
    this.filters = new Filters(this.desk);
    this.single = new Single(this.desk, this);
    this.grid = new Grid(this.desk, this);
    this.log = new Log(this.desk);
    this.keys = new Keys(this);
    this.proposal = new Proposal(this.desk, this);
    this.#listen();
    this.sessionChanged(false);
    if (!this.desk.place.view) this.desk.place.view = "single";
    await this.desk.go({});
    this.proposal.refresh();
    this.say("");
    document.body.dataset.ready = (performance.now() / 1000).toFixed(3);
    return undefined;
  }

  get view() {
    return this.desk.place.view === "grid" ? this.grid : this.single;
  }

  // ------------------------------------------------------------------ what the desk says

  async placeChanged() {
    const isGrid = this.desk.place.view === "grid";
    byId("view-single").setAttribute("aria-pressed", String(!isGrid));
    byId("view-grid").setAttribute("aria-pressed", String(isGrid));
    this.#showLists();
    this.filters.update();
    this.proposal.update();
    try {
      byId("empty").hidden = true;
      byId("single").hidden = isGrid;
      byId("grid").hidden = !isGrid;
      await this.view.show();
    } catch (error) {
      this.warn(`The images cannot be loaded: ${error.message}.`);
    }
  }

  /** Says that the images of the place are not there yet, and asks for them again, if that had failed. */
  tryAgain() {
    this.say("still loading: press the key again");
    return this.placeChanged();
  }

  showEmpty() {
    byId("single").hidden = true;
    byId("grid").hidden = true;
    byId("empty").hidden = false;
    const { place } = this.desk;
    const isFiltered = place.query || place.state || place.value || place.likely || place.unlikely;
    setText(byId("empty-about"), isFiltered ? "No image in this list matches the filters." : "There is no image in this list.");
  }

  itemsChanged(ids) {
    const { single, grid } = this;
    if (this.desk.place.view === "grid") grid.update();
    else if (ids.includes(single.item?.id)) single.update();
    this.#showLists();
  }

  sessionChanged(isGrown) {
    const { session } = this.desk;
    if (isGrown) this.single.rebuild();
    this.filters.setNames();
    byId("learn").hidden = !session.can.learn;
    byId("save").hidden = !session.can.save;
    this.#showLists();
    this.#showCounts(session.counts);
    this.log.refresh();
  }

  stateChanged({ counts, learning }) {
    if (counts) this.#showCounts(counts);
    if (!learning) return;
    const isRunning = learning.state === "running";
    byId("learning").hidden = !isRunning;
    byId("learning").value = learning.progress ?? 0;
    byId("learn").disabled = isRunning;
    if (learning.state !== this.learning && (this.learning || isRunning) && !learning.automatic) this.say(learning.message || `learning: ${learning.state}`);
    if (learning.state === "failed" && this.learning === "running") this.warn(learning.message);
    this.learning = learning.state;
  }

  connectionChanged() {
    const { outbox, isReached, trouble } = this.desk;
    const waiting = outbox.waiting;
    const isTrouble = (outbox.problem && waiting) || !isReached;
    document.body.dataset.waiting = String(waiting);
    if (isTrouble) {
      const what = outbox.problem && outbox.problem !== "the server does not respond" ? outbox.problem : trouble || "The server does not respond.";
      const kept = waiting ? ` ${counted(waiting, "action")} ${waiting === 1 ? "waits" : "wait"} here and ${waiting === 1 ? "is" : "are"} sent again until ${waiting === 1 ? "it is" : "they are"} written.` : " It is asked again every second.";
      this.warn(what + kept, "connection");
    } else if (this.warned === "connection") {
      this.closeNotice();
      this.say("The server responds again; nothing was lost.");
      if (!this.view.isCurrent) this.placeChanged();
    }
  }

  // ------------------------------------------------------------------ words

  say(text) {
    const sentence = text && `${text[0].toUpperCase()}${text.slice(1)}`;
    setText(byId("status"), sentence);
  }

  /** A notice that stays until it is closed. */
  warn(text, about = "") {
    this.warned = about;
    setText(byId("notice-text"), text);
    byId("notice").hidden = false;
  }

  closeNotice() {
    this.warned = null;
    byId("notice").hidden = true;
    byId("notice-text").textContent = "";
  }

  askLabel() {
    const noun = this.desk.isClass ? "class" : "label";
    setText(byId("add-title"), `Add a ${noun}`);
    byId("add-name").value = "";
    byId("add").showModal();
  }

  #showLists() {
    const { session, place } = this.desk;
    const list = byId("lists");
    if (list.children.length !== session.lists.length) {
      list.replaceChildren(...session.lists.map((one) => {
        const button = make("button", { type: "button", "data-list": one.id, title: one.about });
        button.addEventListener("click", () => this.desk.go({ list: one.id, at: 0 }));
        return make("li", {}, button);
      }));
    }
    session.lists.forEach((one, k) => {
      const button = list.children[k].firstChild;
      if (one.id === place.list) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      const text = `${one.name} ${one.left} ${one.count}`;
      if (button.dataset.text === text) return;
      button.dataset.text = text;
      button.replaceChildren(one.name, make("span", { class: "left" }, one.left.toLocaleString("en")), spoken(` of ${counted(one.count, "image")} left`));
    });
  }

  #showCounts({ items, reviewed, changed, unlabelled }) {
    const parts = [counted(items, "image"), `${reviewed.toLocaleString("en")} reviewed`, `${changed.toLocaleString("en")} changed`];
    if (unlabelled) parts.push(`${unlabelled.toLocaleString("en")} without labels`);
    setText(byId("counts"), parts.join(" · "));
  }

  #listen() {
    const { desk } = this;
    byId("view-single").addEventListener("click", () => desk.go({ view: "single" }));
    byId("view-grid").addEventListener("click", () => desk.go({ view: "grid" }));
    byId("learn").addEventListener("click", () => desk.learn());
    byId("save").addEventListener("click", () => {
      this.single.panel.flush?.();
      desk.save();
    });
    byId("open-help").addEventListener("click", () => this.keys.help());
    byId("notice-close").addEventListener("click", () => this.closeNotice());
    for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
    byId("add-form").addEventListener("submit", () => byId("add-name").value.trim() && desk.addLabel(byId("add-name").value.trim()));
    addEventListener("hashchange", () => desk.go(readPlace()));
    addEventListener("beforeunload", (event) => desk.outbox.waiting && event.preventDefault());
    matchMedia(NARROW).addEventListener("change", () => desk.reload());
  }
}

new Page().start();
