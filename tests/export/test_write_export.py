"""Two exports into one folder at once keep the files of both in the record."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eyebright.errors import ArtifactError
from eyebright.export import files
from eyebright.export.files import write_export
from eyebright.export.record import CONTRACT, read_record
from eyebright.inference.save_folder import write_together
from eyebright.io.atomic import exclusive_folder

MADE: Any = SimpleNamespace(facts={"contract": CONTRACT, "model": {"id": "1"}, "versions": {}})


def test_of_two_exports_at_once_none_loses_its_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(folder: Path, writers: Mapping[str, Callable[[Path], Any] | None], *, what: str) -> None:
        time.sleep(0.2)
        write_together(folder, writers, what=what)

    monkeypatch.setattr(files, "write_together", slowly)
    written = {"onnx": "model.onnx", "openvino": "model.xml", "torch-export": "model.pt2"}
    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(write_export, tmp_path / "new", MADE, to, {name: b"1"}, {}) for to, name in written.items()]
        for one in done:
            one.result()
    assert set(read_record(tmp_path / "new").files) == set(written.values())


def test_a_folder_that_another_process_keeps_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MAX_WAIT", 0.1)
    message = "another process has written to '.*' for more than 0 seconds; wait for its end, or export to another"
    with exclusive_folder(tmp_path), pytest.raises(ArtifactError, match=message):
        write_export(tmp_path, MADE, "onnx", {"model.onnx": b"1"}, {})
    assert list(tmp_path.iterdir()) == []
