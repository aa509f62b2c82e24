"""`NewTable`: the labels as they are now, as a table in the format in which they came; the old file stays as it is.

The rows of the source keep everything that a review does not change: their raw labels, parts, groups and other columns.
Images that the source does not have are added at the end if something is known of them.
"""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from eyebright._choices import WriteFormat
from eyebright.errors import ArtifactError, InputError, count_text, os_reason
from eyebright.io.atomic import output_path, temporary_folder
from eyebright.review.refusal import Refusal
from eyebright.review.session import ReviewSession
from eyebright.sources.categorical import Categorical
from eyebright.sources.convert import WRITERS, Converted, convert_source, is_of_another_format
from eyebright.sources.source import Source
from eyebright.sources.text_table import Strings
from eyebright.sources.writer import Writer, vocabulary
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.types import LabelSet

Rows = Int[np.ndarray, " m"]


@dataclass(eq=False)
class NewTable:
    """Writes the new table.

    Args:
        session: what is known.
        source: the images as they came, whose rows are kept; None: they came without labels.
        kind: the name of the target block, see `eyebright.tasks.registry.TARGET_BLOCKS`.
        out: the file to write.
        to: the format in which the labels came, see `WRITERS`.
        further: options of ``eyebright train`` beside those that read the table, by the names that are typed.
        origin: the file that the source was read from; None: it was not one file.
    """

    session: ReviewSession
    source: Source | None
    kind: str
    out: Path
    to: WriteFormat = "csv"
    further: Mapping[str, Any] = field(default_factory=dict[str, Any])
    origin: Path | None = None
    command: str = ""
    """The command that trains with the table that was written; empty before."""

    def __post_init__(self) -> None:
        self._origin_digest = self._digest_of_origin()

    def save(self) -> dict[str, Any]:
        """Writes the table; returns its path, the number of its rows, its format, and a sentence for the page.

        Raises:
            Refusal: there is nothing to write, or a file is there that this review has not written.
            ArtifactError: it cannot be written, for example because the disk is full.
            InputError: the labels cannot be written as a table.
        """
        with self.session.lock:
            source, sentences = self._source()
            revision = self.session.revision
        if not len(source):
            raise Refusal(409, "nothing is known of any image yet, so there is no table to write")
        writer, why = self._writer(source)
        sentences += [why] if why else []
        if self._digest_of_origin() != self._origin_digest:
            sentences.append(
                f"'{self.origin}' has changed since it was read here: its changes are not in this table; to take them, "
                "end the review and open it again"
            )
        out = self.out.with_suffix(writer.suffix) if is_of_another_format(self.out, writer) else self.out
        self._check_replaceable(out)
        converted = self._write(source, writer, out, revision)
        sentences += converted.messages
        rows = len(source)
        self.command = train_command(out, converted.read_options, self.further)
        sentence = " ".join(
            [f"{count_text(rows, 'image')} written to {out} ({writer.title}).", *(f"{s}." for s in sentences)]
        )
        return {
            "path": str(out),
            "rows": rows,
            "format": writer.name,
            "sentence": sentence,
            "command": self.command,
        }

    # ------------------------------------------------------------------ the file

    def _digest_of_origin(self) -> str | None:
        """The digest of the file that the labels came from; None if there is none, or it cannot be read."""
        try:
            return None if self.origin is None else _digest(self.origin)
        except OSError:
            return None

    def _check_replaceable(self, out: Path) -> None:
        if not out.exists():
            return
        saved = [entry.saved for entry in self.session.history.entries]
        written = {each.get("digest") for each in saved if each.get("path") == str(out)}
        if out.is_dir() or _digest(out) not in written:
            raise Refusal(
                409,
                f"'{out}' is there, and was not written by this review or has changed since; give another `out`, "
                "or remove it",
            )

    def _writer(self, source: Source) -> tuple[Writer, str]:
        """(the writer of the format in which the labels came, or of CSV, a sentence why)."""
        wanted = WRITERS[self.to]
        if self.to in ("csv", "parquet"):
            return wanted, ""
        lacks_parts = source.part is not None and not wanted.holds_parts
        if source.block().task_type not in wanted.task_types or not wanted.suffix or lacks_parts:
            return WRITERS["csv"], f"CSV, since {wanted.title} cannot hold all of it in one file"
        if not TARGET_BLOCKS[self.kind].is_geometric and not wanted.holds_unknown and _any_unknown(source):
            return WRITERS["csv"], f"CSV, since {wanted.title} cannot hold unknown labels"
        return wanted, ""

    def _write(self, source: Source, writer: Writer, out: Path, revision: int) -> Converted:
        try:
            target = output_path(out)
            with temporary_folder(target) as folder:
                place = folder / out.name
                try:
                    converted = convert_source(source, writer.name, place)
                except InputError as error:
                    if "cannot write" in str(error):
                        raise ArtifactError(str(error).replace(str(place), str(out))) from None
                    raise
                # noted first: a table that the journal does not know could never be replaced
                noted = {"path": str(out), "digest": _digest(place), "rows": len(source), "of": revision}
                self.session.note_saved(noted)
                place.replace(target)
        except OSError as error:
            raise ArtifactError(f"cannot write '{out}': {os_reason(error)}") from None
        return converted

    # ------------------------------------------------------------------ the rows

    def _source(self) -> tuple[Source, list[str]]:
        """(the source with all answers, sentences about what it lacks)."""
        session, sentences = self.session, list[str]()
        base = self.source
        files = [] if base is None else [str(file) for file in base.files]
        at = np.array([session.row_of.get(file, -1) for file in files], dtype=np.int64)
        is_absent = session.known()
        is_absent[at[at >= 0]] = False
        was_given = ~np.isnan(session.given).all(axis=(1, 2))
        is_deleted = is_absent & was_given & ~session.changed & (base is not None)
        is_new = is_absent & ~is_deleted
        new = np.flatnonzero(is_new)
        odd = [row for row in new.tolist() if not _is_unicode(session.items.files[row])]
        new = new[~np.isin(new, odd)]
        rows = np.concatenate([at, new])
        names = np.array([*files, *(session.items.files[row] for row in new.tolist())], dtype=np.dtypes.StringDType())
        root = session.items.root if base is None else base.root
        targets, keep = self._targets(base, rows)
        source = _joined(base, self.kind, root, names, targets, len(new), self._value_names(base))
        source = source.take(keep) if not keep.all() else source
        if odd:
            sentences.append(
                f"left out: {count_text(len(odd), 'image')} whose names are no UTF-8, which no table can hold; "
                "rename the files"
            )
        if is_deleted.any():
            sentences.append(
                f"left out: {count_text(int(is_deleted.sum()), 'image')} of the model that the label file no longer "
                "has, and that nobody changed here"
            )
        if not keep.all():
            sentences.append(f"left out: {count_text(int((~keep).sum()), 'image')} whose class is unknown")
        return source, sentences

    def _value_names(self, base: Source | None) -> tuple[str, ...]:
        """The names of points, numbers or ordered classes."""
        if base is not None:
            return base.names
        return () if TARGET_BLOCKS[self.kind].is_categorical else self.session.vocabulary.names

    def _targets(self, base: Source | None, rows: Rows) -> tuple[Any, Bool[np.ndarray, " m"]]:
        """(raw targets of these rows, the first of which are those of the source; which can be written)."""
        session = self.session
        everything = np.ones(len(rows), dtype=np.bool_)
        if session.vocabulary.is_exclusive:
            return self._classes(base, rows)
        if session.vocabulary.has_probabilities:
            return self._label_sets(base, rows), everything
        return self._values(base, rows), everything

    def _label_sets(self, base: Source | None, rows: Rows) -> Categorical[LabelSet]:
        """Labels: those of the source, and where they were changed, those of the session."""
        session, names = self.session, self.session.vocabulary.names
        n_given = len(session.items.vocabulary.names)
        used = [k for k in range(len(names)) if k < n_given or self._is_used(k)]
        of_source = set[str]() if base is None else {*vocabulary(base), *base.unused}
        new = [names[k] for k in used if k >= n_given and names[k] not in of_source]
        same = _same(session.given, session.current)
        sets: list[LabelSet] = []
        for index, row in enumerate(rows.tolist()):
            raw = cast("LabelSet", base.targets[index]) if base is not None and index < len(base) else None
            cells = [k for k in used if row >= 0 and (raw is None or not same[row, k])]
            before = LabelSet(unknown=of_source) if raw is None else raw
            before = LabelSet(before, unknown={*before.unknown, *new}) if new else before
            sets.append(_label_set(before, [(names[k], float(session.current[row, k, 0])) for k in cells]))
        return Categorical.of(sets)

    def _is_used(self, column: int) -> bool:
        return not bool(np.isnan(self.session.current[:, column]).all())

    def _classes(self, base: Source | None, rows: Rows) -> tuple[Categorical[str], Bool[np.ndarray, " m"]]:
        session = self.session
        known_before = 0 if base is None else len(base)
        classes: list[str] = []
        for index, row in enumerate(rows.tolist()):
            raw = str(base.targets[index]) if base is not None and index < known_before else ""
            if raw and (row < 0 or not session.changed[row]):
                classes.append(raw)
                continue
            number = float(session.current[row, 0, 0])
            classes.append("" if np.isnan(number) else session.vocabulary.names[int(number)])
        return Categorical.of(classes), np.array([bool(name) for name in classes], dtype=np.bool_)

    def _values(self, base: Source | None, rows: Rows) -> Float[np.ndarray, "m ..."]:
        """Points or numbers: those of the source, and where they were changed, those of the session."""
        session = self.session
        names = session.vocabulary.names
        order = list(base.names) if base is not None and base.names else list(names)
        shape = (len(rows), len(order), *([2] if session.vocabulary.width == 2 else []))
        values = np.full(shape, np.nan)
        if base is not None:
            values[: len(base)] = cast("np.ndarray[Any, Any]", base.targets)
        of_session = [(order.index(name), column) for column, name in enumerate(names) if name in order]
        here, same = np.flatnonzero(rows >= 0), _same(session.given, session.current)
        for place, column in of_session:
            now = session.current[rows[here], column]
            is_other = ~same[rows[here], column]
            is_other |= here >= (0 if base is None else len(base))
            values[here[is_other], place] = now[is_other] if session.vocabulary.width == 2 else now[is_other, 0]
        return values


