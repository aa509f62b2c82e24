"""LightlyTrain's fine-tuning of image classification in the race: ``python -m peers.race_lightly STEP FOLDER``.

``train_image_classification`` with its defaults: learning rate, warm-up, augmentation, precision. It is licensed under
the AGPL, so nothing of Eyebright depends on it; runs under an interpreter with lightly-train and timm.
"""

import csv

import lightly_train
import timm
import torch

from peers.race_protocol import Run, run_step

DELIMITER = "|"


def prepare(run: Run) -> None:
    """Writes a table for each part."""
    for part, images in (("train", run.train), ("val", run.valid)):
        with run.path(f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["image_path", "label"])
            for image in images:
                labels = [image["target"]] if run.kind == "single" else image["target"]
                table.writerow([image["path"], DELIMITER.join(labels)])


def train(run: Run) -> None:
    """Writes the folder ``lightly``."""
    cfg = timm.get_pretrained_cfg(run.arch)
    assert cfg is not None
    lightly_train.train_image_classification(
        out=run.path("lightly"),
        data={
            "train": str(run.path("train.csv")),
            "val": str(run.path("val.csv")),
            "classes": dict(enumerate(run.names)),
            "label_delimiter": DELIMITER,
        },
        model=f"timm/{run.arch}",
        classification_task="multiclass" if run.kind == "single" else "multilabel",
        steps=(1 if run.epochs is None else run.epochs) * -(-len(run.train) // run.bs),
        batch_size=run.bs,
        gradient_accumulation_steps=1,
        seed=run.seed,
        model_args={"backbone_args": {"pretrained": True}},
        transform_args={"image_size": run.size, "normalize": {"mean": cfg.mean, "std": cfg.std}},
    )


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image."""
    model = lightly_train.load_model(run.path("lightly/exported_models/exported_best.pt"))
    predicted = torch.zeros(len(run.held_out), len(run.names))
    for row, path in zip(predicted, run.held_out, strict=True):
        found = model.predict(path, topk=len(run.names), threshold=-1.0)
        row[found["labels"].cpu()] = found["scores"].float().cpu()
    run.save_predictions(predicted)


if __name__ == "__main__":
    run_step(prepare=prepare, train=train, predict=predict)
