"""The example of the whole round: labels are flipped, found, fixed, and what that brought is compared."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "fix_labels.py"


@pytest.mark.slow
def test_the_round_says_what_the_fixing_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_random_weights(monkeypatch)
    rows = coloured_squares(tmp_path / "photos", 60)
    rows[["fname", "labels", "is_valid"]].to_csv(tmp_path / "t.csv", index=False)
    arguments = [tmp_path / "t.csv", tmp_path / "photos", tmp_path / "out", "--looks", "12", "--share", "0.1"]
    monkeypatch.setattr(sys, "argv", ["fix_labels.py", *map(str, arguments), "--arch", TINY_ARCH, "--size", "32"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    said = capsys.readouterr().out
    found = re.search(r"of the first (\d+) suspects (\d+) are wrong labels", said)
    assert found is not None
    assert 0 < int(found[1]) <= 12
    for line in (
        "the second model was trained from the first",
        "by the targets of the first model: mAP",
        "by the true",
    ):
        assert line in said


def test_a_share_of_all_cells_is_flipped_and_answers_undo_it() -> None:
    example = runpy.run_path(str(SCRIPT))
    truth = {f"{i}.jpg": {"a"} if i % 2 else {"b", "c"} for i in range(2000)}
    flipped = example["with_flips"](truth, ["a", "b", "c"], 0.05, np.random.default_rng(0))
    cells = [(file, name) for file in truth for name in "abc" if (name in truth[file]) != (name in flipped[file])]
    assert len(cells) == pytest.approx(300, abs=60)
    suspect = type("Cell", (), {})
    looked = []
    for file, name in cells:
        one = suspect()
        one.file, one.label = file, name
        looked.append(one)
    assert example["with_answers"](flipped, truth, looked) == truth
