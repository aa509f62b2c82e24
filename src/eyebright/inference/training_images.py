"""``training_images.json``: the paths of some training images of a saved model, for calibrating the ranges of INT8.

The file contains names of files, so `push_to_hub` leaves it out, and a prediction does not need it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError
from eyebright.inference.folder_format import TRAINING_IMAGES
from eyebright.inference.inspect_folder import parse_json
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest, read_with_hash
from eyebright.inference.save_folder import relative_folder
from eyebright.io.files import common_folder, relative_name
from eyebright.io.text import valid_unicode

MAX_TRAINING_IMAGES = 200
"""The maximum number of images in the file."""


def evenly_spread(indices: Sequence[int], most: int = MAX_TRAINING_IMAGES) -> list[int]:
    """At most this number of the indices, evenly spread.

    >>> evenly_spread(range(10), 4)
    [0, 2, 5, 7]

    Args:
        indices: the indices of all training images.
        most: the maximum number.
    """
    step = max(len(indices) / most, 1)
    return [indices[int(i * step)] for i in range(min(len(indices), most))]


@dataclass(frozen=True)
class TrainingImages:
    """Some training images.

    Args:
        root: the common folder of the images.
        files: the paths relative to this folder.
    """

    root: Path
    files: tuple[str, ...]

    @staticmethod
    def of(paths: Sequence[str | None]) -> "TrainingImages | None":
        """The training images that are files; None if there are none.

        Args:
            paths: the paths of training images; None for an image in memory.
        """
        existing = [path for path in paths if path is not None]
        root = common_folder(existing)
        return TrainingImages(root, tuple(relative_name(path, root) for path in existing)) if existing else None

    @property
    def paths(self) -> list[Path]:
        """The path of each image."""
        return [self.root / file for file in self.files]

    def to_bytes(self, folder: Path) -> bytes:
        """The content of the file.

        Args:
            folder: the model folder, to which the folder of the images is relative.
        """
        content = {"root": relative_folder(self.root, folder).as_posix(), "files": list(self.files)}
        return (valid_unicode(json.dumps(content, indent=1, ensure_ascii=False)) + "\n").encode()

    @staticmethod
    def from_bytes(data: bytes, folder: Path) -> "TrainingImages":
        """The images from the content of the file.

        Raises:
            ValueError: the content does not have the expected form; the message is part of a sentence.
        """
        content: Any = parse_json(data.decode("utf-8"))
        root = content.get("root") if isinstance(content, dict) else None
        files = content.get("files") if isinstance(content, dict) else None
        if not isinstance(root, str) or not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise ValueError("it has no folder of images, or no list of files")
        return TrainingImages(Path(os.path.normpath(folder.resolve() / root)), tuple(files))


def load_training_images(folder: str | Path, manifest: Manifest | None = None) -> TrainingImages | None:
    """The saved paths of some training images; None if they were not saved, or the file was not copied.

    Args:
        folder: the model folder.
        manifest: its manifest; None: it is read.

    Raises:
        ArtifactError: the folder contains no model, or the file is damaged or belongs to another model.
    """
    folder = Path(folder)
    path = folder / TRAINING_IMAGES
    manifest = load_manifest(folder) if manifest is None else manifest
    if manifest.training_images_hash is None:
        return None
    content = read_with_hash(path, manifest.training_images_hash)
    try:
        return None if content is None else TrainingImages.from_bytes(content, folder)
    except ValueError as error:
        raise ArtifactError(f"'{path}' is damaged: {error}") from None
