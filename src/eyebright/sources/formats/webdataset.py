"""WebDataset: tar files ("shards") in which the members of one sample have one name and different extensions.

Everything after the first dot is the extension: ``000017.jpg`` is an image, ``000017.cls`` has the number of its class,
and ``000017.json`` an object, in which a key holds the labels.
"""

import json
import posixpath
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

from eyebright.errors import InputError, TableError, did_you_mean, listing, short_repr
from eyebright.io.containers import SEPARATOR, Signature, read_member, tar_members
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.io.json_keys import unique_keys
from eyebright.sources.column_roles import named
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.label_column import PLURALS, SINGULARS
from eyebright.sources.label_file import LabelFile
from eyebright.sources.part_names import parts_of_files
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_LABELS = ("cls", "json")  # extensions of the members with labels
_N_SAMPLED_MEMBERS = 20  # members from which the format is recognised
_N_COMPARED = 100  # samples of a shard in which labels are searched that are not used
_MAX_LABEL_BYTES = 10_000_000  # bytes of labels of one sample


class _Sample(NamedTuple):
    """The members of one sample by their extension, in lower case."""

    key: str
    members: Mapping[str, str]

    def images(self) -> list[str]:
        """The members that are images."""
        return [name for extension, name in self.members.items() if f".{extension.lower()}" in IMAGE_EXTENSIONS]

    def labels(self) -> list[str]:
        """The members that hold labels of one kind, if there are several."""
        kinds = [[name for extension, name in self.members.items() if extension.lower() == kind] for kind in _LABELS]
        return next((names for names in kinds if len(names) > 1), [])


def recognises(file: LabelFile) -> bool:
    """True for a tar file whose first members are an image and labels of the same name."""
    if file.suffix != ".tar":
        return False
    try:
        with tarfile.open(file.path, "r:") as tar:
            names = [member.name for member in islice(tar, _N_SAMPLED_MEMBERS) if member.isreg()]
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return False
    return any(sample.images() and set(_LABELS) & set(sample.members) for sample in _samples(names))


def read(request: ReadRequest) -> Source:
    """The images of a shard with their labels, named ``SHARD::MEMBER``; the errors of `read_several`."""
    return read_several([request.path], request)


def read_several(files: Sequence[Path], request: ReadRequest) -> Source:
    """The images of several shards; the names of these may give the split.

    Raises:
        TableError: labels are broken or of several sorts, or a sample has no image.
        InputError: a shard is broken, or ``images`` is given.
    """
    if request.images is not None:
        raise InputError(f"the images of '{request.path}' are in it; leave `images` out")
    parts = parts_of_files(files, request) if len(files) > 1 else [None]
    rows = LabelRows(request.path)
    keys = dict[str, None]()
    lists: dict[tuple[str, ...], str] = {}  # an image of each list of labels
    is_single, twice = True, ""
    for path, part in zip(files, parts, strict=True):
        shard = path.relative_to(request.root).as_posix()
        for number, sample in enumerate(_samples(tar_members(Signature.of(path)))):
            if not twice and not request.labels and number < _N_COMPARED:
                twice = _also_in_json(path, sample)
            file = f"{shard}{SEPARATOR}{_image(path, sample)}"
            labels = _labels(path, request.labels, sample, keys)
            if labels is None:
                rows.leave_out(file, "without labels")
                continue
            is_single = is_single and isinstance(labels, str)
            if isinstance(labels, list):
                lists.setdefault(tuple(labels), file)
            rows.add(file, [labels] if isinstance(labels, str) else labels, part=part)
    _check_not_flags(request.path, lists)
    sentences = [f"labels are in the key {listing(keys)} of the .json members"] if keys else []
    return rows.source(request, messages=[*sentences, *filter(None, [twice])], may_be_single=is_single)


def _also_in_json(path: Path, sample: _Sample) -> str:
    """The message about a sample with labels in its ``.cls`` and in its ``.json``; empty for another one."""
    if not {"cls", "json"} <= set(sample.members):
        return ""
    values = _object(path, sample.members["json"])
    key = _key_of(values)
    if key is None or not values.get(key):
        return ""
    return (
        f"classes are those of the .cls members; the .json members have labels, too, in the key '{key}' (such as "
        f"{short_repr(values[key])} of '{sample.members['json']}'), which are not used; `labels='{key}'` uses these"
    )


