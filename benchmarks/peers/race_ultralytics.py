"""Labels for Ultralytics and its answers in the race: ``python -m peers.race_ultralytics STEP FOLDER``.

``yolo classify train`` itself runs between the two steps. It is licensed under the AGPL, so it is only called through
its own command, and nothing of Eyebright depends on it. It has its own models, and one class per image only.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from peers.race_protocol import Run, link_folders, run_step


def prepare(run: Run) -> None:
    """Writes the folders of classes with links to the images."""
    link_folders(run, {"train": "train", "valid": "val"})


def predict(run: Run) -> None:
    """Writes the probabilities of the five most probable classes of each held-out image; the others are 0."""
    images = run.path("held_out")
    images.mkdir()
    for i, path in enumerate(run.held_out):
        (images / f"{i}{Path(path).suffix}").symlink_to(path)
    yolo = str(Path(sys.executable).with_name("yolo"))
    model, folder = run.path("ultralytics/weights/best.pt"), run.path("answers")
    options = [f"model={model}", f"source={images}", f"project={folder.parent}", f"name={folder.name}", "save_txt=True"]
    subprocess.run([yolo, "classify", "predict", *options, f"imgsz={run.size[0]}"], check=True)
    predicted = np.zeros((len(run.held_out), len(run.names)))
    for i in range(len(run.held_out)):
        for line in (folder / "labels" / f"{i}.txt").read_text(encoding="utf-8").splitlines():
            probability, name = line.split(" ", 1)
            predicted[i, run.names.index(name)] = float(probability)
    run.save_predictions(predicted)


if __name__ == "__main__":
    run_step(prepare=prepare, predict=predict)
