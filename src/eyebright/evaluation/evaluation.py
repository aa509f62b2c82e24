"""`Evaluation`: a model's outputs for a set of images, from which metrics, thresholds and the report are computed.

An `Evaluation` needs neither the model nor the dataset that it was computed from. It is saved with the model as
``evaluation.parquet``, one row per image, so that all of these can be recomputed without the images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright.errors import DataError, count_text, listing
from eyebright.image.warp import Warp
from eyebright.io.file_hash import file_hash
from eyebright.tasks.decision import Decision


def no_columns() -> pd.DataFrame:
    """An empty table, for label files without other columns."""
    return pd.DataFrame()


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's outputs for a set of images, with their targets.

    Args:
        decision: converts outputs to probabilities or values, and decodes them.
        outputs: raw outputs, float32, before activation and calibration; points and numbers in the user's units. If one
            is NaN or infinite, computing predictions is an error, see `check_finite`.
        targets: the targets as the target block encodes them without a warp; NaN where unknown.
        files: the file of each image, relative to ``root`` if it is inside that folder.
        root: the folder of the images.
        sizes: (height, width) of each image, in pixels.
        indices: index of each image among the items of the dataset; empty after reading from a file.
        warps: the warp from each image to the input of the network; empty after reading from a file.
        columns: the other columns of the label file, one row per image.
        groups: the group of each image, such as a patient; images of one group are not independent. None: the image has
            no group. Empty: no image has one.
        part: what the images are for, see `eyebright.types.Part`.
        training: `TargetBlock.training_summary` of the training targets; empty if unknown.
        weights: a hash of the model and its weights; empty if unknown.
        hashes: `eyebright.io.file_hash.file_hash` of the file of each image when it was evaluated, empty for images in
            memory; or no hashes at all.

    Raises:
        DataError: there is no image, a field does not have one row per image, or the part is unknown.
    """

    decision: Decision
    outputs: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n ..."]
    files: tuple[str, ...]
    root: Path
    sizes: Int[Tensor, "n 2"]
    indices: tuple[int, ...] = ()
    warps: tuple[Warp, ...] = ()
    columns: pd.DataFrame = field(default_factory=no_columns)
    groups: tuple[str | None, ...] = ()
    part: EvaluatedPart = "valid"
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    weights: str = ""
    hashes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n_images = len(self.files)
        if not n_images:
            raise DataError("an evaluation needs at least one image, got none")
        if self.part not in get_args(EvaluatedPart):
            raise DataError(f"`part` of an evaluation is one of {get_args(EvaluatedPart)}, got {self.part!r}")
        lengths = {name: len(getattr(self, name)) for name in ("outputs", "targets", "sizes")}
        names = ("indices", "warps", "columns", "groups", "hashes")
        optional = {name: getattr(self, name) for name in names}
        lengths |= {name: len(part) for name, part in optional.items() if len(part)}
        wrong = [f"{name}: {length}" for name, length in lengths.items() if length != n_images]
        if wrong:
            raise DataError(
                f"each field of an evaluation of {count_text(n_images, 'image')} needs as many rows, got "
                f"{', '.join(wrong)}"
            )

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        text = f"Evaluation: {count_text(len(self), 'image')} ({self.part}); {self.decision.target.describe()}"
        return f"{text}; {self.not_finite}" if self.not_finite else text

    @cached_property
    def not_finite(self) -> str:
        """A sentence about images whose outputs are NaN or infinite; empty if there are none."""
        wrong = ~self.outputs.isfinite().all(dim=1)
        if not bool(wrong.any()):
            return ""
        example = self.files[int(wrong.int().argmax())]
        return f"the outputs of {int(wrong.sum()):,} of {len(self):,} images are NaN or infinite ('{example}')"

    def check_finite(self) -> None:
        """Raises `DataError` if an output is NaN or infinite: it gives no prediction, threshold or metric.

        Raises:
            DataError: the message states for how many images.
        """
        if self.not_finite:
            raise DataError(
                f"{self.not_finite}, so there are no predictions; train again with a lower learning rate or in float32"
            )

    @cached_property
    def activated(self) -> Float[Tensor, "n ..."]:
        """The outputs after activation and calibration: probabilities, points or numbers, in the user's units.

        Raises:
            DataError: an output is NaN or infinite.
        """
        self.check_finite()
        return self.decision.activate(self.outputs)

    @cached_property
    def decoded(self) -> list[Any]:
        """The predicted value of each image: labels, a label, points or numbers.

        Raises:
            DataError: an output is NaN or infinite.
        """
        return self.decision.decode_batch(self.activated)

    @cached_property
    def group_codes(self) -> Int[np.ndarray, " n"] | None:
        """An integer for each image, equal for images of one group; None if no image has a group."""
        codes, names = pd.factorize(np.array(self.groups, dtype=object), use_na_sentinel=True)
        ungrouped = codes < 0
        codes = np.where(ungrouped, len(names) + np.cumsum(ungrouped) - 1, codes)
        return None if len(np.unique(codes)) == len(codes) else codes

    @cached_property
    def paths(self) -> Sequence[Path]:
        """The path of each image."""
        return [self.root / file for file in self.files]

    def is_changed(self, row: int) -> bool:
        """Whether the file in this row has other content than when it was evaluated; False if it cannot be read."""
        if not self.hashes or not self.hashes[row]:
            return False
        return file_hash(str(self.paths[row])) not in ("", self.hashes[row])

    @cached_property
    def changed_message(self) -> str:
        """A sentence about images whose files have other content than when they were evaluated; empty without any."""
        changed = [file for row, file in enumerate(self.files) if self.is_changed(row)]
        if not changed:
            return ""
        return (
            f"{len(changed):,} of the {len(self):,} evaluated images were replaced by others or edited since "
            f"({listing(changed, limit=5)}): scores and predictions are those of the former images"
        )

    def take(self, rows: Sequence[int]) -> "Evaluation":
        """The evaluation of some of the images.

        Args:
            rows: the indices of these images, in the order of the result.

        Raises:
            DataError: there are no rows.
        """
        return replace(
            self,
            outputs=self.outputs[list(rows)],
            targets=self.targets[list(rows)],
            files=tuple(self.files[row] for row in rows),
            sizes=self.sizes[list(rows)],
            indices=tuple(self.indices[row] for row in rows) if self.indices else (),
            warps=tuple(self.warps[row] for row in rows) if self.warps else (),
            columns=self.columns.iloc[list(rows)].reset_index(drop=True) if len(self.columns) else self.columns,
            groups=tuple(self.groups[row] for row in rows) if self.groups else (),
            hashes=tuple(self.hashes[row] for row in rows) if self.hashes else (),
        )

    def with_decision(self, decision: Decision) -> "Evaluation":
        """The same evaluation with another decision."""
        return replace(self, decision=decision)