def train_command(path: Path, options: Mapping[str, Any], further: Mapping[str, Any] | None = None) -> str:
    """The command that trains with a table, as it is typed.

    Args:
        path: the table.
        options: the arguments of `read_source` with which it is read.
        further: further options, by the names that are typed, and their values.
    """
    words = ["eyebright", "train", str(path)]
    if "images" in options:
        options = {**options, "images": Path(options["images"]).resolve()}
    for name, value in {**options, **(further or {})}.items():
        for element in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", str(element)]
    return shlex.join(words)


def _joined(
    base: Source | None,
    kind: str,
    root: Path,
    names: Strings,
    targets: Any,
    count: int,
    value_names: tuple[str, ...],
) -> Source:
    """The source with so many further rows at its end."""
    if base is None:
        return Source(kind, root, names, targets, names=value_names)
    columns = _nullable(base.columns).reindex(range(len(names))) if len(base.columns.columns) else pd.DataFrame()
    own_groups = [f"\0review {row}" for row in range(count)]
    return replace(
        base,
        files=names,
        targets=targets,
        part=None if base.part is None else Categorical.of([*base.part, *[None] * count]),
        group=None if base.group is None else Categorical.of([*base.group, *own_groups]),
        weight=None if base.weight is None else np.concatenate([base.weight, np.ones(count)]),
        columns=columns,
        lines=None,
        sizes=None,
        messages=(),
    )


