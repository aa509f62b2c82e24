"""Calibrations: increasing maps of raw outputs, checked when made, exact through JSON."""

import json
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from eyebright._choices import CalibrationKind
from eyebright.errors import InputError
from eyebright.tasks.calibration import (
    CALIBRATIONS,
    MAX_SLOPE,
    Beta,
    Calibration,
    Isotonic,
    NoCalibration,
    Platt,
    Temperature,
    calibration_from_json,
    calibration_to_json,
)

K = 3
POSITIVE = st.floats(0.05, 20)
ANY = st.floats(-20, 20)
OUTPUTS = torch.tensor([[0.0, 2.0, -1.0], [5.0, -5.0, 0.1], [-30.0, 30.0, 1e-5]])


@st.composite
def knots_and_values(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """Increasing knots, and values with slopes in the allowed range."""
    steps = draw(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, MAX_SLOPE)), min_size=1, max_size=8))
    runs = np.cumsum([draw(ANY), *(run for run, _ in steps)])
    rises = np.cumsum([draw(ANY), *(run * slope for run, slope in steps)])
    return runs.tolist(), rises.tolist()


def isotonic(rows: list[tuple[list[float], list[float]]]) -> Isotonic:
    return Isotonic(tuple(tuple(knots) for knots, _ in rows), tuple(tuple(values) for _, values in rows))


