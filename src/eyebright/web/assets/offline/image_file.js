// From a file to the bytes of its pixels: upright, RGB, one byte a channel, with no colour profile applied, as Python
// decodes it. What a browser decodes otherwise than Python is refused, or noted.

const MAX_PIXELS = 200_000_000; // as in Python
const MAX_SIDE = 32_767; // of a canvas, in every browser
const STRIP = 1 << 22; // pixels that are taken out of a canvas at once
const THUMBNAIL = 640;

/** An error whose message is for the user. */
class ImageFileError extends Error {}

/** What kind of file it is, from its first bytes. */
function kindOf(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("\x89PNG")) return "PNG";
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("GIF8")) return "GIF";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "WebP";
  if (text.startsWith("BM")) return "BMP";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "TIFF";
  if (text.startsWith("8BPS")) return "Photoshop";
  if (text.slice(4, 8) !== "ftyp") return "";
  const brand = text.slice(8, 12);
  return brand.startsWith("avi") ? "AVIF" : /^(hei|hev|mif1|msf1)/.test(brand) ? "HEIC" : "";
}

/** What should be known of an image, or an error for a file that no answer is given for. */
function noteOf(bytes) {
  const kind = kindOf(bytes);
  if (!kind) throw new ImageFileError("this is no image of a kind that is known here: JPEG, PNG, WebP, GIF, BMP or AVIF");
  if (["TIFF", "HEIC", "Photoshop"].includes(kind)) {
    throw new ImageFileError(`browsers decode ${kind} files differently or not at all: save the image as JPEG or PNG`);
  }
  if (kind === "PNG" && bytes[24] === 16) {
    return "It has 16 bits a channel, which the browser rounds in its own way: the numbers may differ from Python's.";
  }
  if (kind === "JPEG") {
    const frame = jpegFrame(bytes);
    if (frame && frame.bits !== 8) throw new ImageFileError(`a JPEG of ${frame.bits} bits cannot be decoded here`);
    if (frame && frame.channels === 4) {
      return "It is a CMYK image, whose colours the browser converts in its own way: the numbers may differ from Python's.";
    }
  }
  if (kind === "AVIF") return "It is an AVIF image, which the browser decodes in its own way: the numbers may differ from Python's.";
  return "";
}

/** Bits and channels in the first frame header of a JPEG (marker SOF0 to SOF15, but for DHT, JPG and DAC). */
function jpegFrame(bytes) {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { bits: bytes[at + 4], channels: bytes[at + 9] };
    }
    at += marker === 0xff ? 1 : 2 + bytes[at + 2] * 256 + bytes[at + 3];
  }
  return null;
}

/** A PNG or a JPEG that stops too early, of which a browser may show a part. */
function isCut(bytes) {
  const kind = kindOf(bytes);
  if (kind === "PNG") return !String.fromCharCode(...bytes.subarray(-64)).includes("IEND");
  if (kind !== "JPEG") return false;
  for (let at = bytes.length - 2; at > 1; at--) {
    if (bytes[at] !== 0xff) continue;
    if (bytes[at + 1] === 0xd9) return false;
    if (bytes[at + 1] === 0xda) return true; // a scan begins, and nothing ends it
  }
  return true;
}

/** {pixels, width, height, note, thumbnail} of a file. */
async function readImage(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!bytes.length) throw new ImageFileError("the file is empty");
  let note = noteOf(bytes);
  if (isCut(bytes)) throw new ImageFileError("the file is cut off: a part of the image is missing");
  const bitmap = await bitmapOf(bytes);
  try {
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
      throw new ImageFileError(`it has ${width} x ${height} pixels, which is too many for a browser; shrink it`);
    }
    const { pixels, isTransparent } = pixelsOf(bitmap);
    if (isTransparent) note = `${note} Transparent parts are put on white; the numbers may differ a little from Python's.`.trim();
    return { pixels, width, height, note, thumbnail: await thumbnailOf(bitmap) };
  } finally {
    bitmap.close();
  }
}

async function bitmapOf(bytes) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  try {
    return await createImageBitmap(new Blob([bytes]), options);
  } catch {
    throw new ImageFileError("the browser cannot decode this file: it is damaged, or of a kind that it does not know");
  }
}

/** RGB bytes, row by row. Strips keep the canvas small, and within the limits of browsers. */
function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const pixels = new Uint8Array(width * height * 3);
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  const canvas = new OffscreenCanvas(width, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let isTransparent = false;
  for (let top = 0, to = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    const { data } = context.getImageData(0, 0, width, count);
    for (let from = 0; from < data.length; from += 4) {
      const alpha = data[from + 3];
      if (alpha === 255) {
        pixels[to++] = data[from];
        pixels[to++] = data[from + 1];
        pixels[to++] = data[from + 2];
      } else {
        isTransparent = true;
        for (let k = 0; k < 3; k++) pixels[to++] = Math.round((data[from + k] * alpha) / 255 + 255 - alpha);
      }
    }
  }
  return { pixels, isTransparent };
}

/** A small JPEG for the page, so that the large image can be released. */
async function thumbnailOf(bitmap) {
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.88 });
}
