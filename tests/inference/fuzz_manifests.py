"""Loads a saved model with damaged manifests, and reports what is not one short error within two seconds and 200 MB.

    python tests/inference/fuzz_manifests.py COUNT SEED [FOLDER]

Prints a line for each violation and a summary as JSON. FOLDER holds further manifests. It is a process of its own, so
that the peak of its memory is that of loading.
"""

import copy
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.models.build import build_model, model_description
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Thresholds

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.reading_limits import outcome


def main(count: int, seed: int, folder: Path | None) -> None:
    """Prints what loading `count` damaged manifests did."""
    with tempfile.TemporaryDirectory() as made:
        saved = [_save(Path(made) / str(i), target) for i, target in enumerate(_targets())]
        for model in saved:
            load_predictor(model, device="cpu", runtime="torch")
        found: dict[str, int] = {}
        for name, model, text in _manifests(saved, count, seed, folder):
            problem = _load(model, text)
            found[problem] = found.get(problem, 0) + 1
            if problem not in ("read", "error"):
                sys.stdout.write(f"{name}: {problem}: {text[:3000]}\n")
    sys.stdout.write(json.dumps(found) + "\n")


def _targets() -> Iterator[TargetBlock]:
    yield MultiCategoryBlock(vocab=["blue", "green", "red"])
    yield CategoryBlock(vocab=["blue", "green"])
    yield OrdinalBlock(["1", "2", "3"])
    yield PointBlock(2, mirror=(1, 0), names=("left", "right"))
    yield RegressionBlock(2, standardize=True, center=(1.0, 2.0), scale=(3.0, 4.0))


def _save(folder: Path, target: TargetBlock) -> Path:
    description = model_description(
        "test_resnet",
        target.n_out,
        size=32,
        lin_ftrs=(8,),
        y_range=target.y_range,
        output_shape=(target.n_out,),
    )
    decision = Decision(target)
    if target.has_thresholds:
        decision = decision.with_thresholds(Thresholds((0.5,) * target.n_out, metric="f1_macro"))
    manifest = Manifest(
        description, decision, (Resize(40), RandomResizedCrop(32, 0.75, val_xtra=0)), training={"seed": 1, "lr": [1e-3]}
    )
    return save_model(folder, manifest, build_model(description).state_dict())


def _manifests(saved: list[Path], count: int, seed: int, folder: Path | None) -> Iterator[tuple[str, Path, str]]:
    """(name, folder of the model, text of the manifest)."""
    for file in sorted(folder.glob("*.json")) if folder else ():
        data = json.loads(file.read_text(encoding="utf-8"))
        data["id"] = json.loads((saved[0] / "manifest.json").read_text(encoding="utf-8"))["id"]
        yield file.name, saved[0], json.dumps(data)
    draw = random.Random(seed)
    for i in range(count):
        model = saved[i % len(saved)]
        data = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
        text = json.dumps(data)
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            if len(text) < 1_000_000:  # what is damaged twice could otherwise grow to gigabytes
                data = json.loads(text)  # without parts that are one object in several places
                _damage(data, draw)
                text = json.dumps(data)
        yield f"{seed}-{i}", model, text


def _damage(data: Any, draw: random.Random) -> None:
    """Changes, removes or repeats one value, at any depth."""
    places = [place for place in _places(data) if place[1] != "id"]
    parent, key = draw.choice(places)
    value = parent[key]
    action = draw.randrange(8)
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(value, list):
        parent[key] = value * draw.choice((0, 2, 10_000))
    elif action == 2 and isinstance(value, str):
        parent[key] = value * draw.choice((2, 100_000))
    elif action == 3 and isinstance(value, (int, float)):
        parent[key] = value * draw.choice((-1, 0, 10, 1e3, 1e6, 1e12))
    else:
        parent[key] = draw.choice(_VALUES)(draw)


def _places(data: Any) -> list[tuple[Any, Any]]:
    keys: list[Any] = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    return [(data, key) for key in keys] + [place for key in keys for place in _places(data[key])]


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


_VALUES: list[Callable[[random.Random], Any]] = [
    lambda draw: draw.choice((0, -1, 1, 7, 300, 30_000, 10**9, 10**12, 2**63, -(10**9), 10**400)),
    lambda draw: draw.choice((math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-320, 0.5, 1e6)),
    lambda draw: draw.choice((None, True, False, {}, [], "", "x", "\x00\x1b[31m", "\ud800", "..", "None", "1")),
    lambda _: "y" * 100_000,
    lambda _: list(range(100_000)),
    lambda _: ["z"] * 100_000,
    lambda _: [0.5] * 100_000,
    lambda draw: _nested(draw.choice((5, 200))),
    lambda draw: {str(i): i for i in range(draw.choice((3, 100_000)))},
    lambda draw: [draw.choice((1, 10**9, -1, math.nan, "x", None))] * draw.choice((1, 2, 3, 20)),
    lambda draw: draw.choice(
        ("resnet50", "vit_giant_patch14_dinov2", "nfnet_f7", "regnety_2560", "hrnet_w64", "hf-hub:a/b")
    ),
    lambda draw: copy.deepcopy([{"kind": "Resize", "size": draw.choice((40, 30_000))}] * draw.choice((1, 10_000))),
]


def _load(model: Path, text: str) -> str:
    """``"read"``, ``"error"``, or what is wrong."""
    path = model / "manifest.json"
    good = path.read_bytes()
    path.write_text(text, encoding="utf-8")
    try:
        return outcome(lambda folder: load_predictor(folder, device="cpu", runtime="torch"), model, ArtifactError)
    finally:
        path.write_bytes(good)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