def each(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(numbers, min_size=K, max_size=K).map(tuple)


KINDS: dict[str, st.SearchStrategy[Calibration]] = {
    "none": st.just(NoCalibration()),
    "temperature": st.builds(Temperature, POSITIVE),
    "platt": st.builds(Platt, each(POSITIVE), each(ANY)),
    "beta": st.builds(Beta, each(POSITIVE), each(POSITIVE), each(ANY)),
    "isotonic": st.lists(knots_and_values(), min_size=K, max_size=K).map(isotonic),
}
EVERY = st.one_of(*KINDS.values())


def test_each_kind_that_can_be_chosen_has_a_class_and_a_law() -> None:
    assert list(CALIBRATIONS) == list(get_args(CalibrationKind)) == list(KINDS)


@given(EVERY)
def test_a_calibration_goes_through_json_and_comes_back_equal(calibration: Calibration) -> None:
    back = calibration_from_json(json.loads(json.dumps(calibration_to_json(calibration))))
    assert back == calibration
    assert torch.equal(back(OUTPUTS), calibration(OUTPUTS))


@given(EVERY, st.lists(st.floats(-60, 60, width=32), min_size=2, max_size=20))
def test_a_calibration_never_reverses_the_order_of_the_outputs_of_a_label(
    calibration: Calibration, numbers: list[float]
) -> None:
    column = torch.tensor(sorted(numbers))
    calibrated = calibration(column[:, None].expand(-1, K).contiguous())
    assert calibrated.dtype == torch.float32
    assert bool(calibrated.isfinite().all())
    rounding = 2e-6 * calibrated.abs().amax(dim=0) + 2e-6
    assert bool((calibrated.diff(dim=0) >= -rounding).all())


@given(EVERY)
def test_a_row_is_calibrated_alike_alone_and_in_a_batch(calibration: Calibration) -> None:
    alone = torch.cat([calibration(row[None]) for row in OUTPUTS])
    assert torch.allclose(alone, calibration(OUTPUTS), rtol=1e-6, atol=1e-6)


@given(KINDS["isotonic"])
def test_a_rounding_difference_of_an_output_cannot_become_a_jump(calibration: Calibration) -> None:
    column = torch.linspace(-40, 140, 2000, dtype=torch.float64)[:, None].expand(-1, K)
    difference = (calibration(column + 1e-5) - calibration(column)).abs()
    assert float(difference.max()) <= MAX_SLOPE * 1e-5 * 1.001


# ------------------------------------------------------------------------------- formulas


def test_temperature_divides_the_outputs() -> None:
    assert torch.equal(Temperature(4.0)(OUTPUTS), OUTPUTS / 4)


def test_platt_is_a_line_for_each_label() -> None:
    slopes, offsets = (0.5, 2.0, 1.0), (1.0, 0.0, -3.0)
    expected = [[s * x + o for x, s, o in zip(row, slopes, offsets, strict=True)] for row in OUTPUTS.tolist()]
    assert torch.allclose(Platt(slopes, offsets)(OUTPUTS), torch.tensor(expected))


def test_beta_is_that_of_its_paper() -> None:
    p = torch.tensor([[0.01, 0.5, 0.9], [0.3, 0.7, 0.99]], dtype=torch.float64)
    a, b, c = (0.5, 1.0, 2.0), (2.0, 1.0, 0.3), (0.1, -0.5, 1.0)
    tensors = [torch.tensor(numbers, dtype=torch.float64) for numbers in (a, b, c)]
    paper = 1 / (1 + 1 / (tensors[2].exp() * p ** tensors[0] / (1 - p) ** tensors[1]))  # Kull et al., equation 4
    assert torch.allclose(Beta(a, b, c)(p.logit()).sigmoid(), paper)


@given(st.lists(knots_and_values(), min_size=K, max_size=K), st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_isotonic_is_numpys_interpolation_between_the_knots_of_each_label(
    rows: list[tuple[list[float], list[float]]], shares: list[float]
) -> None:
    columns = [np.array(shares) * (knots[-1] - knots[0]) + knots[0] for knots, _ in rows]
    expected = [np.interp(x, knots, values) for x, (knots, values) in zip(columns, rows, strict=True)]
    got = isotonic(rows)(torch.from_numpy(np.stack(columns, axis=1)))
    assert np.allclose(got.numpy(), np.stack(expected, axis=1), rtol=1e-9, atol=1e-6)


def test_isotonic_goes_on_with_the_slope_at_its_ends() -> None:
    calibration = Isotonic(((0.0, 1.0, 2.0), (0.0, 4.0)), ((0.0, 3.0, 3.5), (0.0, 2.0)))
    outputs = torch.tensor([[-2.0, -2.0], [4.0, 8.0]])
    assert torch.allclose(calibration(outputs), torch.tensor([[-6.0, -1.0], [4.5, 4.0]]))


def test_calibrations_with_parameters_for_labels_say_for_how_many() -> None:
    assert [NoCalibration().n_labels, Temperature(2).n_labels] == [None, None]
    assert Platt((1, 1), (0, 0)).n_labels == Beta((1, 1), (1, 1), (0, 0)).n_labels == 2
    assert Isotonic(((0, 1),) * 4, ((0, 1),) * 4).n_labels == 4


# ------------------------------------------------------------------------------- what is refused

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a newer kind": ({"kind": "platts"}, "unknown calibration 'platts'. Did you mean 'platt'"),
    "no number": ({"kind": "temperature"}, "the calibration 'temperature' has 'value', got nothing else"),
    "numbers of another": ({"kind": "none", "value": 1}, "the calibration 'none' has nothing else, got 'value'"),
    "a temperature of 0": (
        {"kind": "temperature", "value": 0},
        "`value` .* must be numbers from 1e-06 to 1e.06, got 0",
    ),
    "a huge integer": ({"kind": "temperature", "value": 10**400}, "`value` of the calibration 'temperature'"),
    "a boolean": ({"kind": "temperature", "value": True}, "must be numbers from .*, got True"),
    "not a number": ({"kind": "platt", "slopes": [float("nan")], "offsets": [0]}, "`slopes` .* must be numbers"),
    "a negative slope": ({"kind": "platt", "slopes": [-1], "offsets": [0]}, "`slopes` .* must be numbers"),
    "text": ({"kind": "platt", "slopes": [1], "offsets": ["0"]}, "`offsets` .* must be numbers .*, got '0'"),
    "no list": ({"kind": "platt", "slopes": 1, "offsets": [0]}, "`slopes` of the calibration 'platt' must be a list"),
    "no labels": (
        {"kind": "platt", "slopes": [], "offsets": []},
        "needs equal counts of parameters, one of each per label, got",
    ),
    "another length": (
        {"kind": "beta", "a": [1], "b": [1, 1], "c": [0]},
        "'beta' needs equal counts of parameters, one of each per label, got '1 a', '2 b', '1 c'",
    ),
    "one knot": ({"kind": "isotonic", "knots": [[1]], "values": [[1]]}, "needs two knots for each label, got 1"),
    "knots without values": (
        {"kind": "isotonic", "knots": [[0, 1]], "values": [[0]]},
        "needs as many values as knots for each label",
    ),
    "a row that is not a list": (
        {"kind": "isotonic", "knots": [0], "values": [[0]]},
        "`knots` .* must be a list, got 0",
    ),
    "knots that fall": ({"kind": "isotonic", "knots": [[1, 0]], "values": [[0, 1]]}, "'isotonic' must increase"),
    "equal values": ({"kind": "isotonic", "knots": [[0, 1]], "values": [[1, 1]]}, "'isotonic' must increase"),
    "a jump": (
        {"kind": "isotonic", "knots": [[0, 0.1]], "values": [[0, 1]]},
        "the slope of the calibration 'isotonic' must be at most 8, got 10",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_calibration_with_invalid_numbers_is_refused_in_one_sentence(wrong: str) -> None:
    data, says = WRONG[wrong]
    with pytest.raises(InputError, match=says) as error:
        calibration_from_json(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("calibration", [Platt((1, 1), (0, 0)), NoCalibration()], ids=["platt", "none"])
def test_the_dtype_of_the_outputs_stays(calibration: Calibration) -> None:
    outputs: Tensor = torch.zeros(1, 2, dtype=torch.float64)
    assert calibration(outputs).dtype == torch.float64
