"""Reads model folders with damaged files, and reports what is not one short error within two seconds and 200 MB.

    python tests/inference/fuzz_folders.py COUNT SEED

Bytes of the weights' header, the manifest, the evaluation, `options.json`, `export.json` and `report.json` are flipped,
removed, repeated, or replaced by huge numbers; each folder is then read by everything that reads it. Hashes are made
right again for half of the evaluations, so that their reader is reached. Prints a line for each violation and a summary
as JSON. It is a process of its own, so that the peak of its memory is that of reading; `fuzz_manifests.py` changes the
values of manifests.
"""

import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from eyebright.export.record import read_record
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation
from eyebright.inference.save_folder import save_model
from eyebright.models.build import build_model, model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import Resize
from eyebright.workflow.saved_options import SavedOptions

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.evaluations import make_evaluation
from support.reading_limits import outcome

TARGET = MultiCategoryBlock(vocab=["blue", "green", "red"])
OPTIONS = {"schema": 1, "source": "x.csv", "out": ".", "reading": {}, "training": {"epochs": 1}, "resolved": {}}
RECORD = {"contract": 2, "model": {}, "files": {"model.onnx": {"sha256": "0" * 64, "bytes": 3}}}

Reader = Callable[[Path], Any]
READERS: dict[str, list[Reader]] = {
    "model.safetensors": [inspect_folder, lambda folder: load_predictor(folder, device="cpu", runtime="torch")],
    "manifest.json": [inspect_folder, lambda folder: load_predictor(folder, device="cpu", runtime="torch")],
    "evaluation.parquet": [inspect_folder, load_evaluation],
    "options.json": [inspect_folder, lambda folder: SavedOptions.load(folder / "options.json")],
    "export.json": [inspect_folder, read_record],
    "report.json": [inspect_folder],
}


def main(count: int, seed: int) -> None:
    """Prints what reading `count` damaged folders did."""
    draw, found = random.Random(seed), dict[str, int]()
    with tempfile.TemporaryDirectory() as made:
        folder = _save(Path(made) / "model")
        good = {name: (folder / name).read_bytes() for name in (*READERS, "manifest.json")}
        for readers in READERS.values():
            _read(folder, readers)
        for i in range(count):
            name = draw.choice([*READERS])
            data = _damaged(good[name], draw, header=name == "model.safetensors")
            (folder / name).write_bytes(data)
            if name == "evaluation.parquet" and draw.random() < 0.5:
                manifest = {**json.loads(good["manifest.json"]), "evaluation": hashlib.sha256(data).hexdigest()}
                (folder / "manifest.json").write_text(json.dumps(manifest))
            for problem in _read(folder, READERS[name]):
                found[problem] = found.get(problem, 0) + 1
                if problem not in ("read", "error"):
                    sys.stdout.write(f"{seed}-{i} {name}: {problem}\n")
            for changed in {name, "manifest.json"}:
                (folder / changed).write_bytes(good[changed])
    sys.stdout.write(json.dumps(found) + "\n")


def _save(folder: Path) -> Path:
    torch.manual_seed(0)
    description = model_description("test_resnet", 3, size=32, lin_ftrs=(8,))
    evaluation = make_evaluation(TARGET, torch.randn(20, 3), (torch.rand(20, 3) > 0.5).float())
    manifest = Manifest(description, Decision(TARGET), (Resize(32),))
    save_model(folder, manifest, build_model(description).state_dict(), evaluation=evaluation)
    for name, content in (("options.json", OPTIONS), ("export.json", RECORD), ("report.json", {"schema": "x"})):
        (folder / name).write_text(json.dumps(content))
    return folder


def _damaged(data: bytes, draw: random.Random, *, header: bool) -> bytes:
    """The bytes with one to three changes; those of a safetensors file mostly in its header."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        end = min(len(changed), 20_000) if header and draw.random() < 0.8 else len(changed)
        at = draw.randrange(max(end, 1))
        match draw.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + draw.choice((1, 10, 1000))]
            case 3:
                changed[at:at] = changed[at : at + draw.choice((1, 100))] * draw.choice((1, 50))
            case 4:
                changed[at:at] = draw.choice((b"9" * 400, b"1e999", b"[" * 100_000, b'"' + b"a" * 100_000, b"\xff" * 8))
            case _:
                changed[:8] = draw.choice((0, 1, 2**31, 2**62, 2**64 - 1)).to_bytes(8, "little")
    return bytes(changed)


def _read(folder: Path, readers: list[Reader]) -> list[str]:
    """By reader ``"read"``, ``"error"``, or what is wrong."""
    return [outcome(reader, folder) for reader in readers]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
