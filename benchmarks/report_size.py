"""How long a report of many labels takes, how much memory, and how large it is.

    python benchmarks/report_size.py                          # 10,000 images with 1,000 labels, without thumbnails
    python benchmarks/report_size.py --images 2000 --labels 100

The outputs are generated; frequencies of labels are spread from 0.05 to 16 per cent.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import torch

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.build import build_report
from eyebright.report.data import ReportFacts
from eyebright.report.report_json import report_json
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.web.page import render_page


def main() -> None:
    """Prints seconds, peak memory and sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--json", type=Path, default=None, help="JSON file to write")
    arguments = parser.parse_args()
    evaluation = generated(arguments.images, arguments.labels)
    before, start = peak_megabytes(), time.process_time()
    data = build_report(evaluation, ReportFacts())
    built = time.process_time()
    page, numbers = render_page(data), report_json(data)
    done = time.process_time()
    measured = {
        "computed_s": built - start,
        "written_s": done - built,
        "peak_before_mb": before,
        "peak_mb": peak_megabytes(),
        "page_mb": len(page.encode()) / 1e6,
        "json_mb": len(numbers.encode()) / 1e6,
    }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n")
    print(f"{arguments.images:,} images, {arguments.labels:,} labels")
    print(f"computed in {built - start:.1f} s of CPU time, written in {done - built:.1f} s")
    print(f"peak memory {before:,.0f} MB before, {peak_megabytes():,.0f} MB after")
    print(
        f"page {len(page.encode()) / 1e6:.2f} MB without thumbnails, report.json {len(numbers.encode()) / 1e6:.2f} MB"
    )


def generated(images: int, labels: int) -> Evaluation:
    """An evaluation with labels from rare to frequent, ranked well but not perfectly."""
    generator = torch.Generator().manual_seed(0)
    frequencies = 10 ** (-3.3 + 2.5 * torch.rand(labels, generator=generator))
    targets = (torch.rand(images, labels, generator=generator) < frequencies).float()
    outputs = 4 * targets - 4 + 1.5 * torch.randn(images, labels, generator=generator)
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(labels)])
    files = tuple(f"{i:06}.jpg" for i in range(images))
    sizes = torch.full((images, 2), 300)
    return Evaluation(Decision(block), outputs, targets, files, Path("photos"), sizes)


def peak_megabytes() -> float:
    """The most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
