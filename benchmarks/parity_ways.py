"""The ways in which a saved model and its export answer: Python, the command line, another process, a page, Pillow."""

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from page import answered_in_chromium

from eyebright.inference.manifest import Manifest

Array = np.ndarray[Any, np.dtype[Any]]
EXAMPLE = Path(__file__).parents[1] / "examples" / "answer_with_onnxruntime.py"
BLOCKED = """
import runpy, sys
for name in ("torch", "eyebright", "pandas", "cv2", "torchvision", "timm"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
IN_PYTHON = """
import json, sys
import PIL
from eyebright import load_predictor
answers = load_predictor(sys.argv[1], runtime="torch", device="cpu").predict(json.load(sys.stdin)).to_json()
json.dump({"pillow": PIL.__version__, "answers": answers}, sys.stdout)
"""


class Answers(NamedTuple):
    """What one way answers for images.

    Args:
        probabilities: a row for each image.
        decisions: its own, for each label 1, 0 or -1 (ask), or the index of the class; None: it has none of its own.
    """

    probabilities: Array
    decisions: Array | None = None


def from_json(rows: Sequence[Mapping[str, Any]], manifest: Manifest) -> Answers:
    """The answers in the JSON of ``eyebright predict`` and of the example.

    Args:
        rows: one for each image.
        manifest: the manifest of the model.
    """
    names = manifest.target.value_names
    probabilities = np.array([[one["probabilities"][name] for name in names] for one in rows])
    if not manifest.target.has_thresholds:
        return Answers(probabilities, np.array([[names.index(one["label"])] for one in rows]))
    return Answers(probabilities, _signs(names, [(one["labels"], one.get("ask") or ()) for one in rows]))


def _signs(names: Sequence[str], rows: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Array:
    """1 for a label that is given, -1 for one about which a person is asked, otherwise 0."""
    unknown = {name for given, asked in rows for name in (*given, *asked)} - set(names)
    assert not unknown, f"answers with other labels: {unknown}"
    return np.array([[1 if name in given else -1 if name in asked else 0 for name in names] for given, asked in rows])


def by_command(model: Path, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of ``eyebright predict``, a file of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answers.json"
        command = [sys.executable, "-m", "eyebright", "predict", str(model), *paths, "--out", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def by_example(shipped: Path, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The answers of the example, in a process that can import neither torch nor Eyebright."""
    command = [sys.executable, "-c", BLOCKED, str(EXAMPLE), str(shipped), *paths]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def by_pillow(model: Path, paths: Sequence[str], environment: Mapping[str, str]) -> tuple[str, list[dict[str, Any]]]:
    """(version of Pillow, answers of Python) in a process that has another Pillow.

    Args:
        model: the model folder.
        paths: the paths of images.
        environment: an environment with the folder of that Pillow first in ``PYTHONPATH``.
    """
    command = [sys.executable, "-c", IN_PYTHON, str(model)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, input=json.dumps(list(paths)), text=True, env=environment
    )
    found = json.loads(done.stdout)
    return found["pillow"], found["answers"]


def by_page(page: Path, paths: Sequence[str], manifest: Manifest) -> Answers:
    """The answers in the CSV of the offline page, in headless Chromium."""
    columns, *rows = answered_in_chromium(page, [Path(path) for path in paths])
    by_name = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    answers = [by_name[Path(path).name] for path in paths]
    names, places = manifest.target.value_names, manifest.target.table_columns[1:]
    probabilities = np.array([[float(one[place]) for place in places] for one in answers])
    if not manifest.target.has_thresholds:
        return Answers(probabilities, np.array([[names.index(one[columns[1]])] for one in answers]))
    labels = [(_split(one[columns[1]]), _split(one.get("ask", ""))) for one in answers]
    return Answers(probabilities, _signs(names, labels))


def _split(cell: str) -> list[str]:
    """The labels in a cell."""
    return next(csv.reader([cell], delimiter=";")) if cell else []
