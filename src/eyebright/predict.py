"""Files in, decoded answers in the user's own pixels out, with neither the data nor the training code.

A predictor sees a picture exactly as a validation picture was seen, decides with the thresholds that were saved, and
keeps going past pictures that it cannot read: it lists them.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.artifact import Manifest, load_model
from eyebright.blocks.base import TargetBlock
from eyebright.errors import ArtifactError, PictureError
from eyebright.geometry import Warp
from eyebright.io.images import Picture
from eyebright.models.build import PictureModel, build_model
from eyebright.transforms.draw import draw_all, output_size
from eyebright.types import Points, Thresholds, Vocab


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Args:
        path: of the picture, or what was given instead.
        answer: what a person would write: a label, a set of labels, points in the picture's own pixels, numbers.
        scores: the activated outputs: a probability for each class, or values.
    """

    path: str
    answer: Any
    scores: Float[Tensor, "..."]


class Predictions(Sequence[Prediction]):
    """The answers for many pictures, in the order in which the pictures were given.

    Args:
        found: one for each picture that could be read.
        skipped: path to reason, for each that could not.
        target: the target block that worded them.
    """

    def __init__(self, found: list[Prediction], skipped: dict[str, str], target: TargetBlock) -> None:
        self._found = found
        self.skipped = skipped
        self.target = target

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, i: Any) -> Any:
        return self._found[i]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._found)

    def __repr__(self) -> str:
        lines = [f"{one.path}: {self.target.words(one.answer) or '(no label)'}" for one in self._found[:20]]
        more = [f"... ({len(self)} in all)"] if len(self) > 20 else []
        return "\n".join([*lines, *more, *(f"{path}: skipped, {reason}" for path, reason in self.skipped.items())])

    def to_frame(self) -> pd.DataFrame:
        """One row a picture: path, labels, and a probability column for each label; for points x1, y1, x2, ..."""
        rows = [{"path": one.path, **self._columns(one)} for one in self._found]
        return pd.DataFrame(rows, columns=["path", *self._names()])

    def _names(self) -> list[str]:
        classes = self.target.classes
        if classes is not None:
            return ["labels", *(_free(name) for name in classes)]
        if self._found and isinstance(self._found[0].answer, Points):
            return [f"{axis}{i + 1}" for i in range(len(self._found[0].answer)) for axis in "xy"]
        return [f"value{i + 1}" for i in range(self.target.width)]

    def _columns(self, one: Prediction) -> dict[str, Any]:
        if self.target.classes is not None:
            return dict(zip(self._names(), [self.target.words(one.answer), *one.scores.tolist()], strict=True))
        values = one.answer.xy.reshape(-1).tolist() if isinstance(one.answer, Points) else list(one.answer)
        return dict(zip(self._names(), values, strict=True))


class _Look(NamedTuple):
    name: str
    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    view: Warp


class Predictor:
    """A model that was saved, ready to answer.

    Args:
        manifest: what the model is.
        model: it, with its weights.
        device: where it runs.
    """

    def __init__(self, manifest: Manifest, model: PictureModel, *, device: str | torch.device | None = None) -> None:
        self.manifest = manifest
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @property
    def target(self) -> TargetBlock:
        """What the model answers."""
        return self.manifest.target

    @property
    def vocab(self) -> Vocab | None:
        """The names of the classes, where there are some."""
        return self.target.classes

    @property
    def thresholds(self) -> Thresholds:
        """From probabilities to decisions."""
        return self.manifest.thresholds

    def predict(self, sources: Any, *, bs: int = 32, workers: int = 2) -> Predictions:
        """The answers for pictures.

        Args:
            sources: one picture or several, each a path, bytes, an array, a tensor or a Pillow image.
            bs: pictures in a batch.
            workers: threads that read.
        """
        several = list(sources) if isinstance(sources, (list, tuple)) else [sources]
        found: list[Prediction] = []
        skipped: dict[str, str] = {}
        # Pictures share a batch only where they come out at one size.
        step = bs if output_size(self.manifest.view) is not None else 1
        with ThreadPoolExecutor(workers) as pool:
            groups = [several[i : i + step] for i in range(0, len(several), step)]
            ahead = [pool.submit(self._look_all, group) for group in groups[:2]]
            for i in range(len(groups)):
                looks, failed = ahead[i].result()
                if i + 2 < len(groups):
                    ahead.append(pool.submit(self._look_all, groups[i + 2]))
                skipped.update(failed)
                found += self._answers(looks) if looks else []
        return Predictions(found, skipped, self.target)

    def _look_all(self, group: list[Any]) -> tuple[list[_Look], dict[str, str]]:
        looks: list[_Look] = []
        failed: dict[str, str] = {}
        for source in group:
            try:
                looks.append(self._look(source))
            except PictureError as error:
                failed[error.path] = error.reason
        return looks, failed

    def _look(self, source: Any) -> _Look:
        picture = Picture.create(source)
        draw = draw_all(self.manifest.view, picture.shape, None)
        pixels = picture.through(
            draw.warp, pad=draw.pad or "reflection", interpolation=draw.interpolation or "bilinear"
        )
        return _Look(str(source) if isinstance(source, (str, Path)) else picture.path or "picture", pixels, draw.warp)

    def _answers(self, looks: list[_Look]) -> list[Prediction]:
        x = torch.from_numpy(np.stack([look.pixels for look in looks])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            scores = self.target.activate(self.model(x.to(self.device).float().div_(255)).float()).cpu()
        return [
            Prediction(look.name, self.target.decode(row, thresholds=self.thresholds, view=look.view), row)
            for look, row in zip(looks, scores, strict=True)
        ]


def load_predictor(folder: str | Path, *, device: str | torch.device | None = None) -> Predictor:
    """The predictor of a model folder; nothing in the folder is run.

    Raises:
        ArtifactError: there is no whole model of a schema that this version reads.
    """
    manifest, state = load_model(folder)
    model = build_model(manifest.model, pretrained=False)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(
            f"the weights in '{folder}' do not fit its manifest: {str(error).splitlines()[-1].strip()}"
        ) from None
    return Predictor(manifest, model, device=device)


def _free(name: str) -> str:
    """A column name for a class that does not hide the columns that are always there."""
    return f"probability_{name}" if name in ("path", "labels") else name
