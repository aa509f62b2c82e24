"""What a model said about a set of images, computed once: metrics, thresholds, worst mistakes and the report take it.

An `Evaluation` knows neither the model nor the data set that it came from. It is saved beside the model as
``evaluation.parquet``, a row an image, so that all of these can be done again without the images.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import ArtifactError, DataError
from eyebright.image.warp import Warp
from eyebright.tasks.decision import Decision

SetName = Literal["valid", "promise", "test"]
"""What a set is for: validation chooses, promise is for guarantees alone, test chooses nothing."""

_METADATA = b"eyebright"


def _no_columns() -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model's outputs for a set of images, with their targets.

    Args:
        decision: from outputs to answers.
        outputs: raw, float32, before activation and calibration; points and numbers in the user's own units.
        targets: as the task encodes them without a warp; NaN where unknown.
        files: of each image, relative to ``root`` where it lies inside.
        root: the folder of the images.
        sizes: (height, width) of each image, in pixels.
        indices: of each image in the items that were evaluated; empty after reading from a file.
        warps: from each image to what the network saw; empty after reading from a file.
        columns: the other columns of the label file, a row an image.
        part: what the set is for.
        training: what `TargetBlock.training_summary` says of the training targets.

    Raises:
        DataError: the parts have not one row for each image.
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
    part: SetName = "valid"
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        rows = len(self.files)
        lengths = {"outputs": len(self.outputs), "targets": len(self.targets), "sizes": len(self.sizes)}
        wrong = [f"{name}: {length}" for name, length in lengths.items() if length != rows]
        if wrong:
            raise DataError(f"an evaluation of {rows} images needs as many rows of each part, got {', '.join(wrong)}")

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"Evaluation: {len(self)} images ({self.part}); {self.decision.task.describe()}"

    @cached_property
    def scores(self) -> Float[Tensor, "n ..."]:
        """Calibrated probabilities, or values, in the user's own units."""
        return self.decision.scores(self.outputs)

    @cached_property
    def answers(self) -> list[Any]:
        """The answer for each image."""
        return self.decision.answers(self.scores)

    @property
    def paths(self) -> list[Path]:
        """Where each image is."""
        return [self.root / file for file in self.files]

    def with_decision(self, decision: Decision) -> "Evaluation":
        """The same outputs with another decision."""
        return replace(self, decision=decision)

    def to_parquet(self, metadata: Mapping[str, str]) -> bytes:
        """The bytes of ``evaluation.parquet``.

        Its columns are ``file``, ``set``, ``height``, ``width``, ``output:NAME`` (float32), ``target:NAME`` (null where
        unknown) and ``column:NAME``.

        Args:
            metadata: the model's id and the hash of its weights.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        task = self.decision.task
        columns: dict[str, Any] = {
            "file": pa.array(self.files, pa.string()),
            "set": pa.array([self.part] * len(self), pa.string()),
            "height": pa.array(self.sizes[:, 0].numpy(), pa.int32()),
            "width": pa.array(self.sizes[:, 1].numpy(), pa.int32()),
        }
        for name, column in zip(task.output_names, self.outputs.float().T, strict=True):
            columns[f"output:{name}"] = pa.array(column.contiguous().numpy(), pa.float32())
        rows = torch.stack([task.target_row(target) for target in self.targets])
        for name, column in zip(task.target_names, rows.T, strict=True):
            columns[f"target:{name}"] = pa.array(column.contiguous().numpy(), pa.float64(), from_pandas=True)
        for name in self.columns:
            columns[f"column:{name}"] = _arrow(self.columns[name].to_numpy())
        note = json.dumps({**metadata, "root": str(self.root)}).encode()
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
        ArtifactError: the file is damaged, or has not the columns of this model's outputs.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    task = decision.task
    try:
        table = pq.read_table(pa.BufferReader(data))
        metadata: dict[str, str] = json.loads((table.schema.metadata or {})[_METADATA])
        outputs = _matrix(table, "output", task.output_names).float()
        targets = [task.target_of_row(row) for row in _matrix(table, "target", task.target_names)]
        sizes = torch.tensor([table["height"].to_pylist(), table["width"].to_pylist()], dtype=torch.int64).T
        files, sets = tuple(table["file"].to_pylist()), set(table["set"].to_pylist())
        others = [name for name in table.column_names if name.startswith("column:")]
        columns = table.select(others).to_pandas().rename(columns=lambda name: name.removeprefix("column:"))
        part = sets.pop() if len(sets) == 1 else "valid"
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError) as error:
        raise ArtifactError(f"the saved evaluation cannot be read: {str(error).splitlines()[0]}") from None
    evaluation = Evaluation(
        decision,
        outputs,
        torch.stack(targets) if targets else torch.empty(0),
        files,
        Path(metadata["root"]),
        sizes,
        columns=columns,
        part=part,
        training=training,
    )
    return evaluation, metadata


def _matrix(table: Any, kind: str, names: Sequence[str]) -> Float[Tensor, "n k"]:
    """The columns of one kind, float64; NaN for null."""
    frame = table.select([f"{kind}:{name}" for name in names]).to_pandas()
    return torch.tensor(frame.to_numpy(dtype="float64", na_value=float("nan")))


def _arrow(column: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """A column of any kind; as text where its cells are of several types."""
    import pyarrow as pa

    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError):
        return pa.array([None if pd.isna(cell) else str(cell) for cell in column], pa.string())
