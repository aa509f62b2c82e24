"""Models on the Hugging Face hub: ``hf-hub:owner/name`` or ``hf-hub:owner/name@revision`` in place of a folder.

Only the files that a prediction needs are downloaded, into huggingface_hub's own cache; without a network they are read
from there. No code of a repository is run.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from eyebright.errors import ArtifactError, InputError, shortened
from eyebright.inference.folder_format import GRAPH, MANIFEST, OUT_OF_DISTRIBUTION, WEIGHTS
from eyebright.inference.inspect_folder import read_json

PREFIX = "hf-hub:"
_NAME = re.compile(r"(?!.*(?:--|\.\.))[\w][\w.\-]{0,94}[\w]?/[\w][\w.\-]{0,94}[\w]?", re.ASCII)
_REVISION = re.compile(r"[\w][\w./\-]{0,200}", re.ASCII)


class Repository(NamedTuple):
    """A repository of the hub.

    Args:
        name: ``"owner/name"``.
        revision: a branch, a tag or a commit; None for the main branch.
    """

    name: str
    revision: str | None = None


def parse_repository(text: str) -> Repository:
    """The repository in ``"owner/name"`` or ``"owner/name@revision"``, with or without ``hf-hub:``.

    Raises:
        InputError: it has another form.
    """
    name, at, revision = text.removeprefix(PREFIX).partition("@")
    if not _NAME.fullmatch(name) or (at and not _REVISION.fullmatch(revision)) or ".." in revision:
        raise InputError(
            f"a repository of the Hugging Face hub is 'owner/name' or 'owner/name@revision', of letters, digits, '-', "
            f"'_' and '.'; got '{text}'"
        )
    return Repository(name, revision or None)


def local_folder(place: str | Path) -> Path:
    """The folder of a model: the given one, or the downloaded files of the hub for ``hf-hub:owner/name``.

    Args:
        place: a folder, or ``hf-hub:`` with the name of a repository.

    Raises:
        InputError: the name of the repository is invalid.
        ArtifactError: the repository or revision does not exist, contains no model of Eyebright, or cannot be
            downloaded.
    """
    if not str(place).startswith(PREFIX):
        return Path(place)
    repository = parse_repository(str(place))
    manifest = _download(repository, MANIFEST)
    _check_manifest(manifest, repository)
    exact = Repository(repository.name, manifest.parent.name)  # the folder of a commit: all files belong to it
    _download(exact, WEIGHTS)
    for names in ((OUT_OF_DISTRIBUTION,), (GRAPH, f"{GRAPH}.sha256")):
        try:
            for name in names:
                _download(exact, name)
        except ArtifactError:  # not needed for a prediction
            continue
    return manifest.parent


@contextmanager
def hub_errors(repository: Repository, what: str) -> Generator[None]:
    """Context that converts the errors of huggingface_hub and its HTTP library to an `ArtifactError` of one sentence.

    Args:
        repository: the repository that is read or written.
        what: the operation, for the message: ``"cannot download 'manifest.json' from"``.

    Raises:
        ArtifactError: in place of such an error.
    """
    from huggingface_hub import errors

    name = f"'{repository.name}'" + (f" at '{repository.revision}'" if repository.revision else "")
    begin = f"{what} {name} on the Hugging Face hub: "
    try:
        yield
    except (ArtifactError, InputError):
        raise
    except errors.GatedRepoError:
        raise ArtifactError(
            f"{begin}its owner restricts access; request it on its page, and log in with `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise ArtifactError(f"{begin}there is no such revision") from None
    except errors.RepositoryNotFoundError:
        raise ArtifactError(
            f"{begin}there is no such repository, or it is private: check the name, or log in with `hf auth login`"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise ArtifactError(
            f"{begin}the hub cannot be reached, and the file is not in the cache of earlier downloads"
        ) from None
    except errors.EntryNotFoundError:
        raise ArtifactError(f"{begin}there is no such file") from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        hint = {401: "log in with `hf auth login`", 403: "this login may not do that"}.get(status or 0, "try again")
        raise ArtifactError(f"{begin}the server answered with status {status}; {hint}") from None
    except Exception as error:  # exceptions of the HTTP library, OSError, ValueError: all failures of a connection
        texts = (
            str(cause).rstrip(".") or type(cause).__name__ for cause in (error, error.__cause__) if cause is not None
        )
        reason = shortened(": ".join(texts), limit=300)
        raise ArtifactError(f"{begin}{reason}; try again, complete files are not downloaded again") from None


def _download(repository: Repository, name: str) -> Path:
    """The path of a file of a repository, in the cache."""
    from huggingface_hub import hf_hub_download

    with hub_errors(repository, f"cannot download '{name}' from"):
        return Path(hf_hub_download(repository.name, name, revision=repository.revision, library_name="eyebright"))


def _check_manifest(path: Path, repository: Repository) -> None:
    """Raises `ArtifactError` unless the file may be a manifest, before any weights are downloaded."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"'{repository.name}' on the Hugging Face hub has no valid {MANIFEST}: {error}") from None
    if not isinstance(content, dict) or not {"schema", "model", "target"} <= content.keys():
        raise ArtifactError(
            f"'{repository.name}' on the Hugging Face hub is not a model of Eyebright: its {MANIFEST} is another kind "
            f"of file"
        )
