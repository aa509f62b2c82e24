"""Download of many image files, as in chapter 2 of the fastai book: a broken address does not stop the others."""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eyebright.errors import DownloadError, InputError, checked_keywords, os_reason
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.io.text import warn
from eyebright.io.transfer import delete_partial, transfer

_ATTEMPTS = 2
_MAX_BYTES = 500_000_000  # of a file; no camera writes larger ones, and some servers never stop sending
# File systems take 255 bytes for a name with its suffix, a number and the ending of a partial file.
_MAX_STEM_BYTES = 200


@checked_keywords
def download_images(
    dest: str | Path,
    url_file: str | Path | None = None,
    urls: Iterable[str] | None = None,
    max_pics: int = 1000,
    n_workers: int = 8,
    timeout: float = 4,
    preserve_filename: bool = False,  # noqa: FBT001 - fastai's signature
) -> dict[str, str]:
    """Downloads image files into a folder; returns the URLs that failed, with the reason, and warns of them.

    A file is named by a hash of its URL, so that a second call adds images and replaces none. A URL without an image's
    ending gives a ``.jpg``; `eyebright.image.image.verify` finds files that are not images. A file of more than 500 MB
    fails.

    Args:
        dest: the folder; it is created if missing.
        url_file: a text file with one URL a line.
        urls: URLs, instead of a file.
        max_pics: largest number of URLs.
        n_workers: number of downloads at the same time.
        timeout: seconds without receiving data after which an attempt has failed.
        preserve_filename: name files as in their URL, shortened to 200 bytes, with a number where a name is taken; a
            second call downloads all again.

    Raises:
        InputError: not one of ``url_file`` and ``urls``, or the file cannot be read.
        DownloadError: the folder cannot be created.
    """
    folder = Path(dest)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"cannot create the folder '{dest}': {os_reason(error)}") from error
    chosen = list(dict.fromkeys(_urls(url_file, urls)))[:max_pics]
    names = _own_names(chosen, folder) if preserve_filename else [_hashed_name(url) for url in chosen]
    with ThreadPoolExecutor(n_workers) as pool:
        problems = pool.map(lambda url, name: _download(url, folder / name, timeout), chosen, names)
        failed = {url: problem for url, problem in zip(chosen, problems, strict=True) if problem}
    if failed:
        url, reason = next(iter(failed.items()))
        warn(f"{len(failed)} of {len(chosen)} images could not be downloaded, such as '{url}' ({reason})", stacklevel=3)
    return failed


def _urls(url_file: str | Path | None, urls: Iterable[str] | None) -> list[str]:
    if (url_file is None) == (urls is None):
        raise InputError("give `url_file`, a text file with one URL a line, or `urls`, and not both")
    if urls is not None:
        if isinstance(urls, str):
            raise InputError(f"`urls` is a list of URLs, got the text '{urls}'; give urls=['{urls}']")
        return list(urls)
    assert url_file is not None  # one of both is given
    try:
        text = Path(url_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list of URLs '{url_file}': {error}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _download(url: str, target: Path, timeout: float) -> str | None:
    """None if the file is there now; otherwise what is wrong."""
    partial = target.with_name(f".{target.name}.part")
    try:
        if target.exists():
            return None
        transfer(url, partial, progress=_check_size, timeout=timeout, attempts=_ATTEMPTS)
        partial.replace(target)
    except (DownloadError, OSError, ValueError) as error:  # ValueError: the URL is malformed
        return str(error)
    finally:
        delete_partial(partial)
    return None


def _check_size(received: int, total: int | None) -> None:
    if max(received, total or 0) > _MAX_BYTES:
        raise DownloadError(f"the file has more than {_MAX_BYTES // 10**6} MB, too many for an image")


def _hashed_name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16] + _suffix(_name_in(url))


def _own_names(urls: Sequence[str], folder: Path) -> list[str]:
    taken = {path.name.casefold() for path in folder.iterdir()}  # where case makes no difference, too
    names: list[str] = []
    for url in urls:
        name = _name_in(url)
        stem = Path(name).stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES].decode("utf-8", "ignore") or "image"
        suffix, number = _suffix(name), 0
        own = stem + suffix
        while own.casefold() in taken:
            number += 1
            own = f"{stem}_{number}{suffix}"
        taken.add(own.casefold())
        names.append(own)
    return names


def _name_in(url: str) -> str:
    try:
        return Path(unquote(urlsplit(url).path).replace("\0", "")).name
    except ValueError:
        return ""


def _suffix(name: str) -> str:
    suffix = Path(name).suffix
    return suffix if suffix.lower() in IMAGE_EXTENSIONS else ".jpg"
