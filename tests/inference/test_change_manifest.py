"""Another decision of a saved model replaces its manifest, and can be undone; the weights stay."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eyebright.errors import ArtifactError
from eyebright.inference import change_manifest
from eyebright.inference.change_manifest import restored_on_failure, save_manifest, undo_manifest
from eyebright.inference.folder_format import MANIFEST, PREVIOUS, WEIGHTS
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest, load_model
from eyebright.inference.save_folder import save_model
from eyebright.models.build import model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds

TARGET = MultiCategoryBlock(vocab=["cat", "dog"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    manifest = Manifest(model_description("test_resnet", 2, size=32), Decision(TARGET))
    return save_model(tmp_path / "model", manifest, {"weight": torch.arange(3.0)})


def with_thresholds(folder: Path, *values: float, lower: tuple[float, ...] | None = None) -> Manifest:
    manifest = load_manifest(folder)
    decision = manifest.decision.with_thresholds(Thresholds(values, lower=lower))
    return replace(manifest, decision=decision, tuning={"promises": []})


def test_another_decision_is_loaded_with_the_same_weights(folder: Path) -> None:
    weights = (folder / WEIGHTS).read_bytes()
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8, lower=(0.1, 0.2)))
    manifest, state = load_model(folder)
    assert manifest.decision.thresholds == Thresholds((0.7, 0.8), lower=(0.1, 0.2))
    assert manifest.tuning == {"promises": []}
    assert torch.equal(state["weight"], torch.arange(3.0))
    assert (folder / WEIGHTS).read_bytes() == weights


def test_the_last_change_can_be_undone_and_only_that(folder: Path) -> None:
    first = (folder / MANIFEST).read_bytes()
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    second = (folder / MANIFEST).read_bytes()
    save_manifest(folder, with_thresholds(folder, 0.1, 0.2))
    assert undo_manifest(folder).decision.thresholds == Thresholds((0.7, 0.8))
    assert json.loads((folder / MANIFEST).read_bytes()) == json.loads(second) != json.loads(first)
    with pytest.raises(ArtifactError, match=f"nothing to undo: '.*' contains no {PREVIOUS}"):
        undo_manifest(folder)


def test_a_new_model_in_the_folder_forgets_the_earlier_manifest(folder: Path) -> None:
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    save_model(folder, load_manifest(folder), {"weight": torch.zeros(3)})
    assert not (folder / PREVIOUS).exists()


def test_the_manifest_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = Manifest(model_description("test_resnet", 2, size=32), Decision(MultiCategoryBlock(vocab=["cat", "lion"])))
    with pytest.raises(ArtifactError, match="the manifest belongs to another model than the one in"):
        save_manifest(folder, other)
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    elsewhere = save_model(tmp_path / "other", other, {"weight": torch.zeros(3)})
    (elsewhere / PREVIOUS).write_bytes((folder / PREVIOUS).read_bytes())
    with pytest.raises(ArtifactError, match=f"{PREVIOUS}' belongs to another model than the one in .*delete it"):
        undo_manifest(elsewhere)
    (folder / PREVIOUS).unlink()
    assert {name: (folder / name).read_bytes() for name in before if name != MANIFEST} == {
        name: content for name, content in before.items() if name != MANIFEST
    }


def test_without_its_manifest_a_model_that_was_changed_does_not_answer_as_before_the_change(folder: Path) -> None:
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    changed = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match=rf"there is no {MANIFEST}, and the copy in .* is older than the last chan"):
        load_model(folder)
    (folder / MANIFEST).write_bytes((folder / PREVIOUS).read_bytes())
    load_model(folder)
    (folder / MANIFEST).write_bytes(changed)
    assert load_model(folder)[0].decision.thresholds.values == (0.7, 0.8)


def test_a_damaged_earlier_manifest_changes_nothing(folder: Path) -> None:
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    now = (folder / MANIFEST).read_bytes()
    for damaged, message in (("{", "is not JSON"), ("[]", "belongs to another model")):
        (folder / PREVIOUS).write_text(damaged)
        with pytest.raises(ArtifactError, match=message):
            undo_manifest(folder)
    broken = {**json.loads(now), "decision": {}}
    (folder / PREVIOUS).write_text(json.dumps(broken))
    with pytest.raises(ArtifactError, match=f"{PREVIOUS}' cannot be used"):
        undo_manifest(folder)
    assert (folder / MANIFEST).read_bytes() == now


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_keeps_its_manifest(folder: Path) -> None:
    now, changed = (folder / MANIFEST).read_bytes(), with_thresholds(folder, 0.7, 0.8)
    folder.chmod(0o500)
    with pytest.raises(ArtifactError, match="what was there before is unchanged"):
        save_manifest(folder, changed)
    folder.chmod(0o700)
    assert (folder / MANIFEST).read_bytes() == now


def test_a_full_disk_keeps_the_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    changed = with_thresholds(folder, 0.7, 0.8)

    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArtifactError, match="No space left on device; what was there before is unchanged"):
        save_manifest(folder, changed)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_manifest_of_a_model_that_was_replaced_in_the_meantime_is_refused(folder: Path) -> None:
    late = replace(with_thresholds(folder, 0.7, 0.8), evaluation_hash="0" * 64)
    with pytest.raises(ArtifactError, match="the manifest belongs to another model than the one in"):
        save_manifest(folder, late)


def test_a_change_that_wrote_nothing_on_a_full_disk_is_not_said_to_be_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_manifest(folder, with_thresholds(folder, 0.7, 0.8))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise ArtifactError("No space left on device")

    monkeypatch.setattr(change_manifest, "write_together", full)
    with pytest.raises(ArtifactError, match="^No space left on device$"), restored_on_failure(folder):
        save_manifest(folder, with_thresholds(folder, 0.1, 0.2))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (MANIFEST, "could not be restored: No space left on device; it is changed, which `eyebright tune` with `undo`"),
        ("report.html", "it decides as before, but 'report.html' is not as it was"),
    ],
)
def test_what_cannot_be_restored_is_said(
    name: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "report.html").touch()

    def full(_: object, writers: Mapping[str, object]) -> None:
        assert list(writers) == [name]
        raise ArtifactError("No space left on device")

    monkeypatch.setattr(change_manifest, "write_together", full)

    def stop() -> None:
        with restored_on_failure(folder, ["report.html"]):
            (folder / name).write_text("changed")
            raise ArtifactError("Stopped")

    with pytest.raises(ArtifactError, match=f"^Stopped; .*{message}"):
        stop()
