"""Whether an exported model answers as Python does: each way to use it on the same images, and ways that others take.

    eyebright export model --to onnx --out shipped
    python benchmarks/export_parity.py model shipped photos/ [--count 1000] [--json out.json]

The model has labels or classes. Ours: Python, the command line, and onnxruntime in a process that can import neither
torch nor Eyebright (`examples/answer_with_onnxruntime.py`). Others, with the same network behind them: Pillow's resize
of 8-bit pixels (what timm, torchvision and fastai do); ``Resize`` without ``exclude_outside`` (what
onnxruntime-extensions 0.15.2 writes) and without ``antialias`` (what TensorRT computes).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
import onnx
import onnxruntime
import PIL.Image
import PIL.ImageOps

from eyebright.export.answers_graph import ANSWERS
from eyebright.export.parity import LIMIT
from eyebright.export.record import FIXED, WHOLE, ExportRecord, read_export, read_record
from eyebright.inference.predictor import Predictor, load_predictor
from eyebright.io.files import get_image_files

Array = np.ndarray[Any, np.dtype[Any]]
EXAMPLE = Path(__file__).parents[1] / "examples" / "answer_with_onnxruntime.py"
BLOCKED = """
import runpy, sys
for name in ("torch", "eyebright", "pandas", "cv2", "torchvision", "timm"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model folder")
    parser.add_argument("shipped", type=Path, help="the folder of its export")
    parser.add_argument("images", type=Path, help="a folder of images")
    parser.add_argument("--count", type=int, default=1000, help="how many images")
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    found = [str(path) for path in get_image_files(arguments.images)]
    paths = [found[i] for i in np.linspace(0, len(found) - 1, min(arguments.count, len(found))).astype(int)]
    predictor = load_predictor(arguments.model, runtime="torch", device="cpu")
    record = read_record(arguments.shipped)
    ways: dict[str, Callable[[], list[dict[str, float]]]] = {
        "Python": lambda: in_python(predictor, paths),
        "command line": lambda: by_command(arguments.model, paths),
        "onnxruntime without torch and Eyebright": lambda: by_example(arguments.shipped, paths),
        "model_fixed.onnx behind Pillow's resize, bilinear": lambda: by_pillow(
            arguments.shipped, record, paths, "BILINEAR"
        ),
        "model_fixed.onnx behind Pillow's resize, bicubic": lambda: by_pillow(
            arguments.shipped, record, paths, "BICUBIC"
        ),
        "Resize without exclude_outside": lambda: changed_graph(arguments.shipped, record, paths, exclude_outside=0),
        "Resize without antialias": lambda: changed_graph(
            arguments.shipped, record, paths, exclude_outside=0, antialias=0
        ),
    }
    answers, seconds = {}, {}
    for name, way in ways.items():
        started = time.perf_counter()
        answers[name] = probabilities(way(), record)
        seconds[name] = time.perf_counter() - started
    expected = answers.pop("Python")
    results = {name: differences(predictor, expected, given) for name, given in answers.items()}
    report(len(paths), results)
    measure.save(
        arguments.json, {"images": len(paths), "pillow": PIL.__version__, "results": results, "seconds": seconds}
    )


def in_python(predictor: Predictor, paths: Sequence[str]) -> list[dict[str, float]]:
    return [one["probabilities"] for one in predictor.predict(list(paths)).to_json()]


def by_command(model: Path, paths: Sequence[str]) -> list[dict[str, float]]:
    """The rows of `eyebright predict`, a file of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answers.json"
        command = [sys.executable, "-m", "eyebright", "predict", str(model), *paths, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [one["probabilities"] for one in json.loads(out.read_text(encoding="utf-8"))]


def by_example(shipped: Path, paths: Sequence[str]) -> list[dict[str, float]]:
    command = [sys.executable, "-c", BLOCKED, str(EXAMPLE), str(shipped), *paths]
    answers = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [one["probabilities"] for one in answers]


def by_pillow(shipped: Path, record: ExportRecord, paths: Sequence[str], filter_name: str) -> list[dict[str, float]]:
    """The shorter side resized by Pillow in 8 bits, the centre cropped: for models whose preprocessing is a crop."""
    session: Any = onnxruntime.InferenceSession(read_export(shipped, FIXED))
    scale, (height, width) = record.preprocessing["scale"], record.preprocessing["output"]
    box = [side * one for side, one in zip(record.preprocessing["box"], scale, strict=True)]
    answers: list[dict[str, float]] = []
    for path in paths:
        image = pillow_image(path)
        ratio = max(box[0] / image.height, box[1] / image.width)
        size = max(round(image.width * ratio), width), max(round(image.height * ratio), height)
        image = image.resize(size, PIL.Image.Resampling[filter_name])
        left, top = (image.width - width) // 2, (image.height - height) // 2
        pixels = np.asarray(image.crop((left, top, left + width, top + height)), np.float32) / 255
        answers.append(named(record, session.run(None, {"pixels": pixels.transpose(2, 0, 1)[None]})[0][0]))
    return answers


def changed_graph(
    shipped: Path, record: ExportRecord, paths: Sequence[str], **attributes: int
) -> list[dict[str, float]]:
    """model.onnx with other attributes of its ``Resize``."""
    model = onnx.load_from_string(read_export(shipped, WHOLE))
    branches = [attribute.g for node in model.graph.node if node.op_type == "If" for attribute in node.attribute]
    for node in (node for branch in branches for node in branch.node if node.op_type == "Resize"):
        for attribute in node.attribute:
            if attribute.name in attributes:
                attribute.i = attributes[attribute.name]
    session: Any = onnxruntime.InferenceSession(model.SerializeToString())
    return [named(record, session.run(None, {"images": np.asarray(pillow_image(path))[None]})[0][0]) for path in paths]


def pillow_image(path: str) -> PIL.Image.Image:
    return PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB")


def named(record: ExportRecord, row: Array) -> dict[str, float]:
    return dict(zip(record.content["names"], row.tolist(), strict=True))


def probabilities(answers: Sequence[Mapping[str, float]], record: ExportRecord) -> Array:
    return np.array([[one[name] for name in record.content["names"]] for one in answers])


def differences(predictor: Predictor, expected: Array, given: Array) -> dict[str, float | int]:
    """The largest difference, and the decisions that change; of them those that are not near a threshold."""
    decision = predictor.manifest.decision
    margins = ANSWERS[decision.target.name].margins
    assert margins is not None  # only labels and classes are measured here
    is_near = margins(expected, decision) <= LIMIT
    differs = decisions(predictor, expected) != decisions(predictor, given)
    return {
        "largest difference": float(np.abs(expected - given).max()),
        "mean difference": float(np.abs(expected - given).mean()),
        "decisions": differs.size,
        "near": int(is_near.sum()),
        "changed": int(differs.sum()),
        "changed, not near": int((differs & ~is_near).sum()),
    }


def decisions(predictor: Predictor, rows: Array) -> Array:
    """The decisions of the saved model as numbers."""
    import torch

    decision = predictor.manifest.decision
    decoded = decision.decode_batch(torch.from_numpy(rows.astype(np.float32)))
    return np.nan_to_num(np.stack([decision.target.encode(one).numpy() for one in decoded]), nan=-1)


def report(n_images: int, results: Mapping[str, Mapping[str, float | int]]) -> None:
    """Prints the table."""
    print(f"{n_images:,} images, compared with Python:\n")
    columns = list(next(iter(results.values())))
    rows = [[name, *(f"{value:.3g}" if isinstance(value, float) else f"{value:,}" for value in row.values())]
            for name, row in results.items()]  # fmt: skip
    print(measure.table(["", *columns], rows))


if __name__ == "__main__":
    main()
