"""`read_several`: several label files of one format in a folder, such as one for each part, as one `Source`."""

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from eyebright.errors import InputError, listing
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.part_names import name_of_file, parts_of_files
from eyebright.sources.parts import part_messages
from eyebright.sources.rows import file_strings, with_part, without_duplicates
from eyebright.sources.source import Source
from eyebright.sources.targets import Targets, unused_messages

T = TypeVar("T", bound=Hashable)

_MAX_FILES = 3  # files that are named one by one in messages: one for each part
_QUOTED_NAME_OR_NUMBER = r"(?:'[^']*'|\d[\d.,]*\d|\d)"
_WORDS_THAT_DIFFER = re.compile(rf"{_QUOTED_NAME_OR_NUMBER}(?:, {_QUOTED_NAME_OR_NUMBER})*(?:, \.\.\. \(\d+ in all\))?")


def read_several(files: Sequence[Path], request: ReadRequest, format_: Format) -> Source:
    """The images of all files as one source; their parts are taken from the names of the files or their folders.

    Raises:
        InputError: the files contradict each other about the same images, or only some of them name a part.
    """
    if format_.read_several is not None:
        return format_.read_several(files, request)
    parts = parts_of_files(files, request)
    sources: list[Source] = []
    for file, part in zip(files, parts, strict=True):
        source = format_.read(request.of(file))
        sources.append(source if part is None or source.part is not None else with_part(source, part))
    return joined(sources, request, [name_of_file(file, request.path) for file in files])


def joined(sources: Sequence[Source], request: ReadRequest, names: Sequence[str]) -> Source:
    """Several sources of one kind and root as one.

    Raises:
        InputError: they are of different kinds.
    """
    order = tuple(dict.fromkeys(name for source in sources for name in source.names))
    absent = [f"{name}: no {listing(set(order) - set(table.names))}, unknown there" for table, name in
              zip(sources, names, strict=True) if table.names and set(order) - set(table.names)]  # fmt: skip
    sources = [_in_order(source, order) for source in sources]
    first = sources[0]
    for source, name in zip(sources, names, strict=True):
        if (source.kind, source.names) != (first.kind, first.names):
            raise InputError(
                f"'{request.path}': '{names[0]}' holds {first.kind} and '{name}' {source.kind}; name one with `kind`,"
                " or give one file"
            )
    part = _joined_parts(sources)
    origin = "the names of files or folders give"
    used = {label for source in sources for label in _used(source)}
    unused = tuple(sorted({label for source in sources for label in source.unused} - used))
    result = Source(
        kind=first.kind,
        root=first.root,
        files=file_strings(request.path, [str(file) for source in sources for file in source.files]),
        targets=_joined_targets([source.targets for source in sources]),
        names=first.names,
        part=part,
        group=_joined_groups(sources),
        group_name=first.group_name,
        columns=pd.concat([source.columns for source in sources], ignore_index=True),
        left_out={file: reason for source in sources for file, reason in source.left_out.items()},
        unused=unused,
        declared=_declared(sources),
        messages=(
            *_messages_by_file(names, [_without_unused(source) for source in sources]),
            *absent,
            *unused_messages(unused),
            *([] if part is None else part_messages(part, origin=origin)),
        ),
    )
    return without_duplicates(result)


def _without_unused(source: Source) -> tuple[str, ...]:
    """The messages of one file but for that about labels without an image: images of other files may have them."""
    return tuple(message for message in source.messages if message not in unused_messages(source.unused))


def _messages_by_file(names: Sequence[str], messages: Sequence[Sequence[str]]) -> list[str]:
    """The messages of each file after its name.

    Where many files have a message that differs only in names and numbers, it is the first with a count of the files.

    Args:
        names: the names of the files.
        messages: the messages of each.
    """
    files_of: dict[tuple[str, int], list[str]] = {}  # by the wording of a message, and which of its file it is
    first: dict[tuple[str, int], str] = {}
    lines: list[tuple[tuple[str, int], str]] = []
    for name, own in zip(names, messages, strict=True):
        so_far = Counter[str]()
        for message in own:
            wording = _WORDS_THAT_DIFFER.sub("#", message)
            key = (wording, so_far[wording])
            so_far[wording] += 1
            files_of.setdefault(key, []).append(name)
            first.setdefault(key, message)
            lines.append((key, f"{name}: {message}"))
    few = [text for key, text in lines if len(files_of[key]) <= _MAX_FILES]
    many = [
        f"{len(files)} label files ({listing(files, limit=_MAX_FILES)}) have a message like that of the first: "
        f"{first[key]}"
        for key, files in files_of.items()
        if len(files) > _MAX_FILES
    ]
    return [*many, *few]


def _in_order(source: Source, order: tuple[str, ...]) -> Source:
    """The source with its points or numbers in this order; those that it does not have are unknown."""
    if not source.names or source.names == order or not isinstance(source.targets, np.ndarray):
        return source
    targets = np.full((len(source), len(order), *source.targets.shape[2:]), np.nan)
    targets[:, [order.index(name) for name in source.names]] = source.targets
    return replace(source, targets=targets, names=order)


def _joined_targets(targets: Sequence[Targets]) -> Targets:
    arrays = [target for target in targets if isinstance(target, np.ndarray)]
    if len(arrays) == len(targets):
        return np.concatenate(arrays)
    return concatenated([target for target in targets if not isinstance(target, np.ndarray)])  # pyright: ignore


def _joined_parts(sources: Sequence[Source]) -> Categorical[Any] | None:
    if all(source.part is None for source in sources):
        return None
    nothing = [Categorical[Any]((None,), np.zeros(len(source), dtype=np.int32)) for source in sources]
    return concatenated([source.part or none for source, none in zip(sources, nothing, strict=True)])


def _joined_groups(sources: Sequence[Source]) -> Categorical[str] | None:
    """The groups; an image that is on its own in its file stays so: the names of such groups begin with NUL."""
    if all(source.group is None for source in sources):
        return None
    columns = [
        Categorical[str].of(f"\0{i} {row}" for row in range(len(source)))
        if source.group is None
        else source.group.map(lambda name, i=i: f"\0{i} {name}" if name.startswith("\0") else name)
        for i, source in enumerate(sources)
    ]
    return concatenated(columns)


def concatenated(columns: Sequence[Categorical[T]]) -> Categorical[T]:
    """One column with the rows of all, one after the other."""
    codes: dict[T, int] = {}
    arrays: list[Codes] = []
    for column in columns:
        new = np.array([codes.setdefault(value, len(codes)) for value in column.categories], dtype=np.int32)
        arrays.append(new[column.codes])
    return Categorical(tuple(codes), np.concatenate(arrays))


def _declared(sources: Sequence[Source]) -> tuple[str, ...]:
    """The labels that any of them declares; none where one declares none, and may have any label."""
    if not all(source.declared for source in sources):
        return ()
    return tuple(sorted({label for source in sources for label in source.declared}))


def _used(source: Source) -> set[str]:
    if not isinstance(source.targets, Categorical):
        return set()
    return {
        label
        for category in source.targets.categories
        for label in ([category] if isinstance(category, str) else category)
    }
