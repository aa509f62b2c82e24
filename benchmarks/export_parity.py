"""Whether an exported model answers as Python does: each way to use it on the same images, and ways that others take.

    eyebright export model --to onnx --out shipped
    eyebright export model --to page --out shipped
    python benchmarks/export_parity.py model shipped photos/ [--count 1000] [--json out.json]

The model has labels or classes. Ours: Python, the command line, onnxruntime in a process that can import neither torch
nor Eyebright (`examples/answer_with_onnxruntime.py`), the page in headless Chromium where ``shipped`` has one, and
Python with other versions of Pillow. Their decisions are their own. Others, with the same network behind them: see
`parity_others`; their decisions are those of the model's thresholds.

Other packages are installed with uv or pip into folders below ``--work``, and nowhere else.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import measure
import numpy as np
from parity_others import installed, other_ways
from parity_ways import Answers, Array, by_command, by_example, by_page, by_pillow, from_json

from eyebright.export.answers_graph import ANSWERS
from eyebright.export.page import PAGE
from eyebright.export.parity import LIMIT
from eyebright.export.record import read_record
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Predictor
from eyebright.io.files import get_image_files

Rows = dict[str, dict[str, float | int]]
PILLOWS = ("pillow>=11,<12", "pillow>=12,<13", "pillow>=13,<14")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model folder")
    parser.add_argument("shipped", type=Path, help="the folder of its export")
    parser.add_argument("images", type=Path, help="a folder of images")
    parser.add_argument("--count", type=int, default=1000, help="how many images")
    parser.add_argument("--work", type=Path, help="where other packages are installed; by default a temporary folder")
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    found = [str(path) for path in get_image_files(arguments.images)]
    paths = [found[i] for i in np.linspace(0, len(found) - 1, min(arguments.count, len(found))).astype(int)]
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        compare(arguments.model, arguments.shipped, paths, work, arguments.json)


def compare(model: Path, shipped: Path, paths: Sequence[str], work: Path, out: Path | None) -> None:
    """Runs all ways, prints and saves the table."""
    predictor = load_predictor(model, runtime="torch", device="cpu")
    expected = from_json(predictor.predict(list(paths)).to_json(), predictor.manifest)
    results: Rows = {}
    seconds: dict[str, float] = {}
    for way in our_ways(predictor, model, shipped, paths, work):
        started = time.perf_counter()
        name, answers = way()
        seconds[name] = time.perf_counter() - started
        results[name] = differences(predictor, expected, answers)
    ours = set(results)
    for name, other in other_ways(shipped, read_record(shipped), predictor.manifest.model.arch, paths, work).items():
        started = time.perf_counter()
        results[name] = differences(predictor, expected, Answers(other()))
        seconds[name] = time.perf_counter() - started
    report(len(paths), {name: row for name, row in results.items() if name in ours})
    report(len(paths), {name: row for name, row in results.items() if name not in ours})
    measure.save(out, {"images": len(paths), "results": results, "seconds": seconds})


def our_ways(
    predictor: Predictor, model: Path, shipped: Path, paths: Sequence[str], work: Path
) -> Iterator[Callable[[], tuple[str, Answers]]]:
    """What gives (the name of the way, its answers)."""
    manifest = predictor.manifest
    yield lambda: ("eyebright predict", from_json(by_command(model, paths), manifest))
    yield lambda: ("onnxruntime without torch and Eyebright", from_json(by_example(shipped, paths), manifest))
    if (shipped / PAGE).is_file():
        yield lambda: ("page in Chromium", by_page(shipped / PAGE, paths, manifest))
    for number, package in enumerate(PILLOWS):

        def with_pillow(package: str = package, folder: Path = work / f"pillow-{number}") -> tuple[str, Answers]:
            version, answers = by_pillow(model, paths, installed(folder, package))
            return f"Python with Pillow {version}", from_json(answers, manifest)

        yield with_pillow


def differences(predictor: Predictor, expected: Answers, given: Answers) -> dict[str, float | int]:
    """The largest difference, and the decisions that change; of them those that are not near a threshold."""
    decision = predictor.manifest.decision
    margins = ANSWERS[decision.target.name].margins
    assert margins is not None  # only labels and classes are measured here
    is_near = margins(expected.probabilities, decision) <= LIMIT
    decided = decisions(predictor, given.probabilities) if given.decisions is None else given.decisions
    assert expected.decisions is not None  # `from_json` has them
    differs = (expected.decisions != decided).reshape(is_near.shape)
    return {
        "largest difference": float(np.abs(expected.probabilities - given.probabilities).max()),
        "mean difference": float(np.abs(expected.probabilities - given.probabilities).mean()),
        "decisions": differs.size,
        "near": int(is_near.sum()),
        "changed": int(differs.sum()),
        "changed, not near": int((differs & ~is_near).sum()),
    }


def decisions(predictor: Predictor, rows: Array) -> Array:
    """The decisions of the saved model as numbers."""
    import torch

    decision = predictor.manifest.decision
    decoded = decision.decode_batch(torch.from_numpy(rows.astype(np.float32)))
    encoded = np.stack([np.atleast_1d(decision.target.encode(one).numpy()) for one in decoded])
    return np.nan_to_num(encoded, nan=-1)


def report(n_images: int, results: Mapping[str, Mapping[str, float | int]]) -> None:
    """Prints the table."""
    print(f"{n_images:,} images, compared with Python:\n")
    columns = list(next(iter(results.values())))
    rows = [[name, *(f"{value:.2g}" if isinstance(value, float) else f"{value:,}" for value in row.values())]
            for name, row in results.items()]  # fmt: skip
    print(measure.table(["", *columns], rows), "\n", flush=True)


if __name__ == "__main__":
    main()
