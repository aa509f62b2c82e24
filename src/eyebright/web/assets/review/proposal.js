// What to do next with images that came without labels: a line with one button, and one key that takes it.

import { byId, counted, setText, shown } from "./elements.js";
import { get } from "./wire.js";

const WAIT = 60; // ms in which further changes are awaited

export class Proposal {
  constructor(desk, view) {
    this.desk = desk;
    this.view = view;
    this.step = null;
    byId("next-take").addEventListener("click", () => this.take());
  }

  /** Asks the server what comes next, soon. */
  refresh() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(), WAIT);
  }

  /** Goes where it is done, or learns. */
  async take() {
    const { step, desk, view } = this;
    if (!step || byId("next-take").hidden) return;
    if (step.kind === "learn") return void desk.learn();
    await desk.go(step.place, { isFresh: true });
    if (step.kind === "grid") view.grid.focusFirst();
    else if (document.activeElement === byId("next-take")) byId("accept").focus();
    this.update();
  }

  /** Shows it, and whether the page is there already. */
  update() {
    const { step } = this;
    const isShown = step !== null && step.kind !== "none";
    byId("next").hidden = !isShown;
    if (!isShown) return;
    setText(byId("next-about"), sentences[step.kind](step));
    byId("next-take").hidden = step.kind === "done" || this.#isThere();
    setText(byId("next-words"), step.kind === "learn" ? "Learn" : "Go there");
  }

  async #load() {
    try {
      this.step = await get("api/next");
    } catch {
      return; // it is asked for again after the next change
    }
    this.update();
    document.body.dataset.next = JSON.stringify(this.step);
  }

  #isThere() {
    const { place } = this.desk;
    if (this.desk.isOutdated) return false; // it has learnt since: there are other images in this place now
    if (this.step.kind === "start") return place.list === "suggested" && place.view !== "grid" && !place.query && !place.state && !place.value;
    if (this.step.kind !== "grid") return false;
    const { list, view, likely, unlikely, count } = this.step.place;
    return place.list === list && place.view === view && place.likely === likely && place.unlikely === unlikely && Number(place.count) === count;
  }
}

const sentences = {
  start: ({ labelled, wanted }) => `Next: label ${counted(wanted, "image")} one by one, ${labelled} of them are labelled; then learn.`,
  learn: () => "Next: let the page learn from what you have labelled. After that it learns by itself.",
  grid: ({ label, answer, count }) => (count === 1
    ? `Next: one image in the grid: is it “${shown(label)}”?`
    : `Next: a grid of ${counted(count, "image")}, ${answer === "yes" ? "all" : "none"} of them “${shown(label)}”? Mark the exceptions.`),
  image: () => "Next: a single image, with the proposed labels.",
  done: () => "All images are labelled.",
};
