// One card an image: the image, its answer and its numbers. `Card.move` follows a threshold.

const SHOWN_LABELS = 6; // with their bars, besides those that are answered yes or ask
const LONGER_SIDE = 400; // of the drawing over an image, in its own units
const WORDS = { [YES]: "yes", [NO]: "no", [ASK]: "ask" };
const STYLES = { [YES]: "yes", [NO]: "no", [ASK]: "ask" };

class Card {
  constructor(file, model) {
    this.file = file;
    this.model = model;
    this.path = file.webkitRelativePath || file.name;
    this.outputs = null;
    this.error = "";
    this.showsAll = false;
    this.heatLabel = null; // whose heat map is over the image
    this.rows = new Map(); // the bar of each label that is shown
    this.frame = make("div", { class: "image" }, make("p", { class: "waiting" }, "waiting"));
    this.body = make("div", { class: "answer" });
    this.seen = make("p", { class: "seen", role: "status", hidden: true });
    this.element = make("li", { class: "card" }, this.frame, this.seen, this.body, make("p", { class: "file", title: this.path }, this.path));
  }

  /** Says that this image is next. */
  start() {
    this.frame.firstChild.textContent = "reading";
  }

  /** Shows a sentence in place of an answer. */
  fail(sentence) {
    this.error = sentence;
    this.element.classList.add("failed");
    this.frame.replaceChildren(make("p", { class: "error" }, make("span", { class: "sign", "aria-hidden": "true" }, "!"), sentence));
  }

  /** Shows an answer. */
  show(outputs, thresholds) {
    this.outputs = outputs;
    this.url = URL.createObjectURL(outputs.thumbnail);
    this.image = make("img", { src: this.url, alt: "", decoding: "async" });
    this.frame.replaceChildren(this.image);
    if (this.model.shows === "points") this.frame.append(this.#drawing());
    if (outputs.heat) this.#takeEscape();
    this.update(thresholds);
  }

  /** Releases what the browser keeps for the image. */
  remove() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.element.remove();
  }

  /** Writes the answer anew. */
  update(thresholds) {
    if (!this.outputs) return;
    this.decisions = decisionsOf(this.model, this.outputs, thresholds);
    this.rows.clear();
    const parts = { labels: () => this.#labels(thresholds), classes: () => this.#classes() }[this.model.shows]?.() ?? this.#table();
    const unlike = unlikeText(this.outputs);
    if (unlike) parts.unshift(make("p", { class: "unlike" }, make("span", { class: "sign", "aria-hidden": "true" }, "!"), unlike));
    if (this.outputs.note) parts.push(make("p", { class: "note" }, this.outputs.note));
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.body.replaceChildren(...parts);
    if (focused) this.body.querySelector(`[data-key="${focused}"]`)?.focus();
    this.#describe();
  }

  /** Follows the threshold of one label: all is written anew only if the answer changes. */
  move(label, thresholds) {
    if (!this.outputs) return;
    const lower = thresholds.lower ? thresholds.lower[label] : null;
    const decision = decisionOf(this.outputs.first[label], thresholds.upper[label], lower);
    if (decision !== this.decisions[label]) this.update(thresholds);
    else this.rows.get(label)?.setThresholds(thresholds.upper[label], lower);
  }

  /** The answer on one line, and what makes it doubtful. */
  sentence() {
    return [this.#answer(), unlikeText(this.outputs)].filter(Boolean).join("; ");
  }

  #answer() {
    const { model, outputs } = this;
    if (model.shows === "classes") return `${outputs.asks ? "ask a person: " : ""}${model.names[outputs.decisions[0]]}`;
    if (model.shows !== "labels") return model.names.map((name, i) => `${name} ${this.#value(i)}`).join(", ");
    const asked = namesWith(this.decisions, ASK, model.names);
    const given = namesWith(this.decisions, YES, model.names).join(", ") || "no label";
    return asked.length ? `${given}; ask a person: ${asked.join(", ")}` : given;
  }

  #describe() {
    const map = this.heatLabel === null ? "" : `; ${this.seen.textContent}`;
    this.image.alt = `${this.path}: ${this.sentence()}${map}`;
  }

  /** Lays the heat map of a label over the image; without one, or for that which is there already, takes it away. */
  toggleHeat(label) {
    this.heatLabel = label === this.heatLabel ? null : label;
    this.frame.querySelector(".heat")?.remove();
    if (this.heatLabel !== null) this.#addHeat();
    this.seen.hidden = this.heatLabel === null;
    for (const button of this.body.querySelectorAll("[aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === String(this.heatLabel)));
    }
    this.#describe();
  }

  #addHeat() {
    const { heat, names } = this.model;
    const unit = LONGER_SIDE / Math.max(this.outputs.width, this.outputs.height);
    const [width, height] = [this.outputs.width, this.outputs.height].map((side) => Math.max(1, Math.round(side * unit)));
    const size = { width, height };
    const values = heatMapValues(this.outputs, this.heatLabel, heat.input, size);
    const name = names[this.heatLabel];
    this.seen.textContent = values ? `heat map: regions that raise the output for ${name}` : `heat map: no region raises the output for ${name}`;
    if (values) this.frame.append(heatMapCanvas(values, size, heat));
  }

