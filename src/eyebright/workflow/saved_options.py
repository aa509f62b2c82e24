"""``options.json``: the options of a training run, and the values that were chosen automatically.

``eyebright train --options model/options.json`` repeats the run. Paths in the file are relative to its folder, so
that a project can be moved, and a published model folder contains no paths of the user.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eyebright.errors import InputError, bounded, did_you_mean, short_repr
from eyebright.io.atomic import write_atomically
from eyebright.io.json_keys import unique_keys
from eyebright.io.text import valid_unicode
from eyebright.workflow.fine_tuning_options import FineTuning
from eyebright.workflow.option import options_from_json, options_to_json
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions

OPTIONS_FILE = "options.json"
_SCHEMA = 1
_MAX_BYTES = 10_000_000  # bytes; a training run writes a few kilobytes
_REPEATED_OPTIONS = (
    "bs",
    "precision",
    *FineTuning._fields,
)  # these change the weights, so a repeated training run uses the chosen values
_PATHS = ("images", "valid", "test")  # the reading options that are paths
_START_OPTION = "start_from"  # the training option that is a path


@dataclass(frozen=True)
class SavedOptions:
    """The content of ``options.json``.

    Args:
        source: the table or folder; None if the source was not read from a file.
        out: the model folder.
        reading: the options of reading.
        training: the training options.
        resolved: the values that were used: batch size, device, precision, workers, the origin of the weights, and the
            settings of fine-tuning.
    """

    source: Path | None
    out: Path
    reading: ReadOptions = ReadOptions()  # noqa: RUF009 - it is frozen
    training: TrainOptions = TrainOptions()  # noqa: RUF009
    resolved: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def save(self) -> Path:
        """Writes ``options.json`` to the model folder, atomically, and returns its path.

        Raises:
            OSError: the file cannot be written.
        """
        path = self.out / OPTIONS_FILE
        write_atomically(path, lambda file: file.write_text(self.to_json() + "\n", encoding="utf-8"))
        return path

    def to_json(self) -> str:
        """The content of the file, with paths relative to ``out``."""
        reading = options_to_json(self.reading)
        reading |= {name: _relative(reading[name], self.out) for name in _PATHS}
        training = options_to_json(self.training)
        training |= {_START_OPTION: _relative(training[_START_OPTION], self.out)}
        content = {
            "schema": _SCHEMA,
            "source": _relative(self.source, self.out),
            "out": ".",
            "reading": reading,
            "training": training,
            "resolved": dict(self.resolved),
        }
        return valid_unicode(json.dumps(content, indent=2, ensure_ascii=False))

    @staticmethod
    def load(path: str | Path) -> "SavedOptions":
        """The options that repeat a training run, with the batch size and the precision that it used.

        Args:
            path: the file, or the model folder that contains it.

        Raises:
            InputError: the file is missing, damaged or not written by a training run, or a name in it is unknown.
        """
        path = Path(path)
        if path.is_dir():
            path /= OPTIONS_FILE
        content = _content(path)
        folder = path.parent.resolve()  # the system resolves links before '..'
        reading = {**content["reading"]}
        reading |= {name: folder / reading[name] for name in _PATHS if reading.get(name) is not None}
        start = content["training"].get(_START_OPTION)
        learnt = {**content["training"], _START_OPTION: None if start is None else folder / start}
        training = options_from_json(TrainOptions, learnt, file=f"'{path}'")
        resolved = content["resolved"]
        chosen = {name: resolved[name] for name in _REPEATED_OPTIONS if resolved.get(name) is not None}
        return SavedOptions(
            source=None if content["source"] is None else folder / content["source"],
            out=folder / content["out"],
            reading=options_from_json(ReadOptions, reading, file=f"'{path}'"),
            training=replace(training, **chosen),
            resolved=resolved,
        )


def _content(path: Path) -> dict[str, Any]:
    """The checked content of the file."""
    content = _parsed(path)
    parts: dict[str, type | tuple[type, ...]] = {
        "schema": int, "source": (str, type(None)), "out": str, "reading": dict, "training": dict, "resolved": dict,
    }  # fmt: skip
    if not isinstance(content, dict):
        raise InputError(f"'{path}' is not an options file: it must contain a JSON object")
    for name in content:
        if name not in parts:
            raise InputError(
                f"'{path}' has an unknown part '{bounded(name, limit=80)}'.{did_you_mean(name, parts)} "
                f"Known: {', '.join(parts)}"
            )
    for name, part_type in parts.items():
        value = content.get(name, 0 if name != "schema" else None)
        if not isinstance(value, part_type) or isinstance(value, bool):
            raise InputError(f"'{path}' is not an options file: it has no valid '{name}'")
    if content["schema"] != _SCHEMA:
        raise InputError(
            f"'{path}' has schema {short_repr(content['schema'])}, and this version of Eyebright reads {_SCHEMA}"
        )
    return content


def _parsed(path: Path) -> Any:
    try:
        if not path.is_file() and path.exists():  # reading a pipe would block
            raise InputError(f"cannot read options from '{path}': it is not a regular file")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"cannot read options from '{path}': it has more than {_MAX_BYTES // 10**6} MB")
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise InputError(f"there is no '{path}'; training writes it to the model folder") from None
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read options from '{path}': {error}") from None


def _relative(path: str | Path | None, folder: Path) -> str | None:
    """The path relative to the folder; links of both folders are resolved."""
    if path is None:
        return None
    path = Path(path)
    real = path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()
    return Path(os.path.relpath(real, folder.resolve())).as_posix()
