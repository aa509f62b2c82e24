"""The part of each image in a folder with the subfolders ``train/``, ``valid/`` and ``test/``."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import PART_NAMES, part_messages
from eyebright.types import Part

_OTHER_PARTS: tuple[Part, ...] = ("valid", "test")  # folders are a split if ``train`` and one of these are there


def parts_of_folders(root: Path, files: Sequence[Path]) -> tuple[list[Path], Categorical[Part] | None, list[str]]:
    """The split that the folders directly inside a folder give: ``train/`` and at least one of ``valid/``, ``test/``.

    Args:
        root: the folder.
        files: the images in it, at any depth.

    Returns:
        (files, part of each file, messages). Files outside of the folders of the split are left out. The part is None
        where there are no such folders; then no file is left out.
    """
    tops = [file.relative_to(root).parts[0].lower() for file in files]
    named = {PART_NAMES[top] for top in set(tops) if top in PART_NAMES}
    if "train" not in named or not named & set(_OTHER_PARTS):
        return list(files), None, []
    used = [(file, PART_NAMES[top]) for file, top in zip(files, tops, strict=True) if top in PART_NAMES]
    part: Categorical[Part] = Categorical.of(part for _, part in used)
    messages = part_messages(part)
    if left_out := len(files) - len(used):
        messages.append(f"images outside of the folders for training and validation, which are left out: {left_out}")
    return [file for file, _ in used], part, messages