  #takeEscape() {
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.heatLabel !== null) this.toggleHeat(null);
    });
  }

  /** The name of a label: where there are heat maps, a button that shows its. */
  #name(label) {
    const name = this.model.names[label];
    if (!this.outputs.heat) return name;
    const pressed = String(label === this.heatLabel);
    const button = make("button", { type: "button", class: "heat-button", "data-key": String(label), "aria-pressed": pressed }, name);
    button.append(spoken(`: heat map on ${this.path}`));
    button.addEventListener("click", () => this.toggleHeat(label));
    return button;
  }

  #labels(thresholds) {
    const { names } = this.model;
    const { first } = this.outputs;
    const order = [...names.keys()].sort((a, b) => first[b] - first[a]);
    const tags = order.filter((i) => this.decisions[i] !== NO).map((i) => tag(names[i], this.decisions[i]));
    const shown = order.filter((i, place) => this.showsAll || place < SHOWN_LABELS || this.decisions[i] !== NO || i === this.heatLabel);
    const bars = shown.map((i) => {
      const row = new Bar(this.#name(i), first[i], this.decisions[i]);
      row.setThresholds(thresholds.upper[i], thresholds.lower && thresholds.lower[i]);
      this.rows.set(i, row);
      return row.element;
    });
    return [
      make("ul", { class: "tags" }, ...(tags.length ? tags : [make("li", { class: "none" }, "no label")])),
      make("ul", { class: "bars" }, ...bars),
      ...this.#more(names.length, shown.length, () => this.update(thresholds)),
    ];
  }

  #classes() {
    const { names, isOrdered } = this.model;
    const { first, decisions, asks } = this.outputs;
    const answer = asks ? ASK : YES;
    const byProbability = [...names.keys()].sort((a, b) => first[b] - first[a]);
    const likely = new Set([decisions[0], ...byProbability.slice(0, SHOWN_LABELS), ...(this.heatLabel === null ? [] : [this.heatLabel])]);
    const order = isOrdered ? [...names.keys()] : byProbability;
    const shown = this.showsAll ? order : order.filter((i) => likely.has(i));
    const bars = shown.map((i) => new Bar(this.#name(i), first[i], i === decisions[0] ? answer : NO, false).element);
    return [
      make("ul", { class: "tags" }, tag(names[decisions[0]], answer)),
      make("ul", { class: "bars" }, ...bars),
      ...this.#more(names.length, shown.length, () => this.update(null)),
    ];
  }

  #more(all, shown, update) {
    if (all === shown && !this.showsAll) return [];
    if (this.showsAll && all <= SHOWN_LABELS) return [];
    const text = this.showsAll ? "Show fewer" : `Show all ${all}`;
    const button = make("button", { type: "button", class: "quiet", "data-key": "more", "aria-expanded": String(this.showsAll) }, text);
    button.append(spoken(` labels of ${this.path}`));
    button.addEventListener("click", () => {
      this.showsAll = !this.showsAll;
      update();
    });
    return [button];
  }

  #table() {
    const rows = this.model.names.map((_, i) => {
      const place = this.model.shows === "points" && this.model.names.length > 1 ? `${i + 1} ` : "";
      return make("div", {}, make("dt", {}, place && make("span", { class: "place" }, place), this.#name(i)), make("dd", {}, this.#value(i)));
    });
    return [make("dl", { class: "pairs" }, ...rows)];
  }

  #value(i) {
    const { first } = this.outputs;
    return this.model.shows === "points"
      ? `${first[2 * i].toFixed(1)}, ${first[2 * i + 1].toFixed(1)}`
      : String(Number(first[i].toPrecision(4)));
  }

  /** The points over the image, in units that make the marks equally large on every image. */
  #drawing() {
    const { first, width, height } = this.outputs;
    const unit = LONGER_SIDE / Math.max(width, height);
    const marks = this.model.names.map((name, i) => {
      const [x, y] = [first[2 * i] * unit, first[2 * i + 1] * unit].map((one) => one.toFixed(1));
      const cross = `M${x - 7} ${y - 7}l14 14m0 -14l-14 14`;
      const lines = ["halo", "line"].map((style) => makeSvg("path", { class: style, d: cross }));
      const place = { class: "place", x: Number(x) + 9, y: Number(y) - 5 };
      const number = this.model.names.length > 1 ? [makeSvg("text", place, String(i + 1))] : [];
      return makeSvg("g", { class: "predicted" }, makeSvg("title", {}, name), ...lines, ...number);
    });
    return makeSvg("svg", { viewBox: `0 0 ${width * unit} ${height * unit}`, "aria-hidden": "true" }, ...marks);
  }
}

function tag(name, decision) {
  const sign = make("span", { class: "sign", "aria-hidden": "true" }, decision === YES ? "✓" : "?");
  return make("li", { class: `tag ${STYLES[decision]}` }, sign, spoken(decision === ASK ? "ask a person: " : ""), name);
}

/** A label with its probability as a bar, on which thresholds are marked. */
class Bar {
  constructor(name, probability, decision, hasThresholds = true) {
    this.fill = make("i", { class: "fill" });
    this.fill.style.width = `${100 * probability}%`;
    this.upper = make("i", { class: "mark" });
    this.lower = make("i", { class: "mark" });
    this.said = spoken("");
    const word = hasThresholds ? make("span", { class: "word" }, WORDS[decision]) : "";
    const number = make("span", { class: "number" }, threeDigits(probability));
    const track = make("span", { class: "track", "aria-hidden": "true" }, this.fill, ...(hasThresholds ? [this.lower, this.upper] : []));
    this.element = make("li", { class: `bar-row ${STYLES[decision]}` }, make("span", { class: "name" }, name), number, word, this.said, track);
  }

  setThresholds(upper, lower) {
    this.upper.style.left = `${100 * upper}%`;
    this.lower.hidden = lower === null;
    if (lower !== null) this.lower.style.left = `${100 * lower}%`;
    this.said.textContent = lower === null ? ` threshold ${threeDigits(upper)}` : ` thresholds ${threeDigits(lower)} and ${threeDigits(upper)}`;
  }
}
