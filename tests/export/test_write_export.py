"""Two exports into one folder at once keep the files of both in the record."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eyebright.errors import ArtifactError, InputError
from eyebright.export import files
from eyebright.export.files import check_no_foreign_export, preprocess_source, write_export
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


@pytest.mark.parametrize(
    ("target", "name"), [("onnx", "preprocess.py"), ("onnx", "model.onnx"), ("openvino", "model.xml"),
                         ("torch-export", "model.pt2"), ("torch-export", "export.json")]
)  # fmt: skip
def test_a_file_of_another_program_is_not_replaced(target: str, name: str, tmp_path: Path) -> None:
    check_no_foreign_export(tmp_path / "new", target)
    (tmp_path / name).write_bytes(b'{"name": "mine"}')
    with pytest.raises(InputError, match=f"{name}' exists and was not written by an export of Eyebright, which would"):
        check_no_foreign_export(tmp_path, target)


def test_what_exports_have_written_can_be_replaced_also_without_a_record(tmp_path: Path) -> None:
    write_export(tmp_path, MADE, "torch-export", {"model.pt2": b"1"}, {})
    write_export(tmp_path, MADE, "onnx", {"model.onnx": b"1", "preprocess.py": preprocess_source()}, {})
    for target in ("onnx", "torch-export"):
        check_no_foreign_export(tmp_path, target)
    (tmp_path / "export.json").unlink()  # an export that is killed writes it last
    (tmp_path / "model.onnx").write_bytes(b"producer Eyebright")
    check_no_foreign_export(tmp_path, "onnx")
