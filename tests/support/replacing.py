"""A process that replaces a model and a checkpoint again and again, for tests of loading beside it.

``python -m support.replacing FOLDER LOADS`` starts it, loads LOADS times each and prints how many loads gave a mixture
of two models, an error or a model, and what the errors were.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from eyebright.errors import ArtifactError, TrainingError
from eyebright.inference.folder_format import EVALUATION, MANIFEST, WEIGHTS
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_model
from eyebright.inference.save_folder import save_model
from eyebright.io.atomic import write_atomically
from eyebright.models.build import model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.train.state import read_checkpoint
from eyebright.types import Thresholds
from support.evaluations import make_evaluation

MODELS = (0.25, 0.75)  # each model has this threshold, and all its weights and outputs are this number
TENSORS = 90
CHECKPOINT = "run.safetensors"


def write_model(folder: Path, number: float) -> None:
    """Saves the model that consists of one number, with its evaluation."""
    target = MultiCategoryBlock(vocab=["a", "b"])
    manifest = Manifest(model_description("test_resnet", 2, size=32), Decision(target, Thresholds(number)))
    evaluation = make_evaluation(target, torch.full((4, 2), number), torch.tensor([[0.0, 1.0]] * 4))
    save_model(folder, manifest, tensors(number), evaluation=evaluation)


def write_checkpoint(folder: Path, number: float) -> None:
    """Writes a file with the header of a checkpoint, whose seed and tensors are the number."""
    counts = '"phase": 0, "done": 0, "epoch": 0, "step": 0, "plans": [], "history": [], "phase_started": false'
    none = '"stopped": null, "averaged": null, "scaler": null'
    header = f'{{"format": 3, {counts}, {none}, "seed": {int(number * 4)}, "about": {{}}, "precision": "float32"}}'
    state = tensors(number) | {"curve/losses": torch.zeros(1), "curve/lrs": torch.zeros(1)}
    write_atomically(
        folder / CHECKPOINT, lambda path: save_file(state, path, metadata={"eyebright": header}), flush=False
    )


def tensors(number: float) -> dict[str, torch.Tensor]:
    """Weights that all are the number."""
    return {f"layer{i:02}": torch.full((100,), number) for i in range(TENSORS)}


def model_numbers(folder: Path) -> set[float]:
    """Every number that occurs in the model that was loaded."""
    manifest, state = load_model(folder)
    return {*torch.cat(list(state.values())).unique().tolist(), float(manifest.decision.thresholds.values)}  # type: ignore[arg-type]


def evaluation_numbers(folder: Path) -> set[float]:
    """Every number that occurs in the evaluation that was loaded."""
    evaluation = load_evaluation(folder)
    return {*evaluation.outputs.flatten().tolist(), float(evaluation.decision.thresholds.values)}  # type: ignore[arg-type]


def checkpoint_numbers(folder: Path) -> set[float]:
    """Every number that occurs in the checkpoint that was loaded."""
    state, description = read_checkpoint(folder / CHECKPOINT)
    weights = torch.cat([tensor for name, tensor in state.items() if name.startswith("layer")])
    return {*weights.unique().tolist(), description["seed"] / 4}


def load_beside_writer(folder: Path, loads: int, numbers: Callable[[Path], set[float]]) -> Counter[str]:
    """How often a load gave each model, a mixture or an error, while another process replaced the files.

    Args:
        folder: the folder of the model and of the checkpoint.
        loads: the number of loads.
        numbers: loads, and returns the numbers that occur in what was loaded.
    """
    write_model(folder, MODELS[0])
    write_checkpoint(folder, MODELS[0])
    writer = subprocess.Popen([sys.executable, "-m", "support.replacing", "write", str(folder)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()  # it has begun
        return Counter(_outcome(folder, numbers) for _ in range(loads))
    finally:
        writer.kill()
        writer.communicate()


def _outcome(folder: Path, numbers: Callable[[Path], set[float]]) -> str:
    try:
        found = numbers(folder)
    except (ArtifactError, TrainingError) as error:
        return f"error: {error}"
    return f"model {found.pop()}" if len(found) == 1 else f"mixture of {sorted(found)}"


def _write_for_ever(folder: Path) -> None:
    """Renames the files of each model into the folder in turn, in the order of `save_model`; which is too slow here."""
    made: list[dict[str, bytes]] = []
    for number in MODELS:
        model = folder.with_name(f"{folder.name} {number}")
        write_model(model, number)
        write_checkpoint(model, number)
        made.append({name: (model / name).read_bytes() for name in (WEIGHTS, EVALUATION, MANIFEST, CHECKPOINT)})
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    while True:
        for files in made:
            for name, content in files.items():
                temporary = folder / f".{name}"
                temporary.write_bytes(content)
                temporary.replace(folder / name)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        _write_for_ever(Path(sys.argv[2]))
    for load in (model_numbers, evaluation_numbers, checkpoint_numbers):
        counts = load_beside_writer(Path(sys.argv[1]), int(sys.argv[2]), load)
        wrong = sum(count for outcome, count in counts.items() if outcome.startswith("mixture"))
        sys.stdout.write(f"{load.__name__}: {wrong} of {sys.argv[2]} are a mixture; {dict(counts)}\n")
        sys.stdout.flush()
