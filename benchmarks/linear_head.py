"""The linear head of a frozen backbone: seconds and peak memory, and scikit-learn's beside it where both finish.

    python benchmarks/linear_head.py [--rounds 3] [--sizes 2000x25 5000x50] [--alone 10000x1000 100000x100]

Sizes are images x labels, with 1,280 features each. Features are random, correlated and not negative, like those that a
backbone pools; labels are noisy linear functions of them, from one positive in 2,000 images to one in three.

Of ``--sizes`` each label is fitted with the same C by `fit_linear_head` and by scikit-learn's `LogisticRegression`
(lbfgs with its default tolerance, one label after the other, standardisation included) in alternating rounds. The
difference is the largest of all probabilities; "exact" is that to scikit-learn's solution with a tolerance of 1e-7.

Of ``--alone`` every size runs in a process of its own and includes the choice of C by five folds. "processor seconds"
are those of all threads: on two idle cores the elapsed time is about half of them, whatever else the machine does now.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import comparison
import measure
import numpy as np
import torch
from memory import MemoryMonitor
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

from eyebright.train.linear_head.fit import fit_linear_head

FEATURES = 1280
C = 0.003
BLOCK = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=comparison.HelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds")
    parser.add_argument("--sizes", nargs="*", default=["2000x25", "5000x50"], help="beside scikit-learn")
    parser.add_argument("--alone", nargs="*", default=["10000x1000", "100000x100"], help="Eyebright alone")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    comparison.add_json_argument(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.worker:
        print(json.dumps(fit_alone(*size(arguments.worker))))
        return
    measure.warn_if_busy()
    with threadpool_limits(arguments.threads):
        beside = {text: compare(*size(text), rounds=arguments.rounds) for text in arguments.sizes}
    columns = ["images x labels", "Eyebright, s", "scikit-learn, s", "times as fast", "difference", "exact"]
    rows = [[text, *(str(one[name]) for name in ("ours", "theirs", "ratio"))] for text, one in beside.items()]
    for row, one in zip(rows, beside.values(), strict=True):
        row += [f"{one['difference']:.1e}", f"{one['exact']:.1e}"]
    print(measure.table(columns, rows), end="\n\n", flush=True)
    alone = {text: in_process(text, arguments.threads) for text in arguments.alone}
    columns = ["images x labels", "seconds", "processor seconds", "peak, MB", "before, MB"]
    print(measure.table(columns, [[text, *one.values()] for text, one in alone.items()]))
    measure.save(arguments.json, {"beside scikit-learn": beside, "alone": alone, "threads": arguments.threads})


def size(text: str) -> tuple[int, int]:
    """The numbers of images and labels of a text such as ``2000x25``."""
    images, labels = text.split("x")
    return int(images), int(labels)


def random_data(n: int, k: int) -> tuple[Tensor, Tensor]:
    """Features in float16, shape (n, 1280), and labels, shape (n, k)."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(FEATURES, FEATURES, generator=generator) * torch.logspace(0, -1.5, FEATURES) / 8
    features = torch.empty(n, FEATURES, dtype=torch.float16)
    for block in features.split(BLOCK):
        block.copy_((torch.randn(len(block), FEATURES, generator=generator) @ mixing.T + 0.3).relu())
    directions = torch.randn(FEATURES, k, generator=generator)
    outputs = torch.cat([block.float() @ directions for block in features.split(BLOCK)])
    outputs /= outputs.std(dim=0)
    for column, share in zip(outputs.T, torch.logspace(-3.3, -0.5, k).tolist(), strict=True):
        noisy = column + torch.randn(n, generator=generator)
        column.copy_(noisy > noisy.kthvalue(int(n * (1 - share))).values)
    return features, outputs


def compare(n: int, k: int, *, rounds: int) -> dict[str, object]:
    """Seconds of both, their ratio, and the largest differences of their probabilities."""
    features, labels = random_data(n, k)
    answers: dict[str, np.ndarray] = {}

    def ours(_: int) -> float:
        started = time.perf_counter()
        head = fit_linear_head(features, labels, objective="binary", C=C)
        answers["ours"] = head.outputs(features).sigmoid().numpy()
        return time.perf_counter() - started

    def theirs(_: int) -> float:
        started = time.perf_counter()
        answers["theirs"] = fit_scikit_learn(features, labels, tolerance=1e-4)
        return time.perf_counter() - started

    seconds = measure.alternate({"ours": ours, "theirs": theirs}, range(rounds))
    exact = fit_scikit_learn(features, labels, tolerance=1e-7)
    return {
        "ours": measure.spread(seconds["ours"]),
        "theirs": measure.spread(seconds["theirs"]),
        "ratio": measure.ratios(seconds["theirs"], seconds["ours"]),
        "difference": float(np.abs(answers["ours"] - answers["theirs"]).max()),
        "exact": float(np.abs(answers["ours"] - exact).max()),
    }


def fit_scikit_learn(features: Tensor, labels: Tensor, *, tolerance: float) -> np.ndarray:
    """The probabilities of scikit-learn's logistic regressions, one for each label, shape (n, k)."""
    x = features.double().numpy()
    scale = x.std(axis=0)
    scale = scale.clip(min=np.sort(scale)[(FEATURES - 1) // 2])  # at least the lower median, as here
    x = (x - x.mean(axis=0)) / scale
    model = LogisticRegression(C=C, tol=tolerance, max_iter=10_000)
    return np.stack([model.fit(x, label).predict_proba(x)[:, 1] for label in labels.T.numpy()], axis=1)


def fit_alone(n: int, k: int) -> dict[str, float]:
    """Elapsed and processor seconds of one fit, with the choice of C, and memory."""
    features, labels = random_data(n, k)
    before = MemoryMonitor(os.getpid())
    time.sleep(1)
    megabytes = before.stop().megabytes
    monitor = MemoryMonitor(os.getpid())
    started, used = time.perf_counter(), time.process_time()
    fit_linear_head(features, labels, objective="binary")
    seconds = {"seconds": time.perf_counter() - started, "processor seconds": time.process_time() - used}
    return seconds | {"peak": monitor.stop().megabytes, "before": megabytes}


def in_process(text: str, threads: int) -> dict[str, float]:
    """The result of ``fit_alone`` in a new process."""
    command = [sys.executable, Path(__file__).resolve(), "--worker", text, "--threads", str(threads)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(f"{text} done", file=sys.stderr)
    return json.loads(process.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
