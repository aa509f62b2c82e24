"""Labels for timm's train.py and its answers in the race: ``python -m peers.race_timm STEP FOLDER``.

``train.py`` itself, from a checkout of timm, runs between the two steps. One class per image is read from folders of
classes. Several labels need a train.py with ``--task multilabel`` (of September 2026 or later) and the package
``datasets``: a table with a 0/1 column per label.
"""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import timm
import torch
from timm.data import create_transform, resolve_data_config
from timm.utils import natural_key

from peers.race_protocol import Run, link_folders, run_step

PARTS = {"train": "train", "valid": "validation"}


def prepare(run: Run) -> None:
    """Writes the images in the layout that timm's readers expect."""
    if run.kind == "single":
        link_folders(run, PARTS)
        return
    for part, images in (("train", run.train), ("valid", run.valid)):
        folder = run.path("images") / PARTS[part]
        folder.mkdir(parents=True)
        with (folder / "metadata.jsonl").open("w", encoding="utf-8") as file:
            for i, image in enumerate(images):
                link = folder / f"{i}{Path(image['path']).suffix}"
                link.symlink_to(image["path"])
                fields = {f"label{k}": int(name in image["target"]) for k, name in enumerate(run.names)}
                file.write(json.dumps({"file_name": link.name, **fields}) + "\n")


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image, by the checkpoint that validated best."""
    checkpoint = run.path("timm/race/model_best.pth.tar")
    model = timm.create_model(run.arch, num_classes=len(run.names), checkpoint_path=str(checkpoint)).eval()
    config = resolve_data_config({"input_size": (3, *run.size)}, model=model)
    transform: Any = create_transform(**config)
    with torch.inference_mode():
        outputs = torch.stack([model(transform(PIL.Image.open(path).convert("RGB"))[None])[0] for path in run.held_out])
    if run.kind == "multi":
        run.save_predictions(outputs.sigmoid())
        return
    classes = sorted(run.names, key=natural_key)  # the order of timm's reader of folders
    run.save_predictions(outputs.softmax(1)[:, [classes.index(name) for name in run.names]])


if __name__ == "__main__":
    run_step(prepare=prepare, predict=predict)
