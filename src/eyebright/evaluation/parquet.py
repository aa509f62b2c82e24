"""The file of evaluations, ``evaluation.parquet``: one row per image, in one or several sets (valid, promise, test).

Its columns are ``file``, ``set``, ``group`` (null where an image has none; left out without groups), ``height``,
``width``, ``hash`` (of the image file, null where unknown; left out without any), ``output:NAME`` (raw outputs,
float32, before calibration), ``target:NAME`` (null where unknown) and ``column:NAME`` (the other columns of the label
file). The files of each set are relative to the set's own folder, which the metadata name (``roots``).
"""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright.errors import ArtifactError, InputError, first_line
from eyebright.evaluation.evaluation import Evaluation, no_columns
from eyebright.io.text import valid_unicode
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.columns import is_missing
from eyebright.tasks.decision import Decision

_METADATA = b"eyebright"


def to_parquet(evaluations: Sequence[Evaluation], metadata: Mapping[str, str]) -> bytes:
    """The bytes of the file of these evaluations, each of a different set.

    Characters that are not valid Unicode (in file names of another encoding) become escapes; the metadata has those
    file names as they are.

    Args:
        evaluations: at least one evaluation of one model; the file has the other columns of all of them.
        metadata: the model's id and the hash of its weights.

    Raises:
        DataError: an output is NaN or infinite.
        InputError: there is no evaluation, or two are of the same set.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [evaluation.part for evaluation in evaluations]
    if not parts or len(set(parts)) < len(parts):
        raise InputError(f"a file of evaluations needs one or several different sets, got {parts}")
    for evaluation in evaluations:
        evaluation.check_finite()
    files = [file for evaluation in evaluations for file in evaluation.files]
    odd = {i: file for i, file in enumerate(files) if file != valid_unicode(file)}
    columns = {
        "file": pa.array([valid_unicode(file) for file in files], pa.string()),
        "set": pa.array([evaluation.part for evaluation in evaluations for _ in evaluation.files], pa.string()),
        **_group_column(evaluations),
        **_hash_column(evaluations),
        **_numbers(evaluations),
    }
    others = [evaluation.columns.reindex(range(len(evaluation))) for evaluation in evaluations]
    other = pd.concat([columns.astype(object) for columns in others] if len(others) > 1 else others)
    for i, name in enumerate(_columns("column", map(str, other))):
        columns[name] = _arrow(other.iloc[:, i].to_numpy())
    roots = {evaluation.part: str(evaluation.root) for evaluation in evaluations}
    note = json.dumps({**metadata, "root": roots[parts[0]], "roots": roots, "files": odd}).encode()
    file = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata({_METADATA: note}), file)
    return file.getvalue()


def read_parquet(
    data: bytes, decision: Decision, training: Mapping[str, Any]
) -> tuple[dict[EvaluatedPart, Evaluation], dict[str, str]]:
    """(evaluations by their set, metadata) from the bytes that `to_parquet` wrote.

    Args:
        data: the bytes of the file.
        decision: the saved model's decision.
        training: the summary of the training targets.

    Raises:
        ArtifactError: the file is damaged, lacks the columns of this model's outputs, or an output is not finite.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
        if _METADATA not in (table.schema.metadata or {}):
            raise ValueError("it was written by another program")
        metadata = json.loads(table.schema.metadata[_METADATA])
        files = dict(enumerate(table["file"].to_pylist())) | {
            int(row): file for row, file in metadata.get("files", {}).items()
        }
        every = Evaluation(
            decision,
            _matrix(table, "output", decision.target.output_names).float(),
            _targets(table, decision.target),
            tuple(files.values()),
            Path(metadata["root"]),
            torch.tensor([table["height"].to_pylist(), table["width"].to_pylist()], dtype=torch.int64).T,
            columns=_other_columns(table),
            groups=tuple(table["group"].to_pylist()) if "group" in table.column_names else (),
            training=training,
            hashes=tuple(file_hash or "" for file_hash in table["hash"].to_pylist())
            if "hash" in table.column_names
            else (),
        )
        evaluations = _by_set(every, table)
        for part, root in metadata.get("roots", {}).items():
            evaluations[part] = replace(evaluations[part], root=Path(root))
    except (pa.ArrowException, KeyError, ValueError, TypeError, OSError, AttributeError) as error:
        raise ArtifactError(f"the saved evaluation cannot be read: {first_line(error)}") from None
    if every.not_finite:
        raise ArtifactError(f"the saved evaluation cannot be used: {every.not_finite}; train again")
    return evaluations, metadata


