// The images of a place, loaded by pages when they are needed; few pages are kept.

import { queryOf } from "./place.js";
import { currentOf, same } from "./values.js";
import { get } from "./wire.js";

const KEPT = 20; // pages

export class ItemPages {
  /** The images of a place; `size` images a page. */
  constructor(place, size) {
    this.place = { ...place };
    this.size = size;
    this.total = null; // unknown before the first page
    this.pages = new Map(); // number -> promise of images
    this.indices = new Map(); // id -> index
    this.items = new Map(); // id -> image
    this.gone = new Set(); // indices of loaded images that the filters do not find any more
  }

  /** The image at an index; null after the last. */
  async at(index) {
    if (index < 0 || (this.total !== null && index >= this.total)) return null;
    const page = await this.page(Math.floor(index / this.size));
    return page[index % this.size] ?? null;
  }

  /** The images of a page. */
  page(number) {
    let loading = this.pages.get(number);
    if (!loading) {
      loading = this.#load(number);
      loading.catch(() => this.pages.delete(number));
    }
    this.pages.delete(number);
    this.pages.set(number, loading); // the last ones are kept longest
    this.#release();
    return loading;
  }

  /** Where an image is in the list as it is on the server now. */
  offsetOf(index) {
    return index - [...this.gone].filter((one) => one < index).length;
  }

  /** Notes that the values of an image have changed. */
  noteChange(id) {
    const index = this.indices.get(id);
    if (index === undefined) return;
    if (this.#matches(this.items.get(id))) this.gone.delete(index);
    else this.gone.add(index);
  }

  /** Takes an image as the server has it. */
  replace(item) {
    const mine = this.items.get(item.id);
    if (!mine) return;
    const { reason } = mine;
    Object.assign(mine, item);
    if (!item.reason) mine.reason = reason;
    this.noteChange(item.id);
  }

  async #load(number) {
    const start = number * this.size;
    const answer = await get(`api/items?${queryOf(this.place, this.offsetOf(start), this.size)}`);
    this.total = answer.total + this.gone.size;
    answer.items.forEach((item, k) => {
      this.indices.set(item.id, start + k);
      this.items.set(item.id, item);
    });
    return answer.items;
  }

  #release() {
    for (const [number, loading] of this.pages) {
      if (this.pages.size <= KEPT) return;
      const start = number * this.size;
      if ([...this.gone].some((index) => index >= start && index < start + this.size)) continue;
      this.pages.delete(number);
      loading.then((items) => items.forEach((item) => this.#forget(item, start)), () => {});
    }
  }

  #forget(item, start) {
    if (this.pages.has(start / this.size)) return;
    this.items.delete(item.id);
    this.indices.delete(item.id);
  }

  #matches(item) {
    const { list, state, cell, value } = this.place;
    const isKnown = Object.values(item.current).map((one) => one !== "unknown");
    if (list === "suggested" && isKnown.some(Boolean)) return false;
    if (list === "unfinished" && (item.reviewed || isKnown.every(Boolean))) return false;
    const likely = this.place.likely || this.place.unlikely;
    if (state === "left" && (item.reviewed || item.changed)) return false;
    if (state === "reviewed" && !item.reviewed) return false;
    if (state === "changed" && !item.changed) return false;
    if (likely && !state && currentOf(item, "" in item.current ? "" : likely) !== "unknown") return false;
    return !value || same(currentOf(item, cell === "(class)" ? "" : cell), value);
  }
}
