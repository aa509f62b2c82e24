"""Getitune, OpenVINO's training extensions, in the race: ``python -m peers.race_getitune STEP FOLDER``.

Its recipe for efficientnet_b0 (SGD, its learning rate and augmentation) with the race's model, sizes, mean and std. Its
own Datumaro format holds the labels. Runs under an interpreter with getitune.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import PIL.Image
import timm
import torch
import yaml
from datumaro.experimental import Dataset
from datumaro.experimental.categories import LabelCategories
from datumaro.experimental.export_import import export_dataset
from datumaro.experimental.fields import ImageInfo, Subset
from getitune.data.entity.sample import ClassificationMultiLabelSample, ClassificationSample
from getitune.engine import create_engine
from torchvision.transforms.v2.functional import pil_to_tensor

from peers.race_protocol import Run, run_step

DATA = "dataset"


def prepare(run: Run) -> None:
    """Writes the images as a dataset of Datumaro, with targets for training and validation only, and the recipe."""
    sample = ClassificationMultiLabelSample if run.kind == "multi" else ClassificationSample
    dataset = Dataset(sample, categories={"label": LabelCategories(labels=tuple(run.names))})
    held_out = [{"path": path, "target": [] if run.kind == "multi" else run.names[0]} for path in run.held_out]
    for subset, images in ((Subset.TRAINING, run.train), (Subset.VALIDATION, run.valid), (Subset.TESTING, held_out)):
        for image in images:
            dataset.append(make_sample(run, sample, image, subset))
    export_dataset(dataset, run.path(DATA))
    write_recipe(run)


def make_sample(run: Run, sample: Any, image: Any, subset: Subset) -> Any:
    """The image with its target as indices of names."""
    pixels = pil_to_tensor(PIL.Image.open(image["path"]).convert("RGB"))
    labels = [run.names.index(name) for name in ([image["target"]] if run.kind == "single" else image["target"])]
    label = torch.tensor(labels if run.kind == "multi" else labels[0], dtype=torch.uint16)
    info = ImageInfo(height=pixels.shape[1], width=pixels.shape[2])
    return sample(image=pixels, label=label, dm_image_info=info, subset=subset)


def write_recipe(run: Run) -> None:
    """Writes the recipe of efficientnet_b0 with the race's model, image size, mean and std."""
    recipes = Path(str(files("getitune"))) / "recipe"
    task, module = ("label", "multilabel") if run.kind == "multi" else ("class", "multiclass")
    recipe = yaml.safe_load((recipes / f"classification/multi_{task}_cls/efficientnet_b0.yaml").read_text())
    models = f"getitune.backend.lightning.models.classification.{module}_models.timm_model"
    recipe["model"]["class_path"] = f"{models}.TimmModel{module.capitalize()}Cls"
    recipe["model"]["init_args"]["model_name"] = run.arch
    recipe["data"] = str(run.path("data.yaml"))
    data = yaml.safe_load((recipes / "_base_/data/classification.yaml").read_text())
    cfg = timm.get_pretrained_cfg(run.arch)
    assert cfg is not None
    for part in (data, recipe.get("overrides", {}).get("data", {})):
        for subset in ("train_subset", "val_subset", "test_subset"):
            for transform in part.get(subset, {}).get("augmentations_gpu", []):
                if transform["class_path"].endswith(".Normalize"):
                    transform["init_args"] = {"mean": list(cfg.mean), "std": list(cfg.std)}
            if subset in part and "batch_size" in part[subset]:
                part[subset]["batch_size"] = run.bs
    data["input_size"] = list(run.size)
    run.path("data.yaml").write_text(yaml.safe_dump(data))
    run.path("recipe.yaml").write_text(yaml.safe_dump(recipe))


def engine(run: Run) -> Any:
    """The engine of the recipe and the dataset."""
    return create_engine(
        model=str(run.path("recipe.yaml")), data=str(run.path(DATA)), work_dir=str(run.path("getitune")), device="auto"
    )


def train(run: Run) -> None:
    """Writes the folder ``getitune``."""
    engine(run).train(max_epochs=1 if run.epochs is None else run.epochs, seed=run.seed)


def predict(run: Run) -> None:
    """Writes the scores of each held-out image."""
    [checkpoint] = run.path("getitune").rglob("checkpoints/epoch_*.ckpt")  # the one that validated best
    batches = engine(run).predict(checkpoint=str(checkpoint))
    scores = torch.cat([torch.stack(list(batch.scores)) for batch in batches])
    run.save_predictions(scores)


if __name__ == "__main__":
    run_step(prepare=prepare, train=train, predict=predict)