def _nullable(columns: pd.DataFrame) -> pd.DataFrame:
    """The columns, with whole numbers that stay whole where further rows have none."""
    whole = [name for name in columns.columns if pd.api.types.is_integer_dtype(columns[name])]
    return columns.astype(dict.fromkeys(whole, "Int64")).reset_index(drop=True)


def _label_set(raw: LabelSet, cells: Sequence[tuple[str, float]]) -> LabelSet:
    """The labels of an image; those that no cell is about stay as they were.

    Args:
        raw: as they were.
        cells: (label, the value that it gets).
    """
    if not cells:
        return raw
    labels, unknown = set(raw), set(raw.unknown)
    for name, now in cells:
        labels.discard(name)
        unknown.discard(name)
        if np.isnan(now):
            unknown.add(name)
        elif now == 1:
            labels.add(name)
    return LabelSet(labels, unknown=unknown)


def _same(given: Float[np.ndarray, "n c w"], current: Float[np.ndarray, "n c w"]) -> Bool[np.ndarray, "n c"]:
    """Whether each cell is as it was given, or unknown as it was."""
    return np.asarray(((given == current) | (np.isnan(given) & np.isnan(current))).all(axis=2))


def _any_unknown(source: Source) -> bool:
    if isinstance(source.targets, Categorical):
        return any(not isinstance(category, str) and bool(category.unknown) for category in source.targets.categories)
    return bool(np.isnan(source.targets).any())


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
