"""A model on the hub: what is uploaded and what is not, and that it answers there as it does here."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub_constants
import numpy as np
import onnx
import pytest
import timm
import torch
from huggingface_hub import ModelCard

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, InputError
from eyebright.inference.hub import local_folder, parse_repository
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.load_predictor import load_predictor, save_onnx
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_model
from eyebright.inference.runtimes.graph_file import write_graph
from eyebright.inference.save_folder import save_model
from eyebright.inference.training_images import TrainingImages
from eyebright.models.build import build_model, model_description
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import Resize
from eyebright.types import Thresholds
from eyebright.workflow.push import push_to_hub
from eyebright.workflow.report import make_report
from support.evaluations import make_evaluation
from support.hub_server import StandIn, running

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of huggingface_hub's uploads

NAME = "someone/squares"
SECRET = "secret-patient"
TARGET = MultiCategoryBlock(vocab=["blue", "green"])
IMAGE = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with everything that names files of its data."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    torch.manual_seed(0)
    description = model_description("test_resnet", 2, size=32, lin_ftrs=(8,))
    decision = Decision(TARGET).with_thresholds(Thresholds((0.4, 0.6), metric="f1_macro"))
    evaluation = make_evaluation(TARGET, torch.randn(12, 2), (torch.rand(12, 2) > 0.5).float())
    evaluation = replace(evaluation, files=tuple(f"{SECRET}-{i}.jpg" for i in range(12)), decision=decision)
    report = {"title": "squares", "messages": [SECRET], "skipped": [[SECRET, "empty"]], "leaking": [SECRET]}
    report["settings"] = [["cache", f"/data/{SECRET}"], ["lr", "0.1"]]
    manifest = Manifest(
        description,
        decision,
        (Resize(32),),
        training={"weights": f"/home/{SECRET}/w.pth", "weights_licence": "apache-2.0"},
        report=report,
    )
    images = TrainingImages(folder.parent / SECRET, (f"{SECRET}-20.jpg",)).to_bytes(folder)
    state = build_model(description).state_dict()
    save_model(folder, manifest, state, evaluation=evaluation, training_images=images)
    (folder / "options.json").write_text(json.dumps({"source": SECRET}))
    make_report(folder)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """The stand-in, which huggingface_hub takes for the hub, with an empty cache."""
    with running() as state:
        monkeypatch.setattr(hub_constants, "ENDPOINT", state.url)
        monkeypatch.setattr(
            hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", state.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(hub_constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
        yield state


def test_a_pushed_model_answers_as_the_one_it_was_pushed_from(model: Path, hub: StandIn) -> None:
    said: list[str] = []
    address = push_to_hub(model, NAME, say=said.append)
    assert address.startswith(f"{hub.url}/{NAME}/commit/")
    here, there = load_predictor(model, device="cpu"), load_predictor(f"hf-hub:{NAME}", device="cpu")
    assert torch.equal(here.predict(IMAGE)[0].activated, there.predict(IMAGE)[0].activated)
    assert there.thresholds == here.thresholds
    assert any("left out, since they contain names of files" in one and "evaluation.parquet" in one for one in said)
    assert any("options.json" in one and "may contain paths" in one for one in said)


def test_no_name_of_a_file_of_the_data_is_uploaded(model: Path, hub: StandIn) -> None:
    push_to_hub(model, NAME)
    files = hub.repositories[NAME]
    assert set(files) == {"README.md", "backbone.safetensors", "config.json", "manifest.json", "model.safetensors"}
    assert [name for name, data in files.items() if SECRET.encode() in data] == []


@pytest.mark.slow
def test_the_graph_is_uploaded_without_paths_of_the_machine(model: Path, hub: StandIn, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    graph = onnx.load_from_string(save_onnx(copy).read_bytes())
    graph.graph.node[0].metadata_props.add(key="stack_trace", value=f"File /home/{SECRET}/code.py")  # as once exported
    write_graph(copy / "network.onnx", graph.SerializeToString())
    push_to_hub(copy, NAME)
    places = [SECRET, f"{Path.home()}/", f"{Path(__file__).parents[2]}/", f"{Path(torch.__file__).parents[1]}/"]
    for name, data in hub.repositories[NAME].items():
        assert [place for place in places if place.encode() in data] == [], name
    assert load_predictor(f"hf-hub:{NAME}", device="cpu", runtime="onnx").predict(IMAGE)
    assert inspect_folder(local_folder(f"hf-hub:{NAME}")).problems == []


def test_a_damaged_graph_is_left_out_with_a_sentence(model: Path, hub: StandIn, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    write_graph(copy / "network.onnx", b"no graph")
    said: list[str] = []
    push_to_hub(copy, NAME, say=said.append)
    assert not {"network.onnx", "network.onnx.sha256"} & set(hub.repositories[NAME])
    assert any(line.startswith("network.onnx is left out: the graph is not an ONNX file") for line in said)


def test_files_for_timm_of_an_earlier_model_are_removed(
    model: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(model, NAME)
    monkeypatch.setattr("eyebright.workflow.push.timm_files", lambda *_: None)
    push_to_hub(model, NAME)
    assert not {"config.json", "backbone.safetensors"} & set(hub.repositories[NAME])


def test_the_uploaded_folder_is_whole_and_says_what_is_missing(model: Path, hub: StandIn) -> None:
    push_to_hub(model, NAME)
    folder = local_folder(f"hf-hub:{NAME}")
    assert inspect_folder(folder).problems == []
    with pytest.raises(ArtifactError, match="contains no evaluation.parquet, .* or it is a copy without that file"):
        make_report(folder)


def test_the_evaluation_is_uploaded_if_asked_for_and_removed_by_a_push_without(model: Path, hub: StandIn) -> None:
    push_to_hub(model, NAME, with_evaluation=True)
    assert {"evaluation.parquet", "training_images.json", "report.html", "report.json"} <= set(hub.repositories[NAME])
    assert "options.json" not in hub.repositories[NAME]
    push_to_hub(model, NAME)
    files = set(hub.repositories[NAME])
    assert not {"evaluation.parquet", "training_images.json", "report.html", "report.json"} & files


def test_the_card_on_the_hub_names_the_repository_and_the_licence(model: Path, hub: StandIn) -> None:
    push_to_hub(model, NAME, licence="mit")
    card = ModelCard(hub.repositories[NAME]["README.md"].decode())
    assert card.data.license == "mit"
    assert f'load_predictor("hf-hub:{NAME}")' in card.text
    assert '"MODEL"' not in card.text


def test_an_edited_card_is_uploaded_as_it_is(model: Path, hub: StandIn, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    (copy / "README.md").write_text("# Mine\n")
    push_to_hub(copy, NAME)
    assert hub.repositories[NAME]["README.md"] == b"# Mine\n"
    with pytest.raises(InputError, match=r"`licence` cannot be written into '.*README.md', which was edited"):
        push_to_hub(copy, NAME, licence="mit")


def test_an_edited_card_that_is_not_utf_8_is_one_sentence(model: Path, hub: StandIn, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    (copy / "README.md").write_bytes("# Für mich\n".encode("latin-1"))
    with pytest.raises(ArtifactError, match=r"README.md' is not UTF-8, which the hub needs: save it as UTF-8"):
        push_to_hub(copy, NAME)
    assert hub.repositories == {}


def test_timm_loads_the_backbone(model: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    push_to_hub(model, NAME)
    backbone = timm.create_model(f"hf-hub:{NAME}", pretrained=True).eval()
    predictor = load_predictor(model, device="cpu")
    pixels = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        ours = predictor.model.body(pixels)
        features: Any = backbone.forward_features  # of a model of timm, whose types are those of any module
        theirs = features(pixels)
    assert torch.equal(ours, theirs)
    assert list(backbone.pretrained_cfg["mean"]) == list(predictor.manifest.model.input.mean)


def test_the_same_commit_is_loaded_again_without_the_hub(
    model: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_to_hub(model, NAME)
    commit = hub.commit(NAME)
    expected = load_predictor(f"hf-hub:{NAME}", device="cpu").predict(IMAGE)[0].activated
    hub.fail["resolve"] = 503
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    for place in (f"hf-hub:{NAME}", f"hf-hub:{NAME}@{commit}"):
        assert torch.equal(load_predictor(place, device="cpu").predict(IMAGE)[0].activated, expected)
    with pytest.raises(ArtifactError, match="cannot be reached, and the file is not in the cache"):
        load_predictor("hf-hub:someone/else")


def test_a_connection_that_is_cut_is_resumed(model: Path, hub: StandIn) -> None:
    push_to_hub(model, NAME)
    hub.cut.add("model.safetensors")
    assert load_model(local_folder(f"hf-hub:{NAME}"))[0].target == TARGET
    assert hub.cut == set()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("hf-hub:someone/nothing", "there is no such repository, or it is private"),
        (f"hf-hub:{NAME}@v9", "at 'v9' on the Hugging Face hub: there is no such revision"),
        ("hf-hub:other/kind", r"cannot download 'manifest.json' from 'other/kind' .*: there is no such file"),
        ("hf-hub:other/json", "is not a model of Eyebright: its manifest.json is another kind of file"),
        ("hf-hub:other/damaged", "has no valid manifest.json: it is not JSON"),
    ],
)
def test_what_is_not_there_is_one_sentence(model: Path, hub: StandIn, place: str, message: str) -> None:
    push_to_hub(model, NAME)
    hub.repositories["other/kind"] = {"model.safetensors": b"0" * 100}
    hub.repositories["other/json"] = {"model.safetensors": b"0" * 100, "manifest.json": b"{}"}
    hub.repositories["other/damaged"] = {"model.safetensors": b"0" * 100, "manifest.json": b"{"}
    with pytest.raises(ArtifactError, match=message) as raised:
        load_predictor(place)
    assert "\n" not in str(raised.value)
    assert ("GET", "/other/json/resolve/main/model.safetensors") not in hub.requests


@pytest.mark.parametrize(("status", "message"), [(401, "log in with `hf auth login`"), (403, "this login may not")])
def test_a_push_without_permission_is_one_sentence(model: Path, hub: StandIn, status: int, message: str) -> None:
    hub.fail["/api/repos/create"] = status
    with pytest.raises(ArtifactError, match=message):
        push_to_hub(model, NAME)
    assert hub.repositories == {}


def test_an_upload_that_fails_leaves_the_repository_as_it_was_and_can_be_repeated(model: Path, hub: StandIn) -> None:
    hub.fail[f"/api/models/{NAME}/commit"] = 400
    with pytest.raises(ArtifactError, match="the server answered with status 400; try again"):
        push_to_hub(model, NAME)
    assert hub.repositories[NAME] == {}
    hub.fail.clear()
    hub.requests.clear()
    push_to_hub(model, NAME)
    assert [path for method, path in hub.requests if method == "PUT"] == []  # the weights are there already


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "../x", "a/..", "a b/c", "owner/name@", "owner/name@..", "-/"])
def test_a_name_of_another_format_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="'owner/name' or 'owner/name@revision'"):
        parse_repository(text)


def test_the_command_lists_what_it_uploads(model: Path, hub: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", str(model), NAME, "--licence", "cc-by-4.0"]) == 0
    out = capsys.readouterr().out
    assert "uploaded: README.md" in out
    assert "--with-evaluation" in out
    assert f"{hub.url}/{NAME}/commit/" in out
    assert run(["push", str(model), "no name"]) == 2


@pytest.mark.slow
def test_importing_the_predictor_does_not_import_the_hub() -> None:
    code = "import sys, eyebright.inference.predictor, eyebright.workflow.push; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "False"
