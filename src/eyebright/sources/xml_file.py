"""Reads XML label files; files with XML entities are refused, since a small one can expand to fill the memory."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from eyebright.errors import TableError, os_reason

_ENTITY = b"<!ENTITY"


def xml_elements(path: Path, tags: tuple[str, ...]) -> Iterator[ET.Element]:
    """The elements with one of the tags, with their children, in the order of their closing tags.

    The children of an element are dropped when the next one is asked for.

    Raises:
        TableError: the file cannot be read, or is broken; the message names the line.
    """
    try:
        with path.open("rb") as file:
            if _ENTITY in file.read(10_000):
                raise TableError(f"'{path}' declares XML entities, which are not read; export it again without them")
            file.seek(0)
            inside = 0
            for event, element in ET.iterparse(file, events=("start", "end")):
                if element.tag not in tags:
                    continue
                inside += 1 if event == "start" else -1
                if event == "end" and not inside:
                    yield element
                    element.clear()
    except ET.ParseError as error:
        line, _ = error.position
        raise TableError(
            f"'{path}' line {line} is not valid XML: {str(error).split(':', 1)[0]}; is the file cut off? "
            "export it again"
        ) from None
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from error


def text_of(element: ET.Element, tag: str) -> str:
    """The text of the first child with a tag, without spaces around it; empty where there is none."""
    return (element.findtext(tag) or "").strip()
