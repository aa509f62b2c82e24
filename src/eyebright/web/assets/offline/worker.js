// Runs beside the page: unpacks ONNX Runtime and the graph, and answers one image after another. `ort` stands before it.

let session = null;

self.onmessage = async ({ data }) => {
  try {
    if (data.open) {
      await open(data.open);
      self.postMessage({ ready: true });
    } else {
      const { message, transfer } = await answer(data.file);
      self.postMessage({ id: data.id, ...message }, transfer);
    }
  } catch (error) {
    const isForUser = error instanceof ImageFileError;
    self.postMessage({ id: data.id, error: isForUser ? error.message : String(error?.message ?? error), isBroken: !isForUser });
  }
};

/** Starts the runtime, in one thread and without a request, and loads the graph. */
async function open({ wasm, graph }) {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.wasm.wasmBinary = await unpacked(wasm);
  session = await ort.InferenceSession.create(await unpacked(graph), { executionProviders: ["wasm"] });
}

/** The bytes of text in base64 that were compressed. */
async function unpacked(text) {
  const compressed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function answer(file) {
  const started = performance.now();
  const { pixels, width, height, note, thumbnail } = await readImage(file);
  const read = performance.now();
  const images = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
  const outputs = await session.run({ images });
  const seconds = { read: (read - started) / 1000, answer: (performance.now() - read) / 1000 };
  const first = outputs[session.outputNames[0]].data.slice();
  const decisions = outputs.decisions ? Array.from(outputs.decisions.data, Number) : null;
  const asks = outputs.asks ? Number(outputs.asks.data[0]) === 1 : null; // about the class; labels have decisions
  const ood = outputs.ood ? { score: outputs.ood_score.data[0], isAbove: Number(outputs.ood.data[0]) === 1 } : null;
  const heat = outputs.heat_maps ? heatOf(outputs) : null;
  const message = { first, decisions, asks, ood, heat, width, height, note, thumbnail, seconds };
  return { message, transfer: [first.buffer, ...(heat ? [heat.cells.buffer] : [])] };
}

/** The cells of the heat map of each label, and where the image is in the input of the network. */
function heatOf({ heat_maps: maps, image_place: place }) {
  const [rows, columns] = maps.dims.slice(2);
  return { cells: maps.data.slice(), rows, columns, place: Array.from(place.data) };
}
