// The regions that raise the output for a label: the cells that the graph gives, in the pixels of the user's own image. The numbers
// are those of `Predictor.heat_maps`.

/** Bytes of text in base64. */
function bytesOf(text) {
  return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
}

/**
 * The map of a label for an image of width x height, from 0 to 1 at its hottest place and 0 where the network saw
 * nothing; null if no region raises the output for the label.
 */
function heatMapValues({ heat, width: imageWidth, height: imageHeight }, label, input, { width, height }) {
  const { rows, columns } = heat;
  const cells = heat.cells.subarray(label * rows * columns, (label + 1) * rows * columns);
  const [top, left, down, across] = heat.place;
  const xs = cellsBelow(width, imageWidth / width, { scale: across, offset: left, side: input[1], count: columns });
  const ys = cellsBelow(height, imageHeight / height, { scale: down, offset: top, side: input[0], count: rows });
  const values = new Float32Array(width * height);
  let hottest = 0;
  for (const [row, y] of ys.entries()) {
    if (!y) continue;
    for (const [column, x] of xs.entries()) {
      if (!x) continue;
      const above = mixed(cells[y.from * columns + x.from], cells[y.from * columns + x.to], x.share);
      const below = mixed(cells[y.to * columns + x.from], cells[y.to * columns + x.to], x.share);
      const value = mixed(above, below, y.share);
      values[row * width + column] = value;
      hottest = Math.max(hottest, value);
    }
  }
  return hottest > 0 ? values.map((value) => value / hottest) : null;
}

/** For each pixel of a side the two cells that it lies between; null for one that the network did not see. */
function cellsBelow(pixels, step, { scale, offset, side, count }) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const at = (pixel + 0.5) * step * scale + offset; // in pixels of the network's input
    if (at < 0 || at > side) return null;
    const cell = Math.min(Math.max((at * count) / side - 0.5, 0), count - 1);
    const from = Math.floor(cell);
    return { from, to: Math.min(from + 1, count - 1), share: cell - from };
  });
}

function mixed(a, b, share) {
  return a + (b - a) * share;
}

/** A map as a picture to lay over the image: hot places are red, and cold ones show the image alone. */
function heatMapCanvas(values, { width, height }, { colours, opacity }) {
  const canvas = make("canvas", { width, height, class: "heat", "aria-hidden": "true" });
  const pixels = new ImageData(width, height);
  values.forEach((value, i) => {
    const level = 3 * Math.floor(value * 255);
    pixels.data.set([colours[level], colours[level + 1], colours[level + 2], Math.round(255 * opacity * value)], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
