"""A small generated image dataset."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def coloured_squares(folder: Path, count: int = 24, *, size: tuple[int, int] = (48, 64), seed: int = 0) -> pd.DataFrame:
    """The table of ``count`` new images with up to three coloured squares each; the colours are the labels.

    Columns: fname, labels (joined by a space), is_valid (every fourth), x and y (the first square's centre).
    """
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        pixels = random.integers(90, 140, (*size, 3), dtype=np.uint8)
        chosen = [name for name in COLOURS if random.random() < 0.5] if i % 6 else []
        centers = []
        for name in chosen:
            y, x = int(random.integers(0, size[0] - 16)), int(random.integers(0, size[1] - 16))
            pixels[y : y + 16, x : x + 16] = COLOURS[name]
            centers.append((x + 8.0, y + 8.0))
        name = f"{i:03}.png"
        PIL.Image.fromarray(pixels).save(folder / name)
        x, y = centers[-1] if centers else (np.nan, np.nan)
        rows.append({"fname": name, "labels": " ".join(chosen), "is_valid": i % 4 == 3, "x": x, "y": y})
    return pd.DataFrame(rows)
