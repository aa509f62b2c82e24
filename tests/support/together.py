"""A training whose results must not depend on the number of processes; ``torchrun -m support.together FOLDER``."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import EyebrightError
from eyebright.inference.load_predictor import load_predictor
from eyebright.learner.learner import Learner
from eyebright.losses import CrossEntropyLossFlat
from eyebright.train.device import Device
from eyebright.train.events import Event, PhaseStarted
from eyebright.train.observers.history import history_csv
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import Run
from support.learners import small_learner, squares_block
from support.training import train_all

UNREADABLE = ["000.png", "001.png", "003.png"]  # unreadable images in the training and the validation set
BATCH = 7  # two processes cannot divide it evenly


def train_learner(folder: Path, name: str, *, resume: str | None = None) -> Learner:
    """A learner trained for a frozen and an unfrozen epoch; ``folder`` has the checkpoint between the two.

    Args:
        folder: contains ``photos`` and ``table.csv``.
        name: name of the checkpoints.
        resume: name of a checkpoint to resume from.
    """
    learner = small_learner(squares(folder), ps=0.0, metrics=[])
    learner.metrics = list(learner.dls.target.metrics())
    once, checkpoint = learner.run.device.on_main, folder / f"{name}.work"
    if resume is not None:
        once(lambda: shutil.copy(folder / f"{resume}.first", checkpoint))

    def keep(event: Event) -> None:
        if isinstance(event, PhaseStarted) and learner.run.epoch == 1 and resume is None:
            once(lambda: shutil.copy(checkpoint, folder / f"{name}.first"))

    learner.freeze()
    learner.fine_tune(1, 1e-2, cbs=[keep], checkpoint=checkpoint, resume=resume is not None)
    return learner


def squares(folder: Path, photos: str = "photos", **options: Any) -> DataLoaders:
    """The data loaders of the images in ``folder``."""
    table = pd.read_csv(folder / "table.csv", keep_default_na=False)
    return squares_block(folder / photos).dataloaders(table, **{"bs": BATCH, "num_workers": 1, **options})


def training_result(learner: Learner) -> dict[str, Any]:
    """History, losses and norms of the weights after training, for JSON."""
    state = learner.model.state_dict()
    return {
        "history": [{key: row[key] for key in row if key != "seconds"} for row in learner.run.history],
        "losses": learner.run.losses,
        "weights": {name: float(tensor.norm()) for name, tensor in state.items() if name.endswith(("weight", "bias"))},
        "statistics": {name: float(tensor.norm()) for name, tensor in state.items() if "running" in name},
    }


def all_results(folder: Path, name: str) -> dict[str, Any]:
    """All results that must not depend on the number of processes, for JSON."""
    learner = train_learner(folder, name)
    images, predictions, targets, losses = learner.get_preds(with_loss=True, with_input=True)
    result = {
        **training_result(learner),
        "images": images.mean((1, 2, 3)).tolist(),
        "predictions": predictions.tolist(),
        "targets": targets.tolist(),
        "image losses": losses.tolist(),
        "training side": learner.get_preds(0)[1].tolist(),
        "two images": learner.get_preds(dl=learner.dls.random_batch_loader(1, 2))[0].tolist(),
        "one image": learner.get_preds(dl=learner.dls.random_batch_loader(1, 1))[0].tolist(),
        "validated": learner.validate(),
        "thresholds": learner.tune_thresholds().per_class(3).tolist(),
        "rates": learner.lr_find(1e-5, 1e-1, 10, show_plot=False).losses,
        "weighted": weighted_training(),
    }
    learner.save_model(folder / f"model {name}")
    result["saved"] = load_predictor(folder / f"model {name}").thresholds.per_class(3).tolist()
    return result | {"skipped": skipped_images(folder, name), "refused": error_messages(folder, learner)}


def weighted_training() -> list[float]:
    """The weights after training with class weights, with each batch divided among the processes."""
    device = Device("cpu", "float32")
    part = slice(0, None) if device.world_size == 1 else (slice(0, 5), slice(5, None))[device.rank]
    images = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 0.1)
    nn.init.zeros_(model.bias)
    loss = CrossEntropyLossFlat([1.0, 5.0])
    run = Run(model, loss, [list(model.parameters())], device)
    run.begin(Plan(3, (0.1,), options=FitOptions(accumulate=2)))
    targets = (images[:, 0] > 0.5).long()
    list(train_all(run, lambda epoch: [(images[part], targets[part])] * 3, steps=3))
    return model.weight.flatten().tolist() + run.losses


def skipped_images(folder: Path, name: str) -> list[str]:
    """The names of the unreadable images of both sets, after a training run that skipped them."""
    photos = f"photos of {name}"

    def damage() -> None:
        shutil.copytree(folder / "photos", folder / photos)
        for file_name in UNREADABLE:
            (folder / photos / file_name).write_bytes(b"no image")

    Device("cpu").on_main(damage)
    learner = small_learner(squares(folder, photos, skip_bad=True), ps=0.0)
    learner.fit(1)
    return sorted(Path(path).name for path in learner.dls.skipped)


def error_messages(folder: Path, learner: Learner) -> list[str]:
    """The messages of errors that all processes must raise alike."""
    messages: list[str] = []
    Device("cpu").on_main((folder / "a file").touch)
    for wrong in (
        lambda: learner.fit(1, cbs=[history_csv(learner.run, folder / "a file" / "history.csv")]),
        lambda: small_learner(squares(folder, bs=1)).fit(1),
    ):
        try:
            wrong()
        except EyebrightError as error:
            messages.append(str(error))
    return messages


if __name__ == "__main__":
    where = Path(sys.argv[1])
    rank = os.environ["RANK"]
    done = {**all_results(where, "two"), "resumed": training_result(train_learner(where, "of one", resume="one"))}
    (where / f"{rank}.json").write_text(json.dumps(done))
    sys.stdout.flush()
    os._exit(0)  # torch's own taking down of its threads is now and then a crash, and not what is tested
