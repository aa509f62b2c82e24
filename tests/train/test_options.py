"""The options of a step."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from eyebright.errors import InputError
from eyebright.train.options import FitOptions


def test_options_can_be_copied_from_attributes_of_the_same_names() -> None:
    options = FitOptions(clip=1.0, mixup=0.2, balance="pos_weight")
    fields = {name: getattr(options, name) for name in FitOptions.__dataclass_fields__}
    assert FitOptions.of(SimpleNamespace(**fields, lr=1e-3)) == options


def test_the_defaults_do_not_mix_or_change_the_loss() -> None:
    options = FitOptions()
    assert not options.mixes
    assert not options.changes_loss
    assert (options.clip, options.accumulate, options.ema) == (None, 1, None)


def test_importing_the_options_does_not_load_torch() -> None:
    code = "import eyebright.train.options, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accumulate": 0}, "`accumulate` must be a whole number, at least 1, got 0"),
        ({"accumulate": 1.5}, "`accumulate` must be a whole number, at least 1, got 1.5"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a whole number, at least 1, got 0"),
        ({"clip": 0.0}, "`clip` must be a number, above 0, got 0.0"),
        ({"clip": float("nan")}, "`clip` must be a number, above 0, got nan"),
        ({"ema": 1.0}, "`ema` must be a number, above 0, below 1, got 1.0"),
        ({"optimizer": "lion"}, "unknown `optimizer` 'lion'. Known: 'adamw', 'sgd'"),
        ({"balance": "pos_weigth"}, "unknown `balance` 'pos_weigth'. Did you mean 'pos_weight'"),
        ({"mixup": -1.0}, "`mixup` must be a number, at least 0, got -1.0"),
        ({"cutmix": float("inf")}, "`cutmix` must be a number, at least 0, got inf"),
        ({"clip": 1e-320}, "`clip` is 1e-320, which is 0 in float32; give at least 1.2e-38"),
        ({"mixup": 5e-324}, "`mixup` is 5e-324, which is 0 in float32"),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be a number, at least 0, below 1, got 1.0"),
    ],
)
def test_an_invalid_option_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitOptions(**fields)
