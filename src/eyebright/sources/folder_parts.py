"""The part of each image in a folder with subfolders such as ``train/``, ``valid/`` and ``test/``."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyebright._choices import Part
from eyebright.errors import InputError, listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import part_messages, part_of


class FolderParts(NamedTuple):
    """The images of a folder, with the parts of the folders of the split.

    Args:
        files: those that are used.
        inner: their folders and names below the root without the folder of the split, ``cat/1.jpg``.
        part: the part of each image; None if no folders define parts.
        messages: sentences for the user.
    """

    files: list[Path]
    inner: list[tuple[str, ...]]
    part: Categorical[Part] | None
    messages: list[str]


def parts_of_folders(root: Path, files: Sequence[Path]) -> FolderParts:
    """The split that folders give: directly inside the root (``train/cat``), or inside the class (``cat/train``).

    A split needs a folder for training and another part; files outside of these folders are ignored and counted. If
    class folders exist next to ``valid/`` or ``test/`` with the same classes, their images are for training.

    Args:
        root: the folder.
        files: the images in it, at any depth.

    Raises:
        InputError: a folder with the name of a part can be a part or a class.
    """
    inner = [file.relative_to(root).parts for file in files]
    tops: dict[str, Part | None] = {parts[0]: part_of(parts[0]) for parts in inner if len(parts) > 1}
    named = {part for part in tops.values() if part}
    if "train" in named and len(named) > 1:
        return _by_top(files, inner, tops)
    if named and _is_split_without_train(root, inner, tops):
        values: list[Part] = [tops[parts[0]] or "train" for parts in inner]
        part = Categorical.of(values)
        inner = [parts[1:] if tops[parts[0]] else parts for parts in inner]
        return FolderParts(list(files), inner, part, part_messages(part))
    if not named and (part_inside_classes := _inside_classes(root, inner)) is not None:
        inner = [(parts[0], *parts[2:]) for parts in inner]
        return FolderParts(list(files), inner, part_inside_classes, part_messages(part_inside_classes))
    return FolderParts(list(files), inner, None, [])


def _by_top(files: Sequence[Path], inner: Sequence[tuple[str, ...]], tops: dict[str, Part | None]) -> FolderParts:
    used = [(file, parts) for file, parts in zip(files, inner, strict=True) if tops.get(parts[0])]
    part: Categorical[Part] = Categorical.of(tops[parts[0]] or "train" for _, parts in used)
    messages = part_messages(part)
    if n_ignored := len(files) - len(used):
        outside = sorted({parts[0] for parts in inner if not tops.get(parts[0])})
        messages.append(
            f"images outside of the folders for training and validation, which are ignored: {n_ignored} "
            f"({listing(outside[:5])})"
        )
    return FolderParts([file for file, _ in used], [parts[1:] for _, parts in used], part, messages)


def _is_split_without_train(root: Path, inner: Sequence[tuple[str, ...]], tops: dict[str, Part | None]) -> bool:
    """True if class folders are next to ``valid/`` or ``test/`` with the same classes; False for a class ``train``."""
    classes = {top for top, part in tops.items() if part is None}
    for top, part in tops.items():
        below = {parts[1] if len(parts) > 2 else "" for parts in inner if parts[0] == top}
        if part is None or (part == "train" and below == {""} and classes):
            continue
        if not classes:
            raise InputError(
                f"'{root}' contains a folder '{top}' and no other part; to use its images, give '{root / top}'"
            )
        if part == "train" or not below <= classes:
            raise InputError(
                f"'{root}' holds a folder '{top}', which has the name of a part of the data, beside "
                f"{listing(sorted(classes))}; put the images for training into 'train', or give '{top}' another name "
                "if it is a class"
            )
    return bool(classes) and any(part not in (None, "train") for part in tops.values())


def _inside_classes(root: Path, inner: Sequence[tuple[str, ...]]) -> Categorical[Part] | None:
    """The parts of images in ``cat/train`` and ``cat/test``; None if no folder inside a class is named after a part.

    Raises:
        InputError: only some images are in such folders.
    """
    parts: list[Part | None] = [part_of(path[1]) if len(path) > 2 else None for path in inner]
    if "train" not in parts or not {"valid", "test", "promise"} & set(parts):
        return None
    if None in parts:
        example = root.joinpath(*inner[parts.index(None)])
        raise InputError(
            f"'{root}' contains folders for parts of the data inside its classes, but '{example}' is in none of them"
        )
    named: list[Part] = [part or "train" for part in parts]
    return Categorical.of(named)
