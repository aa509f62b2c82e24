"""Facts of images that are not there, for checks of labelled images."""

from typing import Any

import numpy as np

from eyebright.check.facts import FactTable, Text


def facts_of(count: int, *, seed: int = 0, errors: dict[int, str] | None = None, **columns: Any) -> FactTable:
    """Facts as photographs have them, drawn at random; ``columns`` replace some."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, Any] = {
        "sizes": np.stack([rng.integers(450, 520, count), rng.integers(600, 700, count)], axis=1).astype(np.int32),
        "size_bytes": rng.integers(60_000, 120_000, count),
        "digests": rng.integers(0, 256, (count, 16)).astype(np.uint8),
        "formats": ["JPEG"] * count,
        "modes": ["RGB"] * count,
        "cameras": [""] * count,
        "colour": rng.uniform(0.2, 0.7, (count, 3)),
        "brightness": rng.uniform(0.3, 0.6, count),
        "contrast": rng.uniform(0.15, 0.3, count),
        "saturation": rng.uniform(0.05, 0.3, count),
        "sharpness": rng.uniform(0.02, 0.08, count),
        "border": rng.uniform(0.2, 0.7, (count, 3)),
        "border_spread": rng.uniform(0.1, 0.3, count),
        "signs": rng.integers(0, 2**63, (count, 1)).astype(np.uint64),
        "magnitudes": rng.integers(0, 2**63, (count, 1)).astype(np.uint64),
        "darkest": rng.uniform(0.0, 0.15, count),
        "lightest": rng.uniform(0.75, 1.0, count),
    }
    drawn |= columns
    for name in ("formats", "modes", "cameras"):
        drawn[name] = Text.of(drawn[name])
    return FactTable(errors=errors or {}, **drawn)
