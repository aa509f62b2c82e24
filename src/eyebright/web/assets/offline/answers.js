// What the outputs of the graph mean: decisions, texts and rows of CSV. Nothing here touches the page.

const YES = 1;
const NO = 0;
const ASK = -1;

/** The decision about one label, as the graph takes it: strictly above, in float32. `lower` is null for two answers. */
function decisionOf(probability, upper, lower) {
  if (probability > Math.fround(upper)) return YES;
  return lower !== null && probability > Math.fround(lower) ? ASK : NO;
}

/** The names of the labels that have a decision. */
function namesWith(decisions, wanted, names) {
  return names.filter((_, i) => decisions[i] === wanted);
}

/** A number with nine significant digits, which represent a float32 exactly; the same text as Python's `.9g`. */
function nineDigits(number) {
  if (number === 0) return Object.is(number, -0) ? "-0" : "0";
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
  const [mantissa, exponent] = evenAtTies(number).toExponential(8).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 9) return withoutZeros(evenAtTies(number).toFixed(8 - power));
  return `${withoutZeros(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** The number, or the one of nine digits below it that Python rounds to: of two that are equally near, the even one. */
function evenAtTies(number) {
  const [, head, last, power] = /^(.{0,9}(\d))50*(e.*)$/.exec(number.toExponential(100).replace("-", "")) ?? [];
  return last && Number(last) % 2 === 0 && head.length === 10 ? Math.sign(number) * Number(head + power) : number;
}

function withoutZeros(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A cell of CSV, quoted where it must be. */
function csvCell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A name, with an apostrophe before it where a spreadsheet would run it as a formula; as `--format csv-safe`. */
function safeName(text) {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

/** Labels in one cell: joined by a semicolon, or a JSON list where a name has one. */
function labelsCell(labels, names) {
  if (!labels.length || !names.some((name) => name.includes(";"))) return labels.join(";");
  return `[${labels.map((label) => JSON.stringify(label)).join(", ")}]`;
}

/** The decisions of one image, from its outputs and the thresholds that are set. */
function decisionsOf(model, outputs, thresholds) {
  if (!thresholds) return outputs.decisions;
  return [...outputs.first].map((value, i) => decisionOf(value, thresholds.upper[i], thresholds.lower && thresholds.lower[i]));
}

/** One row of the table of `eyebright predict --format csv-safe`: what `answerCells` gives, and the out-of-distribution score if there is one. */
function csvRow(model, path, outputs, thresholds) {
  const { ood } = outputs;
  return [...answerCells(model, path, outputs, thresholds), ...(ood ? [nineDigits(ood.score), ood.isAbove ? "yes" : "no"] : [])];
}

/** How the command line says that an image is unlike the training images; empty for others. */
function unlikeText({ ood }) {
  return ood?.isAbove ? `unlike the training images (score ${ood.score.toFixed(2)})` : "";
}

/** The path, the labels if there are any, the numbers, the labels to ask about. */
function answerCells(model, path, outputs, thresholds) {
  const numbers = [...outputs.first].map(nineDigits);
  const first = safeName(path);
  if (model.shows === "points" || model.shows === "numbers") return [first, ...numbers];
  if (model.shows === "classes") {
    const name = safeName(model.names[outputs.decisions[0]]);
    const asked = typeof outputs.asks === "boolean" ? [outputs.asks ? name : ""] : [];
    return [first, name, ...numbers, ...asked];
  }
  const decisions = decisionsOf(model, outputs, thresholds);
  const labels = (answer) => safeName(labelsCell(namesWith(decisions, answer, model.names), model.names));
  const row = [first, labels(YES), ...numbers];
  if (thresholds.lower) row.push(labels(ASK));
  return row;
}

/** The whole table as text. */
function csvText(columns, rows) {
  return [columns.map(safeName), ...rows].map((row) => `${row.map(csvCell).join(",")}\n`).join("");
}

/** A probability or a threshold for people. */
function threeDigits(number) {
  return number.toFixed(3);
}
