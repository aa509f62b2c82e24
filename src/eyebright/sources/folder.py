"""From a folder of images to a `Source`: a folder for each class, perhaps below ``train/`` and ``valid/``."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.io.files import get_image_files
from eyebright.sources.coded import Coded
from eyebright.sources.source import Source, strings

TRAIN_FOLDERS = ("train", "training")
VALID_FOLDERS = ("valid", "val", "validation")


def folder_source(path: str | Path) -> Source:
    """The images of a folder for each class; ``train/`` and ``valid/`` above them are the split.

    Raises:
        InputError: there is no image, or images lie outside of any class folder.
    """
    root = Path(path)
    files = get_image_files(root)
    _refuse_images_without_class([file for file in files if file.parent == root])
    tops = {_top(file, root) for file in files}
    if not tops & set(VALID_FOLDERS) or not tops & set(TRAIN_FOLDERS):
        return _of_classes(root, files, None, [_summary(files)])
    used = [file for file in files if _top(file, root) in TRAIN_FOLDERS + VALID_FOLDERS]
    _refuse_images_without_class([file for file in used if file.parent.parent == root])
    parts = ["valid" if _top(file, root) in VALID_FOLDERS else "train" for file in used]
    messages = [_summary(used), "the folders say which images validate"]
    if left_out := len(files) - len(used):
        messages.append(f"images outside of the folders for training and validation, which are left out: {left_out}")
    return _of_classes(root, used, parts, messages)


def _of_classes(root: Path, files: Sequence[Path], parts: list[str] | None, messages: Sequence[str]) -> Source:
    return Source(
        kind="category",
        root=root,
        files=strings([file.relative_to(root).as_posix() for file in files]),
        targets=Coded.of(file.parent.name for file in files),
        part=None if parts is None else Coded.of(parts),
        messages=tuple(messages),
    )


def _refuse_images_without_class(files: Sequence[Path]) -> None:
    if files:
        raise InputError(
            f"'{files[0]}' lies in no class folder; "
            "put every image into a folder named after its class, or give a table"
        )


def _top(file: Path, root: Path) -> str:
    return file.relative_to(root).parts[0].lower()


def _summary(files: Sequence[Path]) -> str:
    classes = sorted({file.parent.name for file in files})
    folders = "1 folder" if len(classes) == 1 else f"{len(classes)} folders"
    return f"{len(files)} images in {folders}, one for each class: {listing(classes)}"
