r"""Names of images that carry their class, such as ``great_pyrenees_173.jpg``, in a folder or in a list.

The user's regular expression finds it, for example ``(.+)_\d+.jpg$``. Groups of it that are called ``split`` and
``group`` give the part of an image, and what it belongs to.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from eyebright._choices import Part
from eyebright.errors import InputError, TableError, count_text, listing
from eyebright.io.files import folder_content
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.folder import storage_folder
from eyebright.sources.folder_parts import parts_of_folders
from eyebright.sources.format import Format, ReadRequest
from eyebright.sources.groups import NO_GROUPS
from eyebright.sources.image_names import ImageNames
from eyebright.sources.label_file import numbered_lines
from eyebright.sources.parts import part_messages, part_of
from eyebright.sources.rows import LabelRows
from eyebright.sources.source import Source

_LABEL, _SPLIT, _GROUP = "label", "split", "group"
_MAX_LENGTH = 1000  # characters of a name; the time of a search can grow with the square of the length, or faster
_EXAMPLE = r"`pattern` is a regular expression whose first group is the class, such as '(.+)_\d+.jpg$'"


class _Image(NamedTuple):
    """An image of a folder or of a list.

    Args:
        file: its path, relative to the root of the source.
        name: what the regular expression is searched in.
        part: the part that the folders specify; None: they do not.
    """

    file: str
    name: str
    part: Part | None = None


class _Found(NamedTuple):
    """The class, the part and the group in a name."""

    label: str
    part: Part | None
    group: str | None


def read(request: ReadRequest) -> Source:
    """The images of a folder, or of a text file with a name on each line; their class is in their names.

    The path below the folder is searched; where all images are in ``images/`` or in the folders of a split, the path
    below those.

    Raises:
        InputError: the regular expression is missing, invalid, has no group, or does not match every name.
        TableError: a line of the list is not the name of an image.
    """
    if request.pattern is None:
        raise InputError(f"`format='names'` needs `pattern`: {_EXAMPLE}")
    find = _finder(request, request.pattern)
    images, messages = (_folder_images if request.path.is_dir() else _listed_images)(request)
    parsed_names = [find(image.name) for image in images]
    _check_all_match(request, request.pattern, images, parsed_names)
    rows = LabelRows(request.path)
    for image, parsed in zip(images, parsed_names, strict=True):
        assert parsed is not None
        rows.add(image.file, [parsed.label], part=parsed.part or image.part, group=parsed.group)
    first = parsed_names[0]
    assert first is not None
    sentences = [f"`pattern` finds the class in the names: '{first.label}' in '{images[0].name}'"]
    if groups := {match.group for match in parsed_names if match is not None and match.group is not None}:
        sentences.append(
            f"images with the same '{_GROUP}' of `pattern` are one group: {count_text(len(groups), 'group')}"
        )
    return rows.source(request, messages=[*sentences, *messages], is_single=True)


def _finder(request: ReadRequest, text: str) -> Callable[[str], _Found | None]:
    """The function from a name to its content; None if the expression does not match."""
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"`pattern` '{text}' is not a valid regular expression: {error}") from None
    names = pattern.groupindex
    others = {names[name] for name in (_SPLIT, _GROUP) if name in names}
    label = names.get(_LABEL) or next((i for i in range(1, pattern.groups + 1) if i not in others), None)
    if label is None:
        raise InputError(f"`pattern` '{text}' has no group in parentheses for the class; {_EXAMPLE}")
    if _GROUP in names and request.group not in (None, NO_GROUPS):
        raise InputError(
            f"`group='{request.group}'` and a group '{_GROUP}' of `pattern` both define the groups; give one"
        )

    def find(name: str) -> _Found | None:
        if len(name) > _MAX_LENGTH:
            raise InputError(
                f"`pattern` is searched in names of at most {_MAX_LENGTH:,} characters, and '{name[:60]}...' has "
                f"{len(name):,}"
            )
        match = pattern.search(name)
        if match is None or not (match[label] or "").strip():
            return None
        part = None
        if _SPLIT in names and (part := part_of(match[_SPLIT] or "")) is None:
            raise InputError(
                f"the group '{_SPLIT}' of `pattern` finds '{match[_SPLIT] or ''}' in '{name}', which is not the name "
                "of a part of the data: train, valid, test"
            )
        return _Found(match[label].strip(), part, (match[_GROUP] or None) if _GROUP in names else None)

    return find


def _check_all_match(
    request: ReadRequest, pattern: str, images: Sequence[_Image], matches: Sequence[_Found | None]
) -> None:
    missing = [image.name for image, match in zip(images, matches, strict=True) if match is None]
    if missing:
        raise InputError(
            f"`pattern` '{pattern}' finds no class in {len(missing)} of the {len(images)} names of '{request.path}': "
            f"{listing(missing[:5])}; change it so that it matches each, or take these images out"
        )


def _folder_images(request: ReadRequest) -> tuple[list[_Image], list[str]]:
    """(images, messages) of a folder."""
    root = request.path
    if request.images is not None:
        raise InputError(f"the images of '{root}' are in it; leave `images` out")
    content = folder_content(root)
    sentences = content.messages
    base = storage_folder(root, content.images)
    inner = [file.relative_to(base) for file in content.images]
    tops = {part_of(path.parts[0]) for path in inner if len(path.parts) > 1}
    if "train" in tops and tops & {"valid", "promise", "test"}:
        folder_parts = parts_of_folders(base, content.images)
        assert folder_parts.part is not None
        sentences += folder_parts.messages[len(part_messages(folder_parts.part)) :]
        rows = zip(folder_parts.files, folder_parts.inner, folder_parts.part, strict=True)
        return [_Image(file.relative_to(root).as_posix(), "/".join(path), part) for file, path, part in rows], sentences
    files = zip(content.images, inner, strict=True)
    return [_Image(file.relative_to(root).as_posix(), path.as_posix()) for file, path in files], sentences


def _listed_images(request: ReadRequest) -> tuple[list[_Image], list[str]]:
    """(images, messages) of a text file with a name on each line, perhaps below a header."""
    path = request.path
    names = ImageNames(request.root, path)
    images: list[_Image] = []
    sentences: list[str] = []
    for line, quoted in numbered_lines(path):
        text = quoted.strip('"')
        if not text:
            continue
        if looks_like_image(text):
            images.append(_Image(names.find(text, line=line), text.replace("\\", "/")))
        elif not images and not sentences:
            sentences.append(f"line {line} of '{path.name}', '{text}', is read as a header")
        else:
            raise TableError(
                f"'{path}' line {line}: '{text}' is not the name of an image; `pattern` takes a folder of images, or a "
                "text file with a name on each line"
            )
    if not images:
        raise TableError(f"'{path}' holds no name of an image; `pattern` takes one on each line, or a folder of images")
    return images, [*sentences, *names.messages()]


FORMAT = Format(
    name="names",
    title="images whose names carry the class",
    looks_like="with `pattern`: a folder of images, or a text file with the name of an image on each line",
    read=read,
    options=("images", "pattern"),
    is_general=True,
)
