// The place in the address: the list, its filters, the view and the image, so that a reload comes back to it.

const NAMES = ["list", "view", "at", "query", "state", "cell", "value", "likely", "unlikely", "count"];

/** The place that the address names. */
export function readPlace() {
  const given = new URLSearchParams(location.hash.slice(1));
  const place = Object.fromEntries(NAMES.map((name) => [name, given.get(name) ?? ""]));
  place.at = Math.max(0, Math.floor(Number(place.at)) || 0);
  place.count = Math.min(200, Math.max(0, Math.floor(Number(place.count)) || 0)) || "";
  return place;
}

/** Writes the place into the address without a new entry in the history of the browser. */
export function writePlace(place) {
  const parameters = new URLSearchParams();
  for (const name of NAMES) if (place[name] !== "" && place[name] !== 0) parameters.set(name, place[name]);
  const hash = `#${parameters}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

/** The parameters of a request for the images of a place. */
export function queryOf(place, offset, limit) {
  const parameters = new URLSearchParams({ list: place.list || "all", offset, limit });
  for (const name of ["query", "state", "likely", "unlikely"]) if (place[name]) parameters.set(name, place[name]);
  if (place.cell !== "" && place.value) {
    parameters.set("cell", place.cell === "(class)" ? "" : place.cell);
    parameters.set("value", place.value);
  }
  return parameters;
}
