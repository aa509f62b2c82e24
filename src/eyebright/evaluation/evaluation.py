"""`Evaluation`: a model's outputs for a set of images, from which metrics, thresholds and the report are computed.

An `Evaluation` needs neither the model nor the dataset that it was computed from. It is saved with the model as
``evaluation.parquet``, one row per image, so that all of these can be computed again without the images.
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import ArtifactError, DataError
from eyebright.image.warp import Warp
from eyebright.io.text import valid_unicode
from eyebright.tasks.base import TargetBlock, is_missing
from eyebright.tasks.decision import Decision
from eyebright.types import EvaluatedPart

_METADATA = b"eyebright"


def _no_columns() -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's outputs for a set of images, with their targets.

    Args:
        decision: converts outputs to probabilities or values, and decodes them.
        outputs: raw outputs, float32, before activation and calibration; points and numbers in the user's units. If
            one is NaN or infinite, whatever makes predictions of them is an error, see `check_finite`.
        targets: the targets as the target block encodes them without a warp; NaN where unknown.
        files: the file of each image, relative to ``root`` if it is inside.
        root: the folder of the images.
        sizes: (height, width) of each image, in pixels.
        indices: index of each image among the items of the dataset; empty after reading from a file.
        warps: the warp from each image to the input of the network; empty after reading from a file.
        columns: the other columns of the label file, one row per image.
        part: what the images are for, see `eyebright.types.Part`.
        training: `TargetBlock.training_summary` of the training targets; empty if unknown.
        weights: a hash of the model and its weights; empty if unknown.

    Raises:
        DataError: there is no image, a field does not have one row per image, or there is no such part.
    """

    decision: Decision
    outputs: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n ..."]
    files: tuple[str, ...]
    root: Path
    sizes: Int[Tensor, "n 2"]
    indices: tuple[int, ...] = ()
    warps: tuple[Warp, ...] = ()
    columns: pd.DataFrame = field(default_factory=_no_columns)
    part: EvaluatedPart = "valid"
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    weights: str = ""

    def __post_init__(self) -> None:
        n_images = len(self.files)
        if not n_images:
            raise DataError("an evaluation needs an image, and there is none")
        if self.part not in get_args(EvaluatedPart):
            raise DataError(f"`part` of an evaluation is one of {get_args(EvaluatedPart)}, got {self.part!r}")
        lengths = {name: len(getattr(self, name)) for name in ("outputs", "targets", "sizes")}
        optional = {"indices": self.indices, "warps": self.warps, "columns": self.columns}
        lengths |= {name: len(part) for name, part in optional.items() if len(part)}
        wrong = [f"{name}: {length}" for name, length in lengths.items() if length != n_images]
        if wrong:
            raise DataError(
                f"an evaluation of {n_images} images needs as many rows of each part, got {', '.join(wrong)}"
            )

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        text = f"Evaluation: {len(self)} images ({self.part}); {self.decision.target.describe()}"
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
        """Raises `DataError` if an output is NaN or infinite: no prediction, threshold or metric can be made of it.

        Raises:
            DataError: the message says for how many images.
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

    @property
    def paths(self) -> list[Path]:
        """The path of each image."""
        return [self.root / file for file in self.files]

    def take(self, rows: Sequence[int]) -> "Evaluation":
        """The evaluation of some of the images.

        Args:
            rows: their indices, in the order that they should have.

        Raises:
            DataError: there are none.
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
        )

    def with_decision(self, decision: Decision) -> "Evaluation":
        """The same outputs with another decision."""
        return replace(self, decision=decision)

    def to_parquet(self, metadata: Mapping[str, str]) -> bytes:
        """The bytes of ``evaluation.parquet``.

        Its columns are ``file``, ``set``, ``height``, ``width``, ``output:NAME`` (float32), ``target:NAME`` (null where
        unknown) and ``column:NAME``. Characters that are not valid Unicode (in file names of another encoding) become
        escapes; the metadata has those file names as they are.

        Args:
            metadata: the model's id and the hash of its weights.

        Raises:
            DataError: an output is NaN or infinite.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.check_finite()
        block = self.decision.target
        columns: dict[str, Any] = {
            "file": pa.array([valid_unicode(file) for file in self.files], pa.string()),
            "set": pa.array([self.part] * len(self), pa.string()),
            "height": pa.array(self.sizes[:, 0].numpy(), pa.int32()),
            "width": pa.array(self.sizes[:, 1].numpy(), pa.int32()),
        }
        for name, column in zip(_columns("output", block.output_names), self.outputs.float().T, strict=True):
            columns[name] = pa.array(column.contiguous().numpy(), pa.float32())
        rows = torch.stack([block.target_row(target) for target in self.targets])
        for name, column in zip(_columns("target", block.target_names), rows.T, strict=True):
            columns[name] = pa.array(column.contiguous().numpy(), pa.float64(), from_pandas=True)
        for i, name in enumerate(_columns("column", map(str, self.columns))):
            columns[name] = _arrow(self.columns.iloc[:, i].to_numpy())
        odd = {i: file for i, file in enumerate(self.files) if file != valid_unicode(file)}
        note = json.dumps({**metadata, "root": str(self.root), "files": odd}).encode()
        file = io.BytesIO()
        pq.write_table(pa.table(columns).replace_schema_metadata({_METADATA: note}), file)
        return file.getvalue()


def read_parquet(data: bytes, decision: Decision, training: Mapping[str, Any]) -> tuple[Evaluation, dict[str, str]]:
    """(evaluation, metadata) from the bytes that `Evaluation.to_parquet` wrote.

    Args:
        data: the bytes of the file.
        decision: the saved model's.
        training: the summary of the training targets.

    Raises:
        ArtifactError: the file is damaged, has not the columns of this model's outputs, or an output is not finite.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
        if _METADATA not in (table.schema.metadata or {}):
            raise ValueError("another program wrote it")
        metadata = json.loads(table.schema.metadata[_METADATA])
        files = dict(enumerate(table["file"].to_pylist())) | {
            int(row): file for row, file in metadata.get("files", {}).items()
        }
        evaluation = Evaluation(
            decision,
            _matrix(table, "output", decision.target.output_names).float(),
            _targets(table, decision.target),
            tuple(files.values()),
            Path(metadata["root"]),
            torch.tensor([table["height"].to_pylist(), table["width"].to_pylist()], dtype=torch.int64).T,
            columns=_other_columns(table),
            part=_part(table["set"].to_pylist()),
            training=training,
        )
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError, AttributeError) as error:
        raise ArtifactError(f"the saved evaluation cannot be read: {_first_line(error)}") from None
    if evaluation.not_finite:
        raise ArtifactError(f"the saved evaluation cannot be used: {evaluation.not_finite}; train again")
    return evaluation, metadata


