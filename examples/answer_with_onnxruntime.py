"""Answers for images from an exported model, with numpy, Pillow and onnxruntime alone: no Eyebright, no torch.

python answer_with_onnxruntime.py shipped/ photo.jpg other.jpg > answers.json
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import PIL.Image
import PIL.ImageOps


def load(folder):
    """(session, what export.json says) of an exported model whose bytes are those that were exported."""
    record = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    graph = (folder / "model.onnx").read_bytes()
    if hashlib.sha256(graph).hexdigest() != record["files"]["model.onnx"]["sha256"]:
        sys.exit(f"{folder / 'model.onnx'} is damaged: its hash is not that in export.json")
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]), record


def read(path):
    """The pixels of an image file, uint8 RGB, turned as its EXIF data say, transparent ones over white."""
    image = PIL.ImageOps.exif_transpose(PIL.Image.open(path))
    if image.has_transparency_data:
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def answer(session, record, pixels):
    """The answer for one image, as JSON."""
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"images": pixels[np.newaxis]}), strict=True))
    first = outputs[names[0]][0].tolist()
    score = {}
    if "ood_score" in outputs:  # how unlike the training images the image is
        score = {"ood_score": float(outputs["ood_score"][0]), "ood": bool(outputs["ood"][0])}
    if "decisions" not in outputs:  # points or numbers
        return {names[0]: dict(zip(record["names"], first, strict=True)), **score}
    probabilities = dict(zip(record["names"], first, strict=True))
    decisions = outputs["decisions"][0]
    if decisions.ndim == 0:  # one class
        asks = {"ask": bool(outputs["asks"][0])} if "asks" in outputs else {}
        return {"label": record["names"][decisions], **asks, "probabilities": probabilities, **score}
    answers = {
        word: [name for name, decision in zip(record["names"], decisions, strict=True) if decision == number]
        for word, number in (("labels", 1), ("ask", -1))
    }
    return {**answers, "probabilities": probabilities, **score}


if __name__ == "__main__":
    session, record = load(Path(sys.argv[1]))
    print(json.dumps([{"path": path, **answer(session, record, read(path))} for path in sys.argv[2:]], indent=1))
