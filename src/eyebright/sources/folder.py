"""`folder_source`: reads a folder of images as a `Source`: a subfolder per class, or a ``.pts`` file per image."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from eyebright.errors import InputError, count_text, listing
from eyebright.io.files import FolderContent, folder_content
from eyebright.sources.categorical import Categorical
from eyebright.sources.duplicates import first_row_of_each_image
from eyebright.sources.folder_parts import FolderParts, parts_of_folders
from eyebright.sources.parts import part_of
from eyebright.sources.pts_files import images_with_pts, is_pts, pts_messages, pts_without_image, read_pts_files
from eyebright.sources.source import Source
from eyebright.sources.spelling import one_spelling
from eyebright.sources.task_types import Kind, block_name, kind_error
from eyebright.sources.text_table import strings
from eyebright.tasks.task_type import TaskType

_STORAGE = frozenset(
    [
        "image",
        "images",
        "img",
        "imgs",
        "data",
        "dataset",
        "photo",
        "photos",
        "picture",
        "pictures",
        "jpegimages",
        "jpg",
        "jpeg",
        "png",
        "label",
        "labels",
        "mask",
        "masks",
        "annotation",
        "annotations",
        "segmentation",
        "segmentations",
        "gt",
        "groundtruth",
    ]
)
"""Names of folders that hold files of one sort, not of one class."""

_UNLABELED = frozenset(["unlabeled", "unlabelled", "unannotated", "nolabel", "nolabels", "withoutlabel"])
"""Names of folders with images that have no label yet, without spaces and underscores."""

_LABEL_FILES = (".json", ".txt", ".xml", ".csv", ".tsv", ".yaml", ".yml")


def folder_source(path: str | Path, kind: Kind | None = None, *, content: FolderContent | None = None) -> Source:
    """The images of a folder; ``train/``, ``valid/`` and ``test/`` directly inside it are the split.

    The class of an image is the name of the folder directly below the root, or below the folder of the split; folders
    inside of a class are not classes.

    Args:
        path: the folder.
        kind: what the targets are and the target block for them; None: points if an image has a ``.pts`` file beside
            it, else classes.
        content: the images and other files of the folder, if they are listed already.

    Raises:
        InputError: there is no image, an image is not in a class folder, the folders are ambiguous, or the
            targets of the folder are of another kind.
        TableError: a ``.pts`` file is invalid, or belongs to two images.
    """
    root = Path(path)
    content = content or folder_content(root)
    with_points = images_with_pts(content.images)
    task_type: TaskType = "points" if with_points else "classes"
    if kind is not None and kind.task_type != task_type:
        holds = "a .pts file for each image" if with_points else "a folder for each class"
        raise kind_error(f"'{root}' holds {holds}", [task_type], kind, further=", or give a table of labels (CSV)")
    name = block_name(task_type) if kind is None else kind.block
    return _with_points(root, name, content, with_points) if with_points else _with_classes(root, name, content)


def are_class_folders(names: Iterable[str]) -> bool:
    """Whether folders of these names are read as classes, not as storage or as folders of images without a label."""
    plain = [_plain(name) for name in names]
    return not (_UNLABELED.intersection(plain) or _STORAGE.issuperset(plain))


def storage_folder(root: Path, files: Sequence[Path]) -> Path:
    """The folder of all images: the root, or the only folder in it if that is named ``images`` or similar.

    Args:
        root: the folder.
        files: the images in it, at any depth.
    """
    inner = [file.relative_to(root).parts for file in files]
    tops = {parts[0] for parts in inner}
    if len(tops) > 1 or not all(len(parts) > 1 and _plain(parts[0]) in _STORAGE for parts in inner):
        return root
    return storage_folder(root / tops.pop(), files)


def _with_points(root: Path, kind: str, content: FolderContent, files: Sequence[Path]) -> Source:
    folder_parts = parts_of_folders(root, files)
    others = [file for file in content.others if not is_pts(file)]
    orphans = [file.relative_to(root) for file in pts_without_image(content.others, content.images)]
    points = read_pts_files(folder_parts.files)
    messages = [*pts_messages(folder_parts.files, len(content.images) - len(files), orphans), *folder_parts.messages]
    if unknown := int(np.isnan(points[..., 0]).sum()):
        messages.append(f"points that are unknown: {unknown} of {points[..., 0].size}")
    source = Source(
        kind=kind,
        root=root,
        files=_relative(root, folder_parts.files),
        targets=points,
        part=folder_parts.part,
        messages=(*messages, *content._replace(others=others).messages),
    )
    return _without_duplicates(source)


def _with_classes(root: Path, kind: str, content: FolderContent) -> Source:
    base = _base(root, content.images)
    folder_parts = parts_of_folders(base, content.images)
    for file, inner in zip(folder_parts.files, folder_parts.inner, strict=True):
        if len(inner) < 2:
            raise _no_classes(f"'{file}' is not in a class folder", content)
    classes = sorted({inner[0] for inner in folder_parts.inner})
    if all(_plain(name) in _STORAGE for name in classes):
        raise _no_classes(f"the folders {listing(classes)} of '{base}' are not named after classes", content)
    targets = Categorical[str].of(inner[0] for inner in folder_parts.inner)
    unlabeled = [name for name in classes if _plain(name) in _UNLABELED]
    classes = [name for name in classes if name not in unlabeled]
    if not classes:
        raise _no_classes(f"every image of '{base}' is in a folder for images without a label", content)
    messages = [_summary(len(targets) - int(targets.isin(unlabeled).sum()), classes), *folder_parts.messages]
    source = Source(
        kind=kind, root=root, files=_relative(root, folder_parts.files), targets=targets, part=folder_parts.part
    )
    if unlabeled:
        out = targets.isin(unlabeled)
        messages.append(f"images without a label (in {listing(unlabeled)}), which are ignored: {int(out.sum())}")
        source = source.take(np.flatnonzero(~out))
    messages += [
        *_inner_folders(folder_parts, base),
        *content.messages,
        *_folders_without_images(base, content, classes),
    ]
    return _without_duplicates(one_spelling(source.with_messages(*messages)))


def _without_duplicates(source: Source) -> Source:
    """The source with each file once, which links may lead to in several places.

    Raises:
        InputError: the places have different targets or parts.
    """
    first = first_row_of_each_image(source)
    more = len(source) - len(first)
    if not more:
        return source
    return source.take(first).with_messages(f"links to images that are read already, which are ignored: {more}")


def _base(root: Path, files: Sequence[Path]) -> Path:
    """The folder with the class folders: the root, or the only folder in it if that is named ``images`` or similar.

    Raises:
        InputError: all images are below one folder of another name that holds several.
    """
    inner = [file.relative_to(root).parts for file in files]
    tops = {parts[0] for parts in inner}
    below = {parts[1] for parts in inner if len(parts) > 2}
    if len(tops) > 1 or not all(len(parts) > 2 for parts in inner):
        return root
    top = root / tops.pop()
    if _plain(top.name) in _STORAGE or part_of(top.name) == "train" or top.name == root.name:
        return _base(top, files)
    if len(below) > 1:
        raise InputError(
            f"all images of '{root}' are in its one folder '{top.name}'; if the classes are the folders in that "
            f"({listing(sorted(below)[:5])}), give '{top}'"
        )
    return root


def _inner_folders(folder_parts: FolderParts, base: Path) -> list[str]:
    inner = sorted({inner[1] for inner in folder_parts.inner if len(inner) > 2})
    if not inner:
        return []
    where = f"'{base.name}'{' or its parts' if folder_parts.part is not None else ''}"
    names = f"{listing(inner[:5])}{f' and {len(inner) - 5} more' if len(inner) > 5 else ''}"
    return [f"the class is the folder below {where}; folders inside of a class, which are not used: {names}"]


def _folders_without_images(base: Path, content: FolderContent, classes: Sequence[str]) -> list[str]:
    """The folders where a class would be, which hold other files and no image."""
    have = {folder for file in content.images for folder in file.relative_to(base).parts[:-1]} | set(classes)
    missing = {
        next(folder for folder in folders if folder not in have)
        for file in content.others
        if file.is_relative_to(base) and (folders := file.relative_to(base).parts[:-1]) and not have.issuperset(folders)
    }
    return (
        [f"folders without an image that can be read, which are not classes: {listing(sorted(missing))}"]
        if missing
        else []
    )


def _no_classes(problem: str, content: FolderContent) -> InputError:
    """An error that names the label files in the folder."""
    counts = Counter(file.suffix.lower() for file in content.others if file.suffix.lower() in _LABEL_FILES)
    files = [file.name for file in content.others if file.suffix.lower() in _LABEL_FILES][:1]
    kinds = ", ".join(f"{count} {extension}" for extension, count in counts.most_common())
    hint = (
        f"; there are label files ({kinds}, such as '{files[0]}'), none of which was recognised; `format` names "
        "theirs, and is needed for more than 20 in one folder"
        if files
        else ""
    )
    return InputError(
        f"{problem}; put every image into a folder named after its class, or give a table; where the names of the "
        f"images carry their class, as in 'pug_12.jpg', `pattern` finds it{hint}"
    )


def _relative(root: Path, files: Sequence[Path]) -> np.ndarray:  # of strings
    names = [file.relative_to(root).as_posix() for file in files]
    try:
        return strings(names)
    except UnicodeEncodeError:  # a name that is not UTF-8, which numpy's strings cannot hold
        return np.array(names, dtype=object)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name.lower())


def _summary(count: int, classes: Sequence[str]) -> str:
    images, folders = count_text(count, "image"), count_text(len(classes), "folder")
    return f"{images} in {folders}, one for each class: {listing(classes)}"
