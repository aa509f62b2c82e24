// The panel of thresholds: a slider for each label, two where a person may be asked, and what they change.

const SEARCHED_FROM = 13; // labels from which there is a search field

class ThresholdPanel {
  /** `moved` is called with the label whose threshold was moved, or with null for all of them. */
  constructor(model, moved) {
    this.model = model;
    this.values = { upper: [...model.upper], lower: model.lower && [...model.lower] };
    this.moved = moved;
    this.entries = model.names.map((name, label) => new ThresholdEntry(this, name, label));
    this.warning = byId("moved");
    byId("thresholds").replaceChildren(...this.entries.map((entry) => entry.element));
    byId("reset").addEventListener("click", () => this.reset());
    this.#addSearch();
    this.#update();
  }

  isMoved(label) {
    const { upper, lower } = this.values;
    return upper[label] !== this.model.upper[label] || (lower !== null && lower[label] !== this.model.lower[label]);
  }

  /** Whether a threshold is not that of the model. */
  get hasMoved() {
    return this.model.names.some((_, label) => this.isMoved(label));
  }

  /** Sets one threshold; the other of the label gives way. */
  set(label, which, value) {
    const { upper, lower } = this.values;
    this.values[which][label] = value;
    if (lower && which === "upper") lower[label] = Math.min(lower[label], value);
    if (lower && which === "lower") upper[label] = Math.max(upper[label], value);
    this.#changed(label);
  }

  /** Sets the thresholds of a label, or of all, to those of the model. */
  reset(label = null) {
    for (const one of label === null ? this.model.names.keys() : [label]) {
      this.values.upper[one] = this.model.upper[one];
      if (this.values.lower) this.values.lower[one] = this.model.lower[one];
      this.entries[one].update();
    }
    this.#changed(label);
  }

  /** Marks the probabilities of all images, and counts their answers. */
  showAnswers(cards) {
    this.entries.forEach((entry) => entry.showAnswers(cards));
  }

  #changed(label) {
    if (label !== null) this.entries[label].update();
    this.#update();
    this.moved(label);
  }

  #update() {
    const moved = this.entries.filter((entry) => this.isMoved(entry.label)).length;
    byId("reset").disabled = !moved;
    this.warning.hidden = !moved;
    this.warning.textContent = `${counted(moved, "label")} ${moved === 1 ? "has" : "have"} other thresholds than the model. Scores and promises of the model do not hold for them.`;
  }

  #addSearch() {
    const field = byId("search");
    field.hidden = this.entries.length < SEARCHED_FROM;
    field.addEventListener("input", () => {
      const text = field.value.trim().toLowerCase();
      for (const entry of this.entries) entry.element.hidden = !entry.name.toLowerCase().includes(text);
    });
  }
}

class ThresholdEntry {
  constructor(panel, name, label) {
    this.panel = panel;
    this.name = name;
    this.label = label;
    this.ticks = makeSvg("path");
    this.counts = make("span", { class: "counts" });
    this.reset = make("button", { type: "button", class: "quiet" }, "reset", spoken(` the threshold of ${name}`));
    this.reset.addEventListener("click", () => {
      panel.reset(label);
      this.sliders[0].input.focus();
    });
    this.sliders = panel.values.lower ? [this.#slider("upper", "yes above"), this.#slider("lower", "no up to")] : [this.#slider("upper", "yes above")];
    const strip = makeSvg("svg", { class: "ticks", viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" }, this.ticks);
    const head = make("div", { class: "entry-head" }, make("span", { class: "name" }, name), this.counts, this.reset);
    this.element = make("li", { class: "entry" }, head, strip, ...this.sliders.map((one) => one.element));
    this.update();
  }

  /** Shows the thresholds that are set. */
  update() {
    for (const { which, input, number } of this.sliders) {
      const value = this.panel.values[which][this.label];
      if (Number(input.value) !== value) input.value = String(value);
      input.setAttribute("aria-valuetext", threeDigits(value));
      number.textContent = threeDigits(value);
    }
    this.reset.hidden = !this.panel.isMoved(this.label);
  }

  showAnswers(cards) {
    const answered = cards.filter((card) => card.outputs);
    this.ticks.setAttribute("d", answered.map((card) => `M${(1000 * card.outputs.first[this.label]).toFixed(1)} 0V10`).join(""));
    this.count(answered);
  }

  /** How many images have each answer. */
  count(cards) {
    const count = (decision) => cards.filter((card) => card.outputs && card.decisions[this.label] === decision).length;
    const asked = this.panel.values.lower ? ` · ${count(ASK)} ask` : "";
    this.counts.textContent = cards.length ? `${count(YES)} yes${asked} · ${count(NO)} no` : "";
  }

  #slider(which, text) {
    const input = make("input", { type: "range", min: "0", max: "1", step: "0.005", "aria-label": `${this.name}: ${text}` });
    input.addEventListener("input", () => this.panel.set(this.label, which, Number(input.value)));
    const number = make("span", { class: "number" });
    const element = make("div", { class: "slider" }, make("span", { class: "word", "aria-hidden": "true" }, text), input, number);
    return { which, input, number, element };
  }
}
