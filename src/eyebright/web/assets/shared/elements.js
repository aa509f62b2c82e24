// Makes elements. Text becomes text nodes, never markup: names of labels and files are not trusted.

const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes and children (elements or texts). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/** The same for SVG. */
export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

function setAttribute(element, name, value) {
  if (value === true) element.setAttribute(name, "");
  else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
}

/** Text that is read aloud and not shown. */
export function spoken(text) {
  return make("span", { class: "hidden" }, text);
}

/** Sets a text, only if it is another one, so that it is not read aloud again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** "1 image", "2 images". */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A name as it is read: control characters and marks of direction are shown as escapes. */
export function shown(name) {
  return String(name).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, escaped);
}

function escaped(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The options of a select, in place of those after the first `kept`. */
export function setOptions(select, names, { kept = 0 } = {}) {
  const value = select.value;
  const made = names.map((name) => make("option", { value: name }, shown(name)));
  select.replaceChildren(...[...select.options].slice(0, kept), ...made);
  select.value = value;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}