# ------------------------------------------------------------------------------- writing


def _group_column(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    import pyarrow as pa

    if not any(evaluation.groups for evaluation in evaluations):
        return {}
    groups = [name for evaluation in evaluations for name in evaluation.groups or [None] * len(evaluation)]
    return {"group": pa.array([None if name is None else valid_unicode(name) for name in groups], pa.string())}


def _hash_column(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    import pyarrow as pa

    if not any(evaluation.hashes for evaluation in evaluations):
        return {}
    hashes = [file_hash for evaluation in evaluations for file_hash in evaluation.hashes or [""] * len(evaluation)]
    return {"hash": pa.array([file_hash or None for file_hash in hashes], pa.string())}


def _numbers(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """The columns of sizes, outputs and targets."""
    import pyarrow as pa

    block = evaluations[0].decision.target
    sizes = torch.cat([evaluation.sizes for evaluation in evaluations])
    outputs = torch.cat([evaluation.outputs.float() for evaluation in evaluations])
    rows = torch.stack([block.target_row(target) for evaluation in evaluations for target in evaluation.targets])
    columns: dict[str, Any] = {
        "height": pa.array(sizes[:, 0].numpy(), pa.int32()),
        "width": pa.array(sizes[:, 1].numpy(), pa.int32()),
    }
    for name, column in zip(_columns("output", block.output_names), outputs.T, strict=True):
        columns[name] = pa.array(column.contiguous().numpy(), pa.float32())
    for name, column in zip(_columns("target", block.target_names), rows.T, strict=True):
        columns[name] = pa.array(column.contiguous().numpy(), pa.float64(), from_pandas=True)
    return columns


def _arrow(column: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """A column of any kind; as text where its cells are of several types."""
    import pyarrow as pa

    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, UnicodeEncodeError):
        return pa.array([None if is_missing(cell) else valid_unicode(str(cell)) for cell in column], pa.string())


def _columns(kind: str, names: Iterable[str]) -> list[str]:
    """The columns of one kind; names that differ only in characters that are not valid Unicode stay distinct."""
    return _distinct([f"{kind}:{valid_unicode(name)}" for name in names])


def _distinct(names: Sequence[str]) -> list[str]:
    """The names made distinct as pandas does: the second of two equal ones gets the suffix ``.1``."""
    distinct = dict[str, None]()
    for name in names:
        further = (f"{name}.{i}" for i in count(1))
        free = name if name not in distinct else next(f for f in further if f not in names and f not in distinct)
        distinct[free] = None
    return list(distinct)


# ------------------------------------------------------------------------------- reading


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
        return no_columns()
    return table.select(names).to_pandas().rename(columns=lambda name: name.removeprefix("column:"))


def _by_set(evaluation: Evaluation, table: Any) -> dict[EvaluatedPart, Evaluation]:
    """The evaluation of each set, in the order of the file, with the other columns that have a value in the set."""
    sets = table["set"].to_pylist()
    names, known = list(dict.fromkeys(sets)), get_args(EvaluatedPart)
    if not set(names) <= set(known):
        raise ValueError(f"its column 'set' holds {sorted(map(str, set(names)))}, but only {known} are expected")
    parts = cast("list[EvaluatedPart]", names)
    if len(parts) == 1:
        return {parts[0]: replace(evaluation, part=parts[0])}
    rows = {name: [row for row, part in enumerate(sets) if part == name] for name in parts}
    columns = {name: _other_columns(table.take(rows[name])).dropna(axis=1, how="all") for name in parts}
    return {name: replace(evaluation.take(rows[name]), part=name, columns=columns[name]) for name in parts}
