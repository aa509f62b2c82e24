"""The race: its parts and scores, its file of results, its tables, and one program from end to end."""

import importlib
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
import pytest
import timm
import torch
from safetensors.torch import load_file

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LITE = "tf_efficientnet_lite0"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A function that imports a module of the benchmarks folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder of two classes with ten images each: red and blue."""
    folder = tmp_path / "set"
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (folder / name).mkdir(parents=True)
        for i in range(10):
            noise = np.random.default_rng(i).integers(0, 50, (40, 50, 3), dtype=np.uint8)
            PIL.Image.fromarray(noise + np.array(colour, dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


def table(folder: Path, rows: list[str], header: str = "file,labels") -> Path:
    """A table of labels whose images exist."""
    for row in rows:
        PIL.Image.new("RGB", (40, 30)).save(folder / row.split(",")[0])
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def race(module: Any, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    module("race")
    monkeypatch.setattr(sys, "argv", ["race.py", *words])
    runpy.run_path(str(BENCHMARKS / "race.py"), run_name="__main__")


# ------------------------------------------------------------------ parts and scores


def test_the_three_parts_are_disjoint_and_every_class_is_in_each(module: Any, classes: Path) -> None:
    data = module("race_data")
    parts = data.split(data.read(classes, None), None, held_out=0.3, valid=0.2)
    paths = [{image["path"] for image in part} for part in (parts.train, parts.valid, parts.held_out)]
    assert sum(map(len, paths)) == len(set.union(*paths)) == 20
    assert [len(part) for part in paths] == [11, 3, 6]
    assert all({image["target"] for image in part} == {"red", "blue"} for part in (parts.train, parts.held_out))
    assert parts.names == ["blue", "red"]


def test_the_validation_part_of_the_data_is_held_out_unless_it_is_split_again(module: Any, tmp_path: Path) -> None:
    data = module("race_data")
    rows = [f"{i}.png,{'a b' if i % 2 else 'a'},{i >= 15}" for i in range(20)]
    source = data.read(table(tmp_path, rows, "file,labels,is_valid"), None)
    own = data.split(source, None, held_out=0.3, valid=0.2)
    assert {Path(image["path"]).name for image in own.held_out} == {f"{i}.png" for i in range(15, 20)}
    again = data.split(source, 1, held_out=0.3, valid=0.2)
    assert len(again.held_out) == 6
    assert {image["path"] for image in again.held_out} != {image["path"] for image in own.held_out}
    assert data.split(source, 1, held_out=0.3, valid=0.2) == again


def test_an_unknown_label_ends_the_race_with_a_sentence(module: Any, tmp_path: Path) -> None:
    data = module("race_data")
    rows = [f"{i}.png,{int(i < 6)},{'?' if i == 3 else i % 2}" for i in range(12)]
    source = data.read(table(tmp_path, rows, "file,cat,dog"), None)
    with pytest.raises(SystemExit, match=r"3\.png' has unknown labels or points"):
        data.split(source, 0, held_out=0.3, valid=0.2)


def test_scores_are_those_worked_out_by_hand(module: Any) -> None:
    data = module("race_data")
    several = [{"path": "", "target": labels} for labels in (["a"], ["a", "b"], ["b"])]
    parts = data.Images("multi", [], [], several, ["a", "b", "c"])
    predicted = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.1], [0.3, 0.1, 0.1]])
    # a: ranks 1 and 3 -> (1 + 2/3) / 2; b: ranks 2 and 3 -> (1/2 + 2/3) / 2; no held-out image has c
    assert data.score(predicted, parts) == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    one = data.Images("single", [], [], [{"path": "", "target": name} for name in ("a", "b", "x")], ["a", "b"])
    assert data.score(np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]]), one) == pytest.approx(1 / 3)
    points = data.Images("points", [], [], [{"path": "", "target": [[0.0, 0.0], [10.0, 10.0]]}], ["1", "2"])
    assert data.score(np.array([[[3.0, 4.0], [10.0, 11.0]]]), points) == pytest.approx(3)


@pytest.mark.parametrize("predicted", [np.zeros((2, 2)), np.full((3, 2), np.nan)])
def test_predictions_that_cannot_be_scored_are_an_error(module: Any, predicted: Any) -> None:
    data = module("race_data")
    parts = data.Images("single", [], [], [{"path": "", "target": "a"}] * 3, ["a", "b"])
    with pytest.raises(ValueError, match=r"expected finite predictions of shape \(3, 2\)"):
        data.score(predicted, parts)


# ------------------------------------------------------------------ programs


def test_a_program_whose_interpreter_lacks_a_module_is_said_with_what_to_do(module: Any) -> None:
    entrant = replace(module("race_entrants").BY_NAME["fastai"], modules=("no_such_module",))
    with pytest.raises(SystemExit, match=r"fastai: '.+' has no module no_such_module; install it there \(pip install"):
        entrant.check("multi")
    with pytest.raises(SystemExit, match=r"fastai: '/no/python' is no Python interpreter that runs"):
        replace(entrant, python="/no/python").check("multi")


def test_a_program_that_does_not_train_the_targets_is_said(module: Any) -> None:
    with pytest.raises(SystemExit, match=r"Ultralytics does not train this kind of target \(multi\)"):
        module("race_entrants").BY_NAME["ultralytics"].check("multi")


def test_timm_without_its_train_script_is_said(module: Any) -> None:
    with pytest.raises(SystemExit, match="its package has no train.py; give a checkout of timm with --timm-scripts"):
        module("race_entrants").BY_NAME["timm"].check("single")


@pytest.mark.slow
def test_the_prepared_cache_gives_timm_the_tensors_of_the_package_in_its_own_order(module: Any, tmp_path: Path) -> None:
    variables = module("race_entrants").pretrained_weights(LITE, tmp_path / "cache")
    assert variables["HF_HUB_OFFLINE"] == "1"
    [file] = (tmp_path / "cache").rglob("model.safetensors")
    model = timm.create_model(LITE).eval()
    model.load_state_dict(load_file(file))
    code = (
        "import sys, timm, torch; model = timm.create_model(sys.argv[1], pretrained=True).eval();"
        "print(model(torch.ones(1, 3, 64, 64)).sum().item())"
    )
    environment = {"PATH": "/usr/bin", **variables}
    command = [sys.executable, "-c", code, LITE]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    with torch.inference_mode():
        expected = model(torch.ones(1, 3, 64, 64)).sum().item()
    assert float(found.stdout) == pytest.approx(expected, rel=1e-3), found.stderr


def test_eyebright_runs_with_its_own_defaults(module: Any, tmp_path: Path) -> None:
    run = module("peers.race_protocol").Run(
        kind="multi",
        train=[],
        valid=[],
        held_out=[],
        names=["a"],
        arch=LITE,
        size=(128, 128),
        bs=32,
        epochs=None,
        seed=3,
        folder=str(tmp_path),
    )
    command = module("race_entrants").BY_NAME["eyebright"].train(run)
    assert not {"--epochs", "--arch", "--bs", "--lr"} & set(command)
    assert command[command.index("--size") + 1] == "128x128"
    assert "--epochs" in module("race_entrants").BY_NAME["eyebright"].train(replace(run, epochs=0))


# ------------------------------------------------------------------ running


@pytest.mark.slow
def test_a_plain_loop_runs_from_end_to_end_and_a_finished_run_is_not_repeated(
    module: Any, classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "race.jsonl"
    words = [str(classes), "--run", "plain", "--json", str(results), "--size", "32", "--bs", "4", "--seeds", "0"]
    race(module, monkeypatch, *words, "--epochs", "1")
    machine, row = map(json.loads, results.read_text().splitlines())
    assert machine["machine"]["processors"] >= 1
    assert row["key"]["set"] == "set"
    assert row["images"] == [11, 3, 6]
    assert 0 <= row["score"] <= 1
    assert row["processor_seconds"] > 0
    race(module, monkeypatch, *words, "--epochs", "1")
    assert [json.loads(line) for line in results.read_text().splitlines()][1] == row
    assert sum("key" in json.loads(line) for line in results.read_text().splitlines()) == 1
    capsys.readouterr()
    race(module, monkeypatch, "--render", str(results), "--svg", str(tmp_path / "race.svg"))
    assert "| plain PyTorch loop |" in capsys.readouterr().out
    assert "</svg>" in (tmp_path / "race.svg").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "limit", "reason"),
    [
        ("raise SystemExit('no weights')", 60, "no weights"),
        ("import time; time.sleep(60)", 0.2, "not finished after 0.00333 minutes"),
        ("pass", 60, "No such file or directory"),
    ],
)
def test_a_program_that_fails_is_written_down_with_its_reason(
    module: Any, classes: Path, tmp_path: Path, code: str, limit: float, reason: str
) -> None:
    data, script = module("race_data"), module("race")
    parts = data.split(data.read(classes, None), None, held_out=0.3, valid=0.2)
    run = module("peers.race_protocol").Run(
        parts.kind, parts.train, parts.valid, [], parts.names, LITE, (32, 32), 4, 1, 0, str(tmp_path)
    )
    entrant = replace(module("race_entrants").BY_NAME["plain"], command=lambda *_: [sys.executable, "-c", code])
    result = script.make_run(entrant, run, parts, {}, limit)
    assert reason in result["failed"]
    assert "score" not in result


@pytest.mark.slow
def test_a_race_that_is_ended_ends_the_program_that_runs(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(BENCHMARKS)!r})
import race, race_data, race_entrants
from peers.race_protocol import Run
def run(arguments):
    run = Run("single", [], [], [], [], "", (32, 32), 4, 1, 0, {str(tmp_path)!r})
    program = "import os, pathlib, time; pathlib.Path('PID').write_text(str(os.getpid())); time.sleep(300)"
    race.execute([sys.executable, "-c", program.replace('PID', {str(tmp_path / "pid")!r})], {{}}, run, 300)
race.race = run
sys.argv = ["race.py", "data", "--json", "results.jsonl"]
race.main()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.terminate()
    assert "ended by a signal" in process.communicate(timeout=30)[1]
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_programs_alternate_within_a_length_and_eyebright_has_its_frozen_model_and_its_default(module: Any) -> None:
    script = module("race")
    arguments = script.argparse.Namespace(resplits=2, seeds=[7], epochs=[1, 5])
    chosen = [module("race_entrants").BY_NAME[name] for name in ("eyebright", "plain")]
    made = [(entry.entrant.name, entry.epochs, entry.split) for entry in script.schedule(chosen, arguments)]
    first = [("eyebright", 0), ("eyebright", None), ("eyebright", 1), ("plain", 1), ("plain", 5)]
    assert made == [(*pair, split) for split in (0, 1) for pair in first]


# ------------------------------------------------------------------ tables


def row(entrant: str, epochs: int | None, seconds: float, score: float, **key: Any) -> dict[str, Any]:
    """A line of a file of results."""
    full = {"set": "s", "arch": LITE, "size": [128, 128], "split": None, "seed": 0}
    return {
        "key": {**full, "entrant": entrant, "epochs": epochs, **key},
        "metric": "accuracy",
        "score": score,
        "seconds": seconds,
        "processor_seconds": seconds,
        "images": [8, 2, 5],
        "load": 1.0,
        "when": "2026-11-26T00:00:00+00:00",
    }


ROWS = [
    row("eyebright", 0, 10, 0.8),
    row("eyebright", None, 70, 0.9),
    row("plain", 1, 30, 0.7),
    row("plain", 3, 100, 0.85),
    row("fastai", 1, 400, 0.6),
]


def test_a_mark_has_the_best_model_that_was_finished_by_then(module: Any) -> None:
    render = module("race_render")
    [found] = render.read_races(ROWS)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in render.marks_table(found).splitlines()[2:]]
    assert lines == [
        ["Eyebright, frozen", "0.800", "0.800", "0.800", "0.800"],
        ["Eyebright, default", "", "0.900", "0.900", "0.900"],
        ["Eyebright, best of all", "0.800", "0.900", "0.900", "0.900"],
        ["plain PyTorch loop", "0.700", "0.850", "0.850", "0.850"],
        ["fastai", "", "", "", "0.600"],
    ]


def test_the_time_to_the_best_score_of_the_others_is_said(module: Any) -> None:
    render = module("race_render")
    [found] = render.read_races(ROWS)
    assert render.to_best_peer(found) == (
        "best of the others: plain PyTorch loop with 3 epochs, 0.850 after 100 s; "
        "Eyebright (default) has 0.900 after 70 s, 0.70 of that time and 0.70 of its processor seconds"
    )
    [worse] = render.read_races([ROWS[0], row("plain", 1, 30, 0.81)])
    assert render.to_best_peer(worse).endswith("0.810 after 30 s; Eyebright does not reach it")


def test_of_distances_the_smaller_is_better(module: Any) -> None:
    render = module("race_render")
    rows = [{**line, "metric": "error in pixels"} for line in ROWS]
    [found] = render.read_races(rows)
    assert found.best(found.points["plain PyTorch loop"]).score == 0.7
    assert "0.600 after 400 s; Eyebright does not reach it" in render.to_best_peer(found)


def test_a_length_without_all_runs_is_left_out_and_said(module: Any) -> None:
    render = module("race_render")
    failed = {"key": row("plain", 3, 0, 0, seed=1)["key"], "failed": "no memory", "load": 1.0, "when": ""}
    rows = [*ROWS[2:4], row("plain", 1, 32, 0.8, seed=1), failed]
    [found] = render.read_races(rows)
    assert [point.epochs for point in found.points["plain PyTorch loop"]] == [1]
    assert found.points["plain PyTorch loop"][0].score == pytest.approx(0.75)
    assert "plain PyTorch loop, epochs 3, split None, seed 1: no memory" in found.failed
    assert "plain PyTorch loop, epochs 3: 1 of 2 runs, left out" in found.failed


def test_the_default_is_compared_with_the_frozen_model_and_with_the_book_by_splits(module: Any) -> None:
    render = module("race_render")
    gains = [0.1, 0.2, 0.3]
    rows = [
        line
        for split, gain in enumerate(gains)
        for seed, more in ((0, -0.05), (1, 0.05))
        for line in (
            row("eyebright", 0, 9, 0.5, split=split, seed=seed),
            row("eyebright", None, 9, 0.5 + gain + more, split=split, seed=seed),
            row("book", 5, 9, 0.6, split=split, seed=seed),
        )
    ]
    races = render.read_races(rows)
    frozen, book = render.pooled_differences(races).split("\n\n")
    # t with 2 degrees of freedom: 4.303 * 0.1 / sqrt(3) = 0.248
    assert "frozen model, positive is better: s +0.200 (95 % CI -0.048 to +0.448); all 3 splits of" in frozen
    assert "book's head, positive is better: s +0.100 (95 % CI -0.148 to +0.348); all 3 splits of" in book
    assert render.to_best_peer(races[0]) == ""  # both are Eyebright


def test_differences_of_errors_in_pixels_are_positive_where_better_and_are_not_pooled(module: Any) -> None:
    render = module("race_render")
    rows = [row("eyebright", epochs, 9, error) for epochs, error in ((0, 5.0), (None, 4.25))]
    races = render.read_races([{**line, "metric": "error in pixels"} for line in rows])
    assert render.pooled_differences(races).endswith("positive is better: s +0.750 pixels")
