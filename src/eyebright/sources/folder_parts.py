"""The split that folders directly inside a folder of images give: ``train/``, ``valid/`` and ``test/``."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.sources.coded import Coded
from eyebright.sources.parts import PART_NAMES, Part, part_messages

_OTHER_PARTS: tuple[Part, ...] = ("valid", "test")  # beside ``train``, one of these makes a split of the folders


def parts_of_folders(root: Path, files: Sequence[Path]) -> tuple[list[Path], Coded[Part] | None, list[str]]:
    """(the images that count, the part of each, messages); the part is None where the folders give no split.

    Images beside the folders of a split are left out.

    Args:
        root: the folder.
        files: of the images in it.
    """
    tops = [file.relative_to(root).parts[0].lower() for file in files]
    named = {PART_NAMES[top] for top in set(tops) if top in PART_NAMES}
    if "train" not in named or not named & set(_OTHER_PARTS):
        return list(files), None, []
    used = [(file, PART_NAMES[top]) for file, top in zip(files, tops, strict=True) if top in PART_NAMES]
    part: Coded[Part] = Coded.of(part for _, part in used)
    messages = part_messages(part, "the folders give")
    if left_out := len(files) - len(used):
        messages.append(f"images outside of the folders for training and validation, which are left out: {left_out}")
    return [file for file, _ in used], part, messages
