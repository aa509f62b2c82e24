"""Points: predicts the centre of the head of a person who is not in the training set.

The folder has the layout of BIWI_HEAD_POSE: a subfolder for each person with ``frame_*_rgb.jpg``,
``frame_*_pose.txt`` and ``rgb.cal``.

    python examples/points.py                     # the BIWI sample, in EYEBRIGHT_DATA or downloaded
    python examples/points.py path/to/biwi_head_pose --epochs 5 --out points-model

The notebook ``points.ipynb`` explains each step.
"""

import argparse
import sys
from functools import cache
from pathlib import Path

import numpy as np

from eyebright import (
    DataBlock,
    FuncSplitter,
    ImageBlock,
    PointBlock,
    URLs,
    aug_transforms,
    get_image_files,
    load_predictor,
    untar_data,
    vision_learner,
)


def head_center(image: Path) -> list[float]:
    """The head's centre (x, y) in pixels: the 3D position in the pose file, projected with the camera matrix."""
    centre = np.genfromtxt(image.with_name(image.name.replace("_rgb.jpg", "_pose.txt")), skip_header=3)
    camera = camera_matrix(image.parent)
    x = centre[0] * camera[0][0] / centre[2] + camera[0][2]
    y = centre[1] * camera[1][1] / centre[2] + camera[1][2]
    return [x, y]


@cache
def camera_matrix(folder: Path) -> np.ndarray:
    """The camera matrix (3, 3)."""
    return np.genfromtxt(folder / "rgb.cal", skip_footer=6)


def main() -> None:
    """Trains and saves a model, prints its error on the validation person, and checks the saved model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="one subfolder per person (default: untar_data)")
    parser.add_argument("--out", type=Path, default=Path("points-model"), help="folder for the model")
    parser.add_argument("--person", default="13", help="the person in the validation set (default: 13)")
    parser.add_argument("--epochs", type=int, default=15, help="(default: 15)")
    parser.add_argument("--lr", type=float, default=1e-2, help="learning rate (default: 1e-2)")
    parser.add_argument("--height", type=int, default=96, help="in pixels; the width is 4/3 of it (default: 96)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments = parser.parse_args()

    dls = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=head_center,
        splitter=FuncSplitter(lambda image: image.parent.name == arguments.person),
        batch_tfms=aug_transforms(size=(arguments.height, arguments.height * 4 // 3)),
    ).dataloaders(arguments.folder or untar_data(URLs.BIWI_HEAD_POSE), bs=16, seed=arguments.seed)
    learn = vision_learner(
        dls, "tf_efficientnet_lite0", y_range=(-1, 1), train_bn=False, keep_statistics=True, seed=arguments.seed
    )
    learn.fine_tune(arguments.epochs, arguments.lr)
    learn.save_model(arguments.out)

    images = list(dls.valid_ds.items)
    predictions = load_predictor(arguments.out).predict(images)
    errors = [
        np.linalg.norm(prediction.decoded.xy.numpy()[0] - head_center(image))
        for prediction, image in zip(predictions, images, strict=True)
    ]
    trained = learn.predict(images[0]).decoded.xy
    same = np.allclose(trained.numpy(), predictions[0].decoded.xy.numpy(), atol=1e-3)
    mean_point = np.mean([head_center(image) for image in dls.train_ds.items], axis=0)
    baseline = np.mean([np.linalg.norm(mean_point - head_center(image)) for image in images])
    print(f"mean error {np.mean(errors):.1f} px on person {arguments.person} ({len(errors)} images of 640x480)")
    print(f"baseline, always the mean training point: {baseline:.1f} px")
    print(f"the saved model predicts the same point: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
