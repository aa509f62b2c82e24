// The page: takes images, gives them to the worker one after another, shows the answers and writes them as CSV.

const model = JSON.parse(byId("model").textContent);
if (model.heat) model.heat.colours = bytesOf(model.heat.colours);
const cards = [];
const waiting = [];
let worker = null;
let isReady = false;
let failure = null; // why nothing can be answered
let current = null; // the card whose image is with the worker
let readySeconds = null;

const panel = model.shows === "labels" ? new ThresholdPanel(model, thresholdMoved) : null;
const thresholds = panel && panel.values;

start();

function start() {
  const problem = missingFeature();
  if (problem) return say(problem, "failed");
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      add(input.files);
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => event.clipboardData.files.length && add(event.clipboardData.files));
  acceptDrops();
  byId("download").addEventListener("click", download);
  byId("clear").addEventListener("click", clear);
  if (matchMedia("(max-width: 60rem)").matches && panel) byId("panel").open = false;
  say("Loading the model …");
  setTimeout(startWorker, 30); // the page is drawn before the model is unpacked
  return undefined;
}

function missingFeature() {
  const isThere = globalThis.Worker && globalThis.DecompressionStream && globalThis.OffscreenCanvas && globalThis.WebAssembly;
  return isThere ? "" : "This browser is too old for this page. It needs Chrome or Edge 97, Firefox 113 or Safari 16.4, or a newer one.";
}

function startWorker() {
  isReady = false;
  failure = null;
  worker?.terminate();
  const source = new Blob([JSON.parse(byId("worker").textContent)], { type: "text/javascript" });
  const url = URL.createObjectURL(source);
  try {
    worker = new Worker(url);
  } catch (error) {
    return fatal(error.message);
  }
  worker.onmessage = ({ data }) => {
    URL.revokeObjectURL(url);
    received(data);
  };
  worker.onerror = (event) => fatal(event.message || "the worker does not start");
  worker.postMessage({ open: { wasm: byId("wasm").textContent.trim(), graph: byId("graph").textContent.trim() } });
  return undefined;
}

function received(message) {
  if (message.ready) {
    isReady = true;
    readySeconds ??= performance.now() / 1000;
    document.body.dataset.ready = readySeconds.toFixed(3);
  } else if (!isReady) {
    return fatal(message.error);
  } else {
    const card = current;
    current = null;
    if (!message.error) card.show(message, thresholds);
    else card.fail(message.isBroken ? `This image could not be processed: ${message.error}` : sentenceOf(message.error));
    if (message.isBroken) startWorker(); // it may have run out of memory
    refresh();
  }
  return next();
}

function fatal(reason) {
  failure = reason;
  showFailure();
}

/** Says why nothing can be answered, also of images that are added later. */
function showFailure() {
  say(`The model could not be loaded in this browser: ${failure}`, "failed");
  for (const card of [current, ...waiting.splice(0)].filter(Boolean)) card.fail("not answered, since the model could not be loaded");
  current = null;
}

function sentenceOf(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function next() {
  if (failure !== null) return showFailure();
  if (isReady && !current && waiting.length) {
    current = waiting.shift();
    current.start();
    worker.postMessage({ id: cards.indexOf(current), file: current.file });
  }
  progress();
}

function add(files) {
  for (const file of files) {
    const card = new Card(file, model);
    cards.push(card);
    waiting.push(card);
    byId("cards").append(card.element);
  }
  byId("results").hidden = !cards.length;
  next();
}

function clear() {
  for (const card of cards.splice(0)) card.remove();
  waiting.length = 0;
  if (current) {
    current = null;
    startWorker(); // its answer would belong to no card
  }
  byId("results").hidden = true;
  refresh();
  progress();
  byId("choose").focus();
}

/** The state of the page in words, and as a bar while images are waiting. */
function progress() {
  const bar = byId("progress");
  const open = waiting.length + (current ? 1 : 0);
  const done = cards.length - open;
  bar.hidden = !open;
  bar.max = cards.length || 1;
  bar.value = done;
  document.body.dataset.open = String(open);
  if (failure !== null) return showFailure();
  if (!isReady) return say("Loading the model …");
  if (open) return say(`${done} of ${counted(cards.length, "image")} answered`);
  if (!cards.length) return say("Ready.");
  const failed = cards.filter((card) => card.error).length;
  return say(`${counted(cards.length - failed, "image")} answered${failed ? `, ${failed} not` : ""}.`);
}

function say(text, style = "") {
  const status = byId("status");
  status.className = style;
  if (status.textContent !== text) status.textContent = text;
}

function refresh() {
  panel?.showAnswers(cards);
  byId("download").disabled = !cards.some((card) => card.outputs);
}

function thresholdMoved(label) {
  for (const card of cards) {
    if (label === null) card.update(thresholds);
    else card.move(label, thresholds);
  }
  const answered = cards.filter((card) => card.outputs);
  if (label === null) panel.showAnswers(answered);
  else panel.entries[label].count(answered);
}

function download() {
  const rows = cards.filter((card) => card.outputs).map((card) => csvRow(model, card.path, card.outputs, thresholds));
  const url = URL.createObjectURL(new Blob([csvText(model.columns, rows)], { type: "text/csv" }));
  const name = panel?.hasMoved ? "predictions-moved-thresholds.csv" : "predictions.csv";
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The whole page takes images that are dropped. */
function acceptDrops() {
  let depth = 0;
  const show = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", () => show(1));
  document.addEventListener("dragleave", () => show(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    add(event.dataTransfer.files);
  });
}
