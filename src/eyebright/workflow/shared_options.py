"""What several commands share: headings of the help, options, and conversions of values.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from typing import Any

from eyebright.errors import InputError
from eyebright.workflow.option import Option

DATA = "Data"
IMAGES = "Images"
TRAINING = "Training"
MACHINE = "Machine"
GROUPS = (DATA, IMAGES, TRAINING, MACHINE)
"""The headings of the help, in order; options without a heading come first."""
MAX_SEED = 2**63 - 1  # the maximum of numpy and torch
_MIN_SIDE = 32  # pixels; the backbones divide their input by 32
MODEL = Option("The model folder.", positional=True)
SOURCE = Option("A file with labels, or a folder of images.", positional=True)
FACTS_CACHE = Option("Cache folder for the facts of each image; training can share it.", unset="none")
BATCH = Option("Images in a batch.")
DEVICE = Option(
    "Device to compute on: cpu, cuda, cuda:1, ...", MACHINE, unset="a CUDA GPU if there is one, otherwise cpu"
)


def image_size(value: Any) -> int | tuple[int, int]:
    """The image size, one side of a square or (height, width), from a string, a number or a pair.

    Args:
        value: ``"224"``, ``"192x256"`` (height x width), 224 or (192, 256).

    Raises:
        InputError: the value is none of these, or a side is shorter than 32 pixels.
    """
    sides: list[Any] = [value]
    if isinstance(value, str):
        sides = [int(part) if part.isdecimal() else part for part in value.lower().split("x")]
    elif isinstance(value, (list, tuple)):
        sides = list(value)
    if len(sides) not in (1, 2) or not all(type(side) is int and side >= _MIN_SIDE for side in sides):
        raise InputError(
            f"must be 224 or HEIGHTxWIDTH such as 192x256, at least {_MIN_SIDE} pixels each way, got {value!r}"
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def point_pair(value: Any) -> tuple[str, str]:
    """Two names of points, from a string or a pair.

    Args:
        value: ``"left_eye,right_eye"`` or ("left_eye", "right_eye").

    Raises:
        InputError: the value is neither.
    """
    names: list[Any] = value.split(",") if isinstance(value, str) else list(value)
    if len(names) != 2 or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"must be the names of two points such as left_eye,right_eye, got {value!r}")
    return names[0].strip(), names[1].strip()
