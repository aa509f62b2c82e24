"""Pascal VOC: an XML file ``annotation`` for each image, and the parts in ``ImageSets/Main``.

The labels of an image are the names of its objects; those of their parts (head, hand) are none. A label whose objects
are all ``difficult`` is unknown, as in the challenge's own lists, where it is neither 1 nor -1.
"""

import re
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from eyebright._choices import Part
from eyebright.errors import InputError, TableError, os_reason
from eyebright.io.files import IMAGE_EXTENSIONS, FolderContent, folder_listing
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import LabelFile
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source
from eyebright.sources.xml_file import text_of, xml_elements

_LISTS: dict[str, Part] = {"trainval": "train", "train": "train", "val": "valid", "test": "test"}
"""The lists in ImageSets/Main with their parts; a later one overrides an earlier one."""


def recognises(folder: Path, content: FolderContent) -> bool:
    """True for a folder in which an XML file holds an ``annotation``."""
    return any(LabelFile(file).xml_root == "annotation" for file in _xml_files(content)[:3])


def read(request: ReadRequest) -> Source:
    """The images with the names of their objects as labels.

    Raises:
        TableError: a file is broken, or holds no annotation.
        InputError: there is no image.
    """
    content = folder_listing(request.path)
    parts, several = _parts(content.others)
    names = ImageNames(request.root, request.path)
    rows = LabelRows(request.path)
    seen: set[str] = set()
    listed: set[str] = set()
    for path in _xml_files(content):
        name, sure, difficult = _annotation(path)
        file = names.find(name or path.stem, path.stem, beside=path)
        seen.add(file)
        listed |= {path.stem, Path(file).stem}
        part = parts.get(path.stem) or parts.get(Path(file).stem)
        rows.add(file, sure, unknown=difficult - sure, part=part)
    folders = {(request.root / file).parent for file in seen}  # others have masks, not photographs
    for image in folder_listing(request.root).images:
        file = image.relative_to(request.root).as_posix()
        if file not in seen and image.parent in folders:
            rows.leave_out(file, "without an XML file")
    return rows.source(request, messages=[*names.messages(), *several, *_unlisted_messages(parts, listed)])


def _xml_files(content: FolderContent) -> list[Path]:
    return [file for file in content.others if file.suffix.lower() == ".xml"]


def _annotation(path: Path) -> tuple[str, frozenset[str], frozenset[str]]:
    """(name of the image, labels, labels of difficult objects)."""
    for element in xml_elements(path, ("annotation",)):
        objects = element.findall("object")
        labels = [(text_of(item, "name"), text_of(item, "difficult") == "1") for item in objects]
        if any(not label for label, _ in labels):
            raise TableError(f"'{path}': an object has no name; give it one, or remove it")
        sure = frozenset(label for label, is_difficult in labels if not is_difficult)
        difficult = frozenset(label for label, is_difficult in labels if is_difficult)
        return text_of(element, "filename"), sure, difficult
    raise InputError(f"'{path}' holds no 'annotation' of Pascal VOC; remove it from the folder")


def _parts(files: Sequence[Path]) -> tuple[dict[str, Part], list[str]]:
    """(the part of each image by its name without extension, the message about images of several parts)."""
    known = {file.stem for file in files if file.suffix.lower() == ".xml"}
    lists = {file.stem: file for file in files if file.suffix == ".txt" and file.parts[-3:-1] == ("ImageSets", "Main")}
    parts: dict[str, Part] = {}
    list_of: dict[str, str] = {}
    several: dict[str, str] = {}
    for name, part in _LISTS.items():
        if name in lists:
            try:
                text = lists[name].read_text(encoding="utf-8-sig")
            except (OSError, ValueError) as error:
                raise TableError(f"cannot read '{lists[name]}': {os_reason(error)}") from None
            images = dict.fromkeys(_listed_name(line, known) for line in text.splitlines() if line.strip())
            for image in images:
                first = list_of.get(image, name)
                if first != name and (first != "trainval" or part == "test"):
                    several.setdefault(image, f"'{image}' is in '{first}.txt' and '{name}.txt'")
            parts |= dict.fromkeys(images, part)
            list_of |= dict.fromkeys(images, name)
    if not several:
        return parts, []
    example = next(iter(several.values()))
    how = "'test.txt' before 'val.txt' before 'train.txt'"
    return parts, [
        f"images in several lists in ImageSets/Main, of which one is used, {how}: {len(several)} ({example})"
    ]


def _listed_name(line: str, known: Set[str]) -> str:
    """The name of an image in a list without its folder and its extension, which lists of other tools have.

    In lists of a class, -1, 0 or 1 follows, unless the whole line is the name of an annotation.
    """
    name = _name_of_file(line.strip())
    return name if name in known else _name_of_file(re.sub(r"\s+-?[01]$", "", line.strip()))


def _name_of_file(text: str) -> str:
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    return name[: name.rindex(".")] if name.lower().endswith(IMAGE_EXTENSIONS) else name


def _unlisted_messages(parts: Mapping[str, Part], known: Set[str]) -> list[str]:
    """The message about names in the lists of parts that no annotation has."""
    unknown = [name for name in parts if name not in known]
    if not unknown:
        return []
    return [f"names in ImageSets/Main that no XML file has: {len(unknown)} of {len(parts)} (such as '{unknown[0]}')"]


FORMAT = Format(
    name="voc",
    title="Pascal VOC",
    looks_like="a folder with an XML file 'annotation' for each image",
    read=read,
    recognises_folder=recognises,
    options=("images",),
)
