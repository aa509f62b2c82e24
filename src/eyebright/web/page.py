"""A page written as one HTML file: it needs no network, no other file and no server.

All markup is in ``page.html``, which escapes every value, because names of labels and files are not trusted. The
content security policy of the page forbids loading anything and running any script but its own, given by its hash.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from eyebright._version import __version__
from eyebright.io.atomic import write_text
from eyebright.io.files import CHOOSE_ANOTHER, check_replaceable
from eyebright.web.blocks import Section


class Page(Protocol):
    """The content of a page."""

    @property
    def title(self) -> str:
        """The heading."""
        ...

    @property
    def summary(self) -> str:
        """A short description of the set."""
        ...

    @property
    def opening(self) -> Sequence[Section]:
        """The sections before the metrics."""
        ...

    @property
    def metric_rows(self) -> Sequence[Any]:
        """The metrics of the whole set; empty if there are none."""
        ...

    @property
    def sections(self) -> Sequence[Section]:
        """The sections, in their order."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """Sentences on what is missing from the page."""
        ...

    @property
    def footer(self) -> str:
        """The words before the version of Eyebright at the end of the page."""
        ...


@dataclass(frozen=True)
class SectionsPage:
    """The content of a page of sections without a table of metrics; the fields are those of `Page`."""

    title: str
    summary: str
    sections: Sequence[Section]
    footer: str
    opening: Sequence[Section] = ()
    notices: Sequence[str] = ()

    @property
    def metric_rows(self) -> Sequence[Any]:
        """Empty."""
        return ()


def write_page(page: Page, path: str | Path, what: str = "report", *, follow_link: bool = True) -> Path:
    """Writes the page, completely or not at all; returns its path.

    Args:
        page: the content of the page.
        path: path of the HTML file; its folder is created if missing.
        what: what the page is, for messages.
        follow_link: as in `write_page_text`.

    Raises:
        ArtifactError: the file cannot be written.
        InputError: the file exists and is not an HTML page.
    """
    path = Path(path)
    check_page_file(path, what)
    return write_page_text(render_page(page), path, what, follow_link=follow_link)


def write_page_text(text: str, path: Path, what: str = "report", *, follow_link: bool = True) -> Path:
    """Writes the text of a page, completely or not at all; returns its path.

    Args:
        text: HTML.
        path: the path of the file; its folder is created if missing.
        what: what the page is, for messages.
        follow_link: where ``path`` is a symbolic link, write the file that it leads to.

    Raises:
        ArtifactError: the file cannot be written.
    """
    write_text(path, text, what, follow_link=follow_link, errors="backslashreplace")
    return path


def check_page_file(path: Path, what: str = "report", *, remedy: str = CHOOSE_ANOTHER) -> None:
    """Raises `InputError`, which ends with the remedy, if the file exists and is not an HTML page."""
    check_replaceable(path, ["<!doctype html"], what, remedy=remedy)


def render_page(page: Page) -> str:
    """The page as the text of one HTML file."""
    script, style = packaged("page.js"), packaged("page.css")
    return template("page.html").render(
        page=page,
        any_drawn=any(row.is_share for row in page.metric_rows),
        any_baseline=any(row.baseline is not None for row in page.metric_rows),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=style,
        version=__version__,
    )


@cache
def template(name: str) -> Any:
    """A packaged template, which escapes every value; compiled once, which takes longer than rendering it."""
    import jinja2  # not before a page is written: it takes 30 ms

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def packaged(name: str) -> str:
    """The text of a file of this package."""
    return packaged_bytes(name).decode()


def packaged_bytes(name: str) -> bytes:
    """The content of a file of this package, by its path from here."""
    return resources.files("eyebright.web").joinpath(*name.split("/")).read_bytes()
