"""Loading a model while another process replaces it: the old model, the new one or an error, never parts of both."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.replacing import checkpoint_numbers, evaluation_numbers, load_beside_writer, model_numbers

LOADS = 300  # ``python -m support.replacing FOLDER 10000`` is the long version


@pytest.mark.parametrize("load", [model_numbers, evaluation_numbers, checkpoint_numbers])
def test_what_is_loaded_while_it_is_replaced_is_never_a_mixture(
    tmp_path: Path, load: Callable[[Path], set[float]]
) -> None:
    outcomes = load_beside_writer(tmp_path / "model", LOADS, load)
    assert sum(outcomes.values()) == LOADS
    # The evaluation has a file of its own: between two renames it belongs to another model, which is an error.
    expected = ("model 0.25", "model 0.75", "error: ") if load is evaluation_numbers else ("model 0.25", "model 0.75")
    assert {outcome for outcome in outcomes if not outcome.startswith(expected)} == set()
