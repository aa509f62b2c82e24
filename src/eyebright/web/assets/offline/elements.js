// Makes elements. Text becomes text nodes, never markup: names of labels and files are not trusted.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children (elements or texts). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/** The same for SVG. */
function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

function setAttribute(element, name, value) {
  if (value === true) element.setAttribute(name, "");
  else if (value !== false && value !== null) element.setAttribute(name, value);
}

/** Text that is read aloud and not shown. */
function spoken(text) {
  return make("span", { class: "hidden" }, text);
}

function byId(id) {
  return document.getElementById(id);
}

/** "1 image", "2 images". */
function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