def _matrix(table: Any, kind: str, names: Sequence[str]) -> Float[Tensor, "n k"]:
    """The columns of one kind, float64; NaN for null."""
    frame = table.select(_columns(kind, names)).to_pandas()
    # A copy: pandas may give memory that must not be written to.
    return torch.from_numpy(frame.to_numpy(dtype="float64", na_value=float("nan"), copy=True))


def _targets(table: Any, block: TargetBlock) -> Shaped[Tensor, "n ..."]:
    return torch.stack([block.target_of_row(row) for row in _matrix(table, "target", block.target_names)])


def _other_columns(table: Any) -> pd.DataFrame:
    names = [name for name in table.column_names if name.startswith("column:")]
    if not names:
        return _no_columns()
    return table.select(names).to_pandas().rename(columns=lambda name: name.removeprefix("column:"))


def _part(cells: Sequence[str]) -> EvaluatedPart:
    names = set(cells)
    if len(names) != 1 or not names <= set(get_args(EvaluatedPart)):
        raise ValueError(
            f"its column 'set' holds {sorted(map(str, names))}, and one of {get_args(EvaluatedPart)} is expected"
        )
    return names.pop()  # type: ignore[return-value]


def _arrow(column: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """A column of any kind; as text where its cells are of several types."""
    import pyarrow as pa

    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, UnicodeEncodeError):
        return pa.array([None if is_missing(cell) else valid_unicode(str(cell)) for cell in column], pa.string())


def _columns(kind: str, names: Iterable[str]) -> list[str]:
    """The columns of one kind: distinct, also if names differ only in characters that are not valid Unicode."""
    return _distinct([f"{kind}:{valid_unicode(name)}" for name in names])


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, the second of two equal ones with ``.1`` behind it, as pandas does."""
    distinct = dict[str, None]()
    for name in names:
        further = (f"{name}.{i}" for i in count(1))
        free = name if name not in distinct else next(f for f in further if f not in names and f not in distinct)
        distinct[free] = None
    return list(distinct)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
