"""Writes heat maps over their images, as PNG files in a folder."""

import re
from pathlib import Path

from eyebright.errors import ArtifactError, os_reason
from eyebright.image.image import Image
from eyebright.inference.heat_maps import check_heat_maps
from eyebright.inference.predictions import Prediction
from eyebright.inference.predictor import Predictor
from eyebright.io.atomic import make_folder, write_atomically

MAX_SIDE = 1200
"""The maximum of the longer side of a written image, in pixels; smaller images keep their size."""

_UNSAFE = re.compile(r"[^\w.-]+")
_MAX_NAME_LENGTH = 100  # characters of a file's name or a label in the name of its heat map


class HeatMapWriter:
    """Writes a heat map of each predicted label: ``IMAGE--LABEL.png``, numbered where two would have the same name.

    Args:
        predictor: a saved model.
        folder: the folder of the files; it is created if it does not exist.

    Raises:
        InputError: the model predicts points.
        ArtifactError: the folder cannot be created.
    """

    def __init__(self, predictor: Predictor, folder: Path) -> None:
        check_heat_maps(predictor.target, ())
        try:
            make_folder(folder)
        except OSError as error:
            raise ArtifactError(f"cannot create the folder of heat maps '{folder}': {os_reason(error)}") from error
        self._predictor = predictor
        self._folder = folder
        self._names = set[str]()
        self.count = 0

    def write(self, prediction: Prediction) -> None:
        """Writes the heat maps of the predicted labels of an image, or of each number.

        Args:
            prediction: the prediction for an image file.

        Raises:
            ArtifactError: a file cannot be written.
            ImageError: the image can no longer be read.
            InputError: the backbone has no spatial feature map.
        """
        target = self._predictor.target
        labels = target.labels(prediction.decoded) if target.label_names else target.value_names
        if not labels:
            return
        below = Image.create(prediction.path).to_thumb(MAX_SIDE)
        for heat_map in self._predictor.heat_maps(prediction.path, labels):
            path = self._folder / self._name(Path(prediction.path).stem, heat_map.label)
            drawn = heat_map.drawn_on(below)
            try:
                write_atomically(path, lambda file, drawn=drawn: drawn.save(file, format="PNG"))
            except OSError as error:
                raise ArtifactError(f"cannot write the heat map '{path}': {os_reason(error)}") from error
            self.count += 1

    def _name(self, stem: str, label: str) -> str:
        """A file name that no other heat map has."""
        parts = [_UNSAFE.sub("_", part)[:_MAX_NAME_LENGTH] or "_" for part in (stem, label)]
        name, number = "--".join(parts), 1
        while (found := f"{name}.png" if number == 1 else f"{name}-{number}.png").casefold() in self._names:
            number += 1
        self._names.add(found.casefold())
        return found
