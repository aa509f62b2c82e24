"""Time and peak memory of a whole ``fine_tune`` in fastai and in Eyebright.

    python benchmarks/fine_tune.py labels.csv --images photos/ --count 1000 --fastai-python PATH [--json out.json]

Runs ``fine_tune(3, freeze_epochs=1)`` with a validation after each epoch; resnet34 at 224 pixels with random weights,
unless ``--arch`` names a backbone with a package of weights. "training" is the time from the start to the end of
training; "process" also includes the start-up of the process (imports, data and model). The memory is the peak PSS of
the process and its workers, sampled every 0.2 seconds, predictions included.

The scores of the validation set show whether the accuracy is the same; with few seeds and images they are imprecise
(quality.py reports confidence intervals).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import comparison
import measure
import numpy as np
from peers.training_protocol import TrainingResult
from quality import SCORES, seconds, targets

EPOCHS, FREEZE_EPOCHS = 3, 1


def main() -> None:
    parser = comparison.create_parser(__doc__)
    comparison.add_fastai_arguments(parser)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs with all layers")
    parser.add_argument("--freeze-epochs", type=int, default=FREEZE_EPOCHS, help="epochs before them, head only")
    parser.add_argument("--rounds", type=int, default=1, help="how often each library trains, with another seed each")
    parser.set_defaults(arch="resnet34", size=[224])
    arguments = parser.parse_args()
    measure.warn_if_busy()
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, "fine_tune", kind, items)
    settings = replace(settings, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)
    variants = comparison.training_variants(settings, arguments, memory=True)
    results = measure.alternate(variants, range(arguments.rounds))
    name, score = SCORES[settings.kind]
    target = targets(settings, results)
    scores = {
        variant: [score(np.array(result["predictions"]), target) for result in rounds]
        for variant, rounds in results.items()
    }
    summaries = {
        variant: summary(rounds) | {name: measure.spread(scores[variant])} for variant, rounds in results.items()
    }
    ratios = {variant: compare(results["fastai"], rounds) for variant, rounds in results.items() if variant != "fastai"}
    report(summaries, ratios)
    for rounds in results.values():
        for result in rounds:
            result["predictions"] = []
    record = {"variants": summaries, "ratios": ratios, "results": results}
    measure.save(arguments.json, {"settings": comparison.settings_record(settings), **record})


def summary(results: Sequence[TrainingResult]) -> dict[str, measure.Spread | int]:
    """Seconds and peak megabytes over the rounds, and the number of processes at the peak."""
    return {
        "training, s": measure.spread(seconds(results)),
        "process, s": measure.spread(process_seconds(results)),
        "validations, s": measure.spread([result["validation"] for result in results]),
        "peak, MB": measure.spread([peak["megabytes"] for peak in peaks(results)]),
        "processes": max(peak["processes"] for peak in peaks(results)),
    }


def compare(slow: Sequence[TrainingResult], fast: Sequence[TrainingResult]) -> dict[str, measure.Spread]:
    """How many times as fast the second library is, and its memory relative to the first, round by round."""
    megabytes = [[peak["megabytes"] for peak in peaks(results)] for results in (fast, slow)]
    return {
        "training": measure.ratios(seconds(slow), seconds(fast)),
        "process": measure.ratios(process_seconds(slow), process_seconds(fast)),
        "validations": measure.ratios([one["validation"] for one in slow], [one["validation"] for one in fast]),
        "relative memory": measure.ratios(*megabytes),
    }


def process_seconds(results: Sequence[TrainingResult]) -> list[float]:
    """Seconds from the start of each process to the end of its training."""
    return [result["start_up"] + training for result, training in zip(results, seconds(results), strict=True)]


def peaks(results: Sequence[TrainingResult]) -> list[dict[str, Any]]:
    """The peak memory of each round."""
    return [result["peak"] for result in results if "peak" in result]


def report(summaries: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints both tables."""
    print("Median [min-max] of the rounds:\n")
    print(measure.table(["", *summaries["fastai"]], [[name, *row.values()] for name, row in summaries.items()]))
    print("\nTimes as fast as fastai, and memory relative to fastai's, round by round:\n")
    columns = ["", *next(iter(ratios.values()))]
    print(measure.table(columns, [[name, *row.values()] for name, row in ratios.items()]))


if __name__ == "__main__":
    main()