def _check_not_flags(path: Path, lists: Mapping[tuple[str, ...], str]) -> None:
    """Raises `TableError` for lists of 0 and 1 only, as a row with one for each label is written."""
    several = [labels for labels in lists if len(labels) > 1]
    if several and {label for labels in lists for label in labels} <= {"0", "1"}:
        row = ", ".join(several[0])
        raise TableError(
            f"'{path}': the lists of labels hold 0 and 1 only, such as [{row}] of '{lists[several[0]]}',"
            " which may be a row with one for each label, or the labels '0' and '1'; write the names of the labels"
        )


def _image(path: Path, sample: _Sample) -> str:
    images = sample.images()
    if len(images) != 1:
        problem = f"several images, {listing(images)}" if images else "no image"
        raise TableError(f"'{path}': the sample '{sample.key}' has {problem}; one was expected")
    if twice := sample.labels():
        raise TableError(f"'{path}': the sample '{sample.key}' has its labels twice, in {listing(twice)}; keep one")
    return images[0]


def _samples(names: Iterable[str]) -> list[_Sample]:
    samples: dict[str, dict[str, str]] = {}
    for name in names:
        folder, base = posixpath.split(posixpath.normpath(name))
        stem, _, extension = base.partition(".")
        members = samples.setdefault(posixpath.join(folder, stem), {})
        key = extension if extension.lower() in members else extension.lower()  # so that none of two is lost
        members[key] = posixpath.normpath(name)
    return [_Sample(key, members) for key, members in samples.items()]


def _labels(path: Path, asked: Sequence[str], sample: _Sample, keys: dict[str, None]) -> str | list[str] | None:
    """The class, or the labels of a sample; None where it has none. Adds the key of JSON that has them to ``keys``."""
    if "cls" in sample.members and not asked:
        text = _content(path, sample.members["cls"]).strip()
        if not text or len(text.split()) > 1:
            raise TableError(f"'{path}': '{sample.members['cls']}' holds '{text[:60]}'; one class was expected")
        return text
    if "json" not in sample.members:
        return None
    name = sample.members["json"]
    values = _object(path, name)
    key = _key(path, asked, name, values)
    keys.setdefault(key)
    return _as_labels(path, name, key, values.get(key))


def _object(path: Path, name: str) -> dict[str, Any]:
    """The object in a member of JSON.

    Raises:
        TableError: it is no JSON, or no object.
    """
    try:
        values: Any = json.loads(_content(path, name), object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise TableError(f"'{path}': '{name}' is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise TableError(f"'{path}': '{name}' holds {short_repr(values)}; an object with the labels was expected")
    return cast("dict[str, Any]", values)


def _key(path: Path, asked: Sequence[str], name: str, values: Mapping[str, Any]) -> str:
    """The key with the labels: the one that the user names, or else one that is called labels, class, or the like."""
    if len(asked) > 1:
        raise InputError(f"'{path}' has the labels of an image in one key; name one with `labels`")
    if asked and asked[0] not in values:
        raise TableError(f"'{path}': '{name}' has no key '{asked[0]}'.{did_you_mean(asked[0], values)}")
    if asked:
        return asked[0]
    if (key := _key_of(values)) is not None:
        return key
    raise TableError(
        f"'{path}': no key of '{name}' is called 'labels' or 'class'; there are {listing(values)}; name the one "
        "that holds the labels with `labels`"
    )


def _key_of(values: Mapping[str, Any]) -> str | None:
    """The key that is called labels, class, or the like, or that has the only list; None without one."""
    known = named(values, [*PLURALS, *SINGULARS])
    lists = [key for key, value in values.items() if isinstance(value, list)]
    return (known or lists)[0] if known or len(lists) == 1 else None


def _as_labels(path: Path, name: str, key: str, value: Any) -> str | list[str] | None:
    if isinstance(value, list):
        elements = cast("list[Any]", value)
        if all(isinstance(element, (str, int)) and not isinstance(element, bool) for element in elements):
            return [str(element) for element in elements]
    elif value is None or isinstance(value, str):
        return value or None
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TableError(
        f"'{path}': '{key}' of '{name}' is {short_repr(value)}; a label, a number of a class or a list was expected"
    )


def _content(path: Path, name: str) -> str:
    size = tar_members(Signature.of(path))[name][1]
    if size > _MAX_LABEL_BYTES:
        raise TableError(f"'{path}': '{name}' has {size:,} bytes, too many for the labels of one image")
    try:
        return read_member(str(path), name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TableError(f"'{path}': '{name}' is no UTF-8 text") from None


FORMAT = Format(
    name="webdataset",
    title="WebDataset",
    looks_like="tar files with members such as 000017.jpg and 000017.cls or 000017.json",
    read=read,
    recognises_file=recognises,
    options=("labels",),
    read_several=read_several,
)
