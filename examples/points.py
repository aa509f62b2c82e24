"""Points on an image: the centre of a head, learnt from one folder of people and found on another person.

The folder has the layout of BIWI_HEAD_POSE: a folder for each person with ``frame_*_rgb.jpg``,
``frame_*_pose.txt`` and ``rgb.cal``.

    python examples/points.py                     # BIWI of the book, which EYEBRIGHT_DATA holds or fast.ai sends
    python examples/points.py path/to/biwi_head_pose --epochs 5 --out points-model

The notebook ``points.ipynb`` goes the same way slowly.
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


def head_centre(image: Path) -> list[float]:
    """(x, y) of the head's centre in pixels: the pose file's index in space, projected by the camera."""
    centre = np.genfromtxt(image.with_name(image.name.replace("_rgb.jpg", "_pose.txt")), skip_header=3)
    camera = calibration(image.parent)
    x = centre[0] * camera[0][0] / centre[2] + camera[0][2]
    y = centre[1] * camera[1][1] / centre[2] + camera[1][2]
    return [x, y]


@cache
def calibration(folder: Path) -> np.ndarray:
    """The camera's matrix, (3, 3)."""
    return np.genfromtxt(folder / "rgb.cal", skip_footer=6)


def main() -> None:
    """Train, save, load again, and say how far off the answers are on the person that was held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="a folder for each person (default: the book's)")
    parser.add_argument("--out", type=Path, default=Path("points-model"))
    parser.add_argument("--person", default="13", help="who validates")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--height", type=int, default=96, help="pixels; the width is 4/3 of it")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    dls = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=head_centre,
        splitter=FuncSplitter(lambda image: image.parent.name == arguments.person),
        batch_tfms=aug_transforms(size=(arguments.height, arguments.height * 4 // 3)),
    ).dataloaders(arguments.folder or untar_data(URLs.BIWI_HEAD_POSE), bs=16, seed=arguments.seed)
    learn = vision_learner(
        dls, "tf_efficientnet_lite0", y_range=(-1, 1), train_bn=False, keep_statistics=True, seed=arguments.seed
    )
    learn.fine_tune(arguments.epochs, arguments.lr)
    learn.save_model(arguments.out)

    held_out = list(dls.valid_ds.items)
    answers = load_predictor(arguments.out).predict(held_out)
    errors = [
        np.linalg.norm(answer.answer.xy.numpy()[0] - head_centre(image))
        for answer, image in zip(answers, held_out, strict=True)
    ]
    here = learn.predict(held_out[0]).decoded.xy
    same = np.allclose(here.numpy(), answers[0].answer.xy.numpy(), atol=1e-3)
    always = np.mean([head_centre(image) for image in dls.train_ds.items], axis=0)
    without = np.mean([np.linalg.norm(always - head_centre(image)) for image in held_out])
    print(f"mean error {np.mean(errors):.1f} px on person {arguments.person} ({len(errors)} images of 640x480)")
    print(f"always the mean place of the others: {without:.1f} px")
    print(f"the saved model gives the same points: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
