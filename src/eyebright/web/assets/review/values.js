// The values of an image: what is set, what is proposed, and in which words.

import { shown } from "./elements.js";

export const UNKNOWN = "unknown";

const unlabelled = new WeakMap(); // item -> whether nothing was given
const kept = new Set(); // "id cell" that a person wants to stay unknown

/** Whether two values are the same. */
export function same(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** The cells of an image: a class has one without a name. */
export function cellsOf(session) {
  return session.kind === "class" ? [""] : session.cells.map((one) => one.cell);
}

/** What is set for a cell; labels that were added later are unknown in older images. */
export function currentOf(item, cell) {
  return item.current[cell] ?? UNKNOWN;
}

/** Whether the label file said nothing of this image. */
export function isUnlabelled(item) {
  if (!unlabelled.has(item)) unlabelled.set(item, Object.values(item.given).every((value) => value === UNKNOWN));
  return unlabelled.get(item);
}

/** Notes that a cell stays unknown when the image is accepted, or not any more. */
export function keepUnknown(item, cell, isKept) {
  if (isKept) kept.add(`${item.id} ${cell}`);
  else kept.delete(`${item.id} ${cell}`);
}

/**
 * The value that is set when the image is accepted as shown; null for none. Only images of which nothing was given have
 * proposals: unknown labels of others stay unknown.
 */
export function proposalOf(session, item, cell) {
  if (currentOf(item, cell) !== UNKNOWN || kept.has(`${item.id} ${cell}`) || !isUnlabelled(item)) return null;
  const predicted = item.predicted[cell];
  if (predicted !== undefined && predicted !== null && predicted !== UNKNOWN) return predicted;
  return session.kind === "labels" ? "no" : null;
}

/** The changes that accept an image as shown. */
export function acceptingChanges(session, item) {
  return cellsOf(session).flatMap((cell) => {
    const now = proposalOf(session, item, cell);
    return now === null ? [] : [{ id: item.id, cell, was: UNKNOWN, now }];
  });
}

/** Whether there is something to accept: a class, point or number that is known, or that is to stay unknown. */
export function canAccept(session, item) {
  if (session.kind === "labels") return session.cells.length > 0;
  return cellsOf(session).every(
    (cell) => currentOf(item, cell) !== UNKNOWN || proposalOf(session, item, cell) !== null || kept.has(`${item.id} ${cell}`) || !isUnlabelled(item),
  );
}

/** The value that a label's key sets: the other one of what is shown. */
export function toggled(session, item, cell) {
  const value = proposalOf(session, item, cell) ?? currentOf(item, cell);
  return value === "yes" ? "no" : "yes";
}

/** A value in words. */
export function words(value) {
  if (Array.isArray(value)) return value.map((one) => String(Math.round(one * 10) / 10)).join(", ");
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : shown(value);
}

/** A probability with two digits; never 1.00 or 0.00 where it is not. */
export function percent(probability) {
  if (probability > 0.995 && probability < 1) return ">99 %";
  if (probability < 0.005 && probability > 0) return "<1 %";
  return `${Math.round(100 * probability)} %`;
}

/** Applies changes to an image in the browser. */
export function applyTo(item, changes) {
  for (const { cell, now } of changes) item.current[cell] = now;
  const cells = new Set([...Object.keys(item.given), ...changes.map((one) => one.cell)]);
  item.changed = [...cells].some((cell) => !same(item.given[cell] ?? UNKNOWN, currentOf(item, cell)));
}
