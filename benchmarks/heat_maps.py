r"""How often the peak of a heat map lies in the object: objects planted in photographs, in the user's own pixels.

Two kinds of objects (a disc with rings, a square with stripes, a fifth to a third of the shorter side, in random
colours) are planted at random places of photographs, each into half of them. A model is trained for "disc" and
"square": the linear head of a pretrained convolutional network (``tf_efficientnet_lite0``, a crop of 224 px), or a
small vision transformer from random weights. Then heat maps are computed by `Predictor.heat_maps` for other photographs
with objects, from files that the model crops, two thirds of them turned by EXIF. An object counts if its centre is in
the crop that the network sees, and if its label is predicted.

    EYEBRIGHT_DATA=data python benchmarks/heat_maps.py cnn vit [--images 200] [--json heat_maps.json]
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL.Image
import torch
from measure import save, table

from eyebright.inference.manifest import Manifest
from eyebright.inference.predictor import Predictor, load_predictor
from eyebright.models.build import build_model, model_description
from eyebright.sources.read import read_source
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import Resize
from eyebright.types import Size, Thresholds
from eyebright.workflow.options import Options
from eyebright.workflow.train_model import train_model

OBJECTS = ("disc", "square")
ORIENTATION, TURNS = 0x0112, {1: None, 6: PIL.Image.Transpose.ROTATE_90, 3: PIL.Image.Transpose.ROTATE_180}
VIT_SIDE, VIT_STEPS = 160, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=("cnn", "vit"))
    parser.add_argument("--images", type=int, default=200, help="photographs that are judged")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        backgrounds = sorted((Path(os.environ["EYEBRIGHT_DATA"]) / "pascal_2007" / "train").glob("*.jpg"))
        for kind in args.models:
            train = plant(backgrounds[:600], folder / "train", seed=0)
            predictor = train_cnn(train, folder) if kind == "cnn" else train_vit(train, folder / "train")
            judged = plant(backgrounds[600 : 600 + args.images], folder / "judged", seed=1)
            for method in ("gradcam", "layercam"):
                rows.append({"model": kind, "method": method, **judge(predictor, judged, folder / "judged", method)})
    print(table(("model", "method", "peaks in the object", "of"), [list(row.values()) for row in rows]))
    save(args.json, {"rows": rows})


def plant(files: list[Path], folder: Path, seed: int) -> pd.DataFrame:
    """Writes photographs with objects; returns their labels, and the centre and half side of each object."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for file in files:
        with PIL.Image.open(file) as opened:
            pixels = np.array(opened.convert("RGB"))
        row: dict[str, Any] = {"file": file.with_suffix(".png").name}
        height, width = pixels.shape[:2]
        taken = np.zeros((height, width), dtype=bool)
        for name in OBJECTS:
            radius = int(min(height, width) * rng.uniform(0.1, 0.17))
            x, y = int(rng.integers(radius, width - radius)), int(rng.integers(radius, height - radius))
            region = np.s_[y - radius : y + radius, x - radius : x + radius]
            row[name] = int(rng.random() < 0.5 and not taken[region].any())
            if row[name]:
                draw(pixels[region], name, rng)
                taken[region] = True
            row |= {f"{name}_x": x, f"{name}_y": y, f"{name}_radius": radius}
        turn = int(rng.choice(list(TURNS)))
        exif = PIL.Image.Exif()
        exif[ORIENTATION] = turn
        image = PIL.Image.fromarray(pixels)
        transpose = TURNS[turn]
        (image if transpose is None else image.transpose(transpose)).save(folder / row["file"], exif=exif)
        rows.append(row)
    return pd.DataFrame(rows)


def draw(pixels: np.ndarray, name: str, rng: np.random.Generator) -> None:
    """Draws an object over the whole array."""
    colors = [tuple(int(value) for value in color) for color in rng.integers(0, 256, (2, 3))]
    side = len(pixels)
    canvas = np.ascontiguousarray(pixels)
    if name == "disc":
        for ring in range(4):
            cv2.circle(canvas, (side // 2, side // 2), side // 2 - ring * side // 8, colors[ring % 2], -1)
    else:
        for stripe in range(8):
            canvas[:, stripe * side // 8 : (stripe + 1) * side // 8] = colors[stripe % 2]
    pixels[:] = canvas


def train_cnn(train: pd.DataFrame, folder: Path) -> Predictor:
    """A linear head on a frozen pretrained network."""
    train[["file", *OBJECTS]].to_csv(folder / "labels.csv", index=False)
    source = read_source(folder / "labels.csv", images=folder / "train")
    train_model(source, folder / "cnn", options=Options(epochs=0, check=False))
    return load_predictor(folder / "cnn", runtime="torch")


def train_vit(train: pd.DataFrame, images: Path) -> Predictor:
    """A small vision transformer from random weights; it sees the middle of each photograph."""
    torch.manual_seed(0)
    size = Size(VIT_SIDE, VIT_SIDE)
    model = build_model(model_description("test_vit", len(OBJECTS), size=size, lin_ftrs=(), ps=0.0))
    decision = Decision(MultiCategoryBlock(vocab=OBJECTS), Thresholds(0.5))
    predictor = Predictor(Manifest(model.description, decision, (Resize(size),)), model.eval(), device="cpu")
    seen = [predictor._preprocess(images / file) for file in train["file"]]
    pixels = torch.from_numpy(np.stack([one.pixels for one in seen])).permute(0, 3, 1, 2)  # type: ignore[union-attr]
    rows_and_inputs = zip(train.to_dict("records"), seen, strict=True)
    targets = torch.tensor([[visible(row, name, one.warp) for name in OBJECTS] for row, one in rows_and_inputs])  # type: ignore[union-attr]
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=VIT_STEPS)
    model.train()
    for _ in range(VIT_STEPS):
        rows = torch.randint(len(pixels), (32,))
        batch = pixels[rows].float()
        batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), targets[rows].float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    return predictor


def visible(row: Any, name: str, warp: Any) -> bool:
    """Whether an object is there and its centre is in the network's input."""
    x, y, _ = warp.matrix @ [row[f"{name}_x"], row[f"{name}_y"], 1.0]
    height, width = warp.output_size
    return bool(row[name]) and 0 <= x <= width and 0 <= y <= height


def judge(predictor: Predictor, images: pd.DataFrame, folder: Path, method: Any) -> dict[str, Any]:
    """The share of heat maps whose peak lies in the object, and their number."""
    inside: list[bool] = []
    for _, row in images.iterrows():
        path = folder / row["file"]
        warp = predictor._preprocess(path).warp  # type: ignore[union-attr]
        (prediction,) = predictor.predict(path)
        for name in OBJECTS:
            if visible(row, name, warp) and name in prediction.decoded:
                (heat,) = predictor.heat_maps(path, [name], method=method)
                x, y, radius = heat.peak[0] - row[f"{name}_x"], heat.peak[1] - row[f"{name}_y"], row[f"{name}_radius"]
                inside.append(np.hypot(x, y) <= radius if name == "disc" else max(abs(x), abs(y)) <= radius)
    return {"share": round(float(np.mean(inside)), 3), "objects": len(inside)}


if __name__ == "__main__":
    main()
