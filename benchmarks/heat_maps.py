"""How often the peak of a heat map lies in the object: pets planted in street photographs, in the user's own pixels.

Photographs of pets, a third to a half as high as the shorter side, are pasted at random places into photographs of
cars, buses and trains, half of the time each. A model for "cat" and "dog" is trained (``eyebright train``'s defaults:
``tf_efficientnet_lite0``, a crop of 224 px, a linear head on the frozen network). Then heat maps are computed by
`Predictor.heat_maps` for other such photographs, two thirds of them turned by EXIF. An object counts if its centre is
in the crop that the network sees, and if its label is predicted.

    EYEBRIGHT_DATA=data python benchmarks/heat_maps.py [--train 400] [--images 200] [--json heat_maps.json]
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import PIL.Image
import PIL.ImageOps
from measure import save, table

from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.inference.heat_maps import HeatMapMethod
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Predictor
from eyebright.sources.read import read_source
from eyebright.transforms.pipeline import Pipeline
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model

OBJECTS = ("cat", "dog")
ORIENTATION, TURNS = 0x0112, {1: None, 6: PIL.Image.Transpose.ROTATE_90, 3: PIL.Image.Transpose.ROTATE_180}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=400, help="photographs that are trained on")
    parser.add_argument("--images", type=int, default=200, help="photographs that are judged")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    data = Path(os.environ["EYEBRIGHT_DATA"])
    labels = pd.read_csv(data / "pascal_2007" / "train.csv")
    is_street = ~labels["labels"].str.contains("cat|person")
    streets = [data / "pascal_2007" / "train" / name for name in labels["fname"][is_street]]
    pets = sorted((data / "oxford-iiit-pet").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Pets and streets of the judged images are others than those of training.
        train = plant(streets[: args.train], pets[::2], folder / "train", seed=0)
        judged = plant(streets[args.train :][: args.images], pets[1::2], folder / "judged", seed=1)
        predictor = trained(train, folder)
        found = [judge(predictor, judged, folder / "judged", method) for method in get_args(HeatMapMethod)]
    print(table(("method", "peaks in the object", "of"), [list(row.values()) for row in found]))
    save(args.json, {"rows": found})


def plant(files: list[Path], pets: list[Path], folder: Path, seed: int) -> pd.DataFrame:
    """Writes photographs with pets; returns their labels, and the corners of each pet."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    # The data set's cats have names that begin with a capital letter.
    of_kind = {name: [pet for pet in pets if pet.name[0].isupper() == (name == "cat")] for name in OBJECTS}
    rows: list[dict[str, Any]] = []
    for file in files:
        with PIL.Image.open(file) as opened:
            image = opened.convert("RGB")
        row: dict[str, Any] = {"file": file.with_suffix(".jpg").name}
        taken = np.zeros((image.height, image.width), dtype=bool)
        for name in OBJECTS:
            side = int(min(image.size) * rng.uniform(0.33, 0.5))
            x, y = int(rng.integers(0, image.width - side)), int(rng.integers(0, image.height - side))
            region = np.s_[y : y + side, x : x + side]
            row[name] = int(rng.random() < 0.5 and not taken[region].any())
            if row[name]:
                with PIL.Image.open(of_kind[name][int(rng.integers(len(of_kind[name])))]) as pet:
                    image.paste(PIL.ImageOps.fit(pet.convert("RGB"), (side, side)), (x, y))
                taken[region] = True
            row |= {f"{name}_x": x, f"{name}_y": y, f"{name}_side": side}
        turn = int(rng.choice(list(TURNS)))
        exif = PIL.Image.Exif()
        exif[ORIENTATION] = turn
        transpose = TURNS[turn]
        (image if transpose is None else image.transpose(transpose)).save(folder / row["file"], exif=exif, quality=92)
        rows.append(row)
    return pd.DataFrame(rows)


def trained(train: pd.DataFrame, folder: Path) -> Predictor:
    """A linear head on a frozen pretrained network."""
    train[["file", *OBJECTS]].to_csv(folder / "labels.csv", index=False)
    source = read_source(folder / "labels.csv", images=folder / "train")
    train_model(source, folder / "cnn", options=TrainOptions(epochs=0, check=False))
    return load_predictor(folder / "cnn", runtime="torch")


def judge(predictor: Predictor, images: pd.DataFrame, folder: Path, method: Any) -> dict[str, Any]:
    """The share of heat maps whose peak lies in the object, and their number."""
    inside: list[bool] = []
    for row in images.to_dict("records"):
        image = Image.create(folder / row["file"])
        warp = warp_of(predictor, image)
        (prediction,) = predictor.predict(folder / row["file"])
        for name in OBJECTS:
            left, top, side = (row[f"{name}_{part}"] for part in ("x", "y", "side"))
            x, y, _ = warp.matrix @ [left + side / 2, top + side / 2, 1.0]
            seen = 0 <= x <= warp.output_size.width and 0 <= y <= warp.output_size.height
            if row[name] and seen and name in prediction.decoded:
                (heat,) = predictor.heat_maps(image, [name], method=method)
                inside.append(0 <= heat.peak[0] - left <= side and 0 <= heat.peak[1] - top <= side)
    return {"method": method, "share": round(float(np.mean(inside)), 3), "objects": len(inside)}


def warp_of(predictor: Predictor, image: Image) -> Warp:
    """The warp from an image to the model's input."""
    pipeline = Pipeline(predictor.manifest.preprocessing, saved_version=predictor.manifest.pixels_version)
    return pipeline.preprocess(pipeline.draw(image, None)).warp


if __name__ == "__main__":
    main()
