// The image: fitted, zoomed and moved; its heat map; and where a pixel of the image is on the page.

import { byId } from "./elements.js";

const MAX_ZOOM = 16;
const STEP = 1.4; // of a key or button
const NUDGE = 60; // pixels of the page that a key moves the image

export class Viewer {
  /** `moved` is called when pixels of the image are elsewhere on the page; `failed` when it cannot be shown. */
  constructor({ moved = () => {}, failed = () => {} } = {}) {
    this.frame = byId("viewer");
    this.canvas = byId("canvas");
    this.thumbnail = byId("thumbnail");
    this.full = byId("full");
    this.heat = byId("heat");
    this.moved = moved;
    this.failed = failed;
    this.pointers = new Map();
    this.size = null; // of the upright image
    this.ahead = [];
    this.fit();
    this.#listen();
  }

  /** Shows an image: its thumbnail at once, itself as soon as it is loaded. */
  show(item) {
    this.item = item;
    this.size = null;
    this.heat.hidden = true;
    this.heat.removeAttribute("src");
    this.thumbnail.src = `thumbnail/${item.id}`;
    this.full.src = `image/${item.id}`;
    this.full.classList.add("loading");
    this.frame.setAttribute("aria-busy", "true");
    this.fit();
  }

  /** Takes the size of the upright image. */
  setSize(width, height) {
    this.size = { width, height };
    this.moved();
  }

  /** Lays the heat map of a label over the image; "" takes it away. */
  showHeat(cell) {
    this.heat.hidden = !cell;
    if (cell) this.heat.src = `heat-map/${this.item.id}?cell=${encodeURIComponent(cell)}`;
    this.frame.classList.toggle("heated", Boolean(cell));
  }

  /** Loads images that will be shown soon. */
  preload(items) {
    this.ahead = items.map((item) => Object.assign(new Image(), { src: `image/${item.id}` }));
  }

  fit() {
    this.zoom = 1;
    this.x = 0;
    this.y = 0;
    this.#place();
  }

  /** Zooms by a factor; the point (x, y) of the frame stays where it is. */
  zoomBy(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, this.zoom * factor));
    this.x = x - ((x - this.x) * zoom) / this.zoom;
    this.y = y - ((y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.#place();
  }

  /** Answers a key of the image; returns whether it was one. */
  key(event) {
    if (event.key === "+" || event.key === "=") this.zoomBy(STEP);
    else if (event.key === "-") this.zoomBy(1 / STEP);
    else if (event.key === "0" && this.zoom > 1) this.fit();
    else if (event.shiftKey && event.key === "ArrowLeft") this.#move(NUDGE, 0);
    else if (event.shiftKey && event.key === "ArrowRight") this.#move(-NUDGE, 0);
    else if (event.shiftKey && event.key === "ArrowUp") this.#move(0, NUDGE);
    else if (event.shiftKey && event.key === "ArrowDown") this.#move(0, -NUDGE);
    else return false;
    return true;
  }

  /** Where pixel (x, y) of the image is in the frame. */
  toFrame([x, y]) {
    const { left, top, scale } = this.#fitted();
    return [this.x + this.zoom * (left + x * scale), this.y + this.zoom * (top + y * scale)];
  }

  /** The pixel of the image at a point of the window. */
  toImage(clientX, clientY) {
    const frame = this.frame.getBoundingClientRect();
    const { left, top, scale } = this.#fitted();
    const place = [(clientX - frame.left - this.x) / this.zoom - left, (clientY - frame.top - this.y) / this.zoom - top];
    return place.map((one) => one / scale);
  }

  /** Pixels of the image for a pixel of the page. */
  get step() {
    return 1 / (this.#fitted().scale * this.zoom);
  }

  #fitted() {
    const [width, height] = [this.frame.clientWidth, this.frame.clientHeight];
    const size = this.size ?? { width, height };
    const scale = Math.min(width / size.width, height / size.height) || 1;
    return { scale, left: (width - size.width * scale) / 2, top: (height - size.height * scale) / 2 };
  }

  #place() {
    const [width, height] = [this.frame.clientWidth, this.frame.clientHeight];
    this.x = Math.min(0, Math.max(width * (1 - this.zoom), this.x));
    this.y = Math.min(0, Math.max(height * (1 - this.zoom), this.y));
    this.canvas.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
    this.frame.classList.toggle("zoomed", this.zoom > 1);
    this.moved();
  }

  #move(x, y) {
    this.x += x;
    this.y += y;
    this.#place();
  }

  #listen() {
    this.full.addEventListener("load", () => {
      this.full.classList.remove("loading");
      this.frame.removeAttribute("aria-busy");
    });
    this.full.addEventListener("error", () => this.item && this.failed(this.item, "image"));
    this.heat.addEventListener("error", () => this.heat.getAttribute("src") && this.failed(this.item, "heat map"));
    this.frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), ...this.#inFrame(event));
    }, { passive: false });
    this.frame.addEventListener("dblclick", (event) => (this.zoom > 1 ? this.fit() : this.zoomBy(2.5, ...this.#inFrame(event))));
    this.frame.addEventListener("pointerdown", (event) => this.#down(event));
    this.frame.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) this.frame.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    new ResizeObserver(() => this.#place()).observe(this.frame);
  }

  #inFrame(event) {
    const frame = this.frame.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  #down(event) {
    if (event.target.closest(".point")) return;
    this.pointers.set(event.pointerId, this.#inFrame(event));
    if (this.zoom > 1 || this.pointers.size > 1) this.frame.setPointerCapture(event.pointerId);
  }

  #drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#inFrame(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (!other) return this.zoom > 1 ? this.#move(now[0] - before[0], now[1] - before[1]) : undefined;
    const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    return this.zoomBy(distance(now) / distance(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }
}
