"""Removes all sources of pretrained weights, so that each test provides the ones it needs."""

import urllib.error
import urllib.request
from pathlib import Path

import huggingface_hub.constants
import pytest


@pytest.fixture(autouse=True)
def no_weights_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights folder, empty download caches, and no name resolution."""

    def unknown_host(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.delenv("EYEBRIGHT_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", unknown_host)
