"""Seconds of one epoch in fastai and in Eyebright: the same images, model, image size, batch size and steps.

    python benchmarks/train_epoch.py labels.csv --images photos/ --fastai-python PATH [--frozen | --timm]

Each library runs in a process of its own, alternately. Start-up and the first step (in which threads and worker
processes start and Eyebright measures precisions) are reported but not included. With ``--timm`` the same images are
also used by the loop of timm's train.py and that of torchvision's references, with their own transforms and a linear
head.
"""

import comparison
import measure
from peers.training_protocol import TrainingResult


def main() -> None:
    parser = comparison.create_parser(__doc__)
    comparison.add_fastai_arguments(parser)
    parser.add_argument("--frozen", action="store_true", help="train the head only, with a frozen backbone")
    parser.add_argument("--timm", action="store_true", help="also run timm's train.py and torchvision's references")
    parser.add_argument("--rounds", type=int, default=3, help="how often each library runs")
    arguments = parser.parse_args()
    if arguments.timm and arguments.frozen:
        parser.error("--frozen and --timm cannot be combined: timm's train.py does not freeze backbones")
    measure.warn_if_busy()
    phase = "frozen" if arguments.frozen else "unfrozen"
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, phase, kind, items)
    variants = comparison.training_variants(settings, arguments)
    variants |= comparison.plain_loop_variants(settings) if arguments.timm else {}
    results: dict[str, list[TrainingResult]] = measure.alternate(variants, range(arguments.rounds))
    if len({result["timed_steps"] for rounds in results.values() for result in rounds}) > 1:
        raise SystemExit(f"the libraries made different numbers of steps: {results}")
    summaries = {name: summary(rounds, settings.bs) for name, rounds in results.items()}
    speed_ups = {name: speed_up(results["fastai"], rounds) for name, rounds in results.items() if name != "fastai"}
    report(summaries, speed_ups)
    record = {"variants": summaries, "speed-ups": speed_ups, "results": results}
    measure.save(arguments.json, {"settings": comparison.settings_record(settings), **record})


def summary(results: list[TrainingResult], bs: int) -> dict[str, measure.Spread]:
    """Seconds of each part over the rounds, and training images per second."""
    parts = ("start_up", "first_step", "steps", "validation")
    seconds = {part: measure.spread([result[part] for result in results]) for part in parts}
    return seconds | {"images/s": measure.spread([one["timed_steps"] * bs / one["steps"] for one in results])}


def speed_up(slow: list[TrainingResult], fast: list[TrainingResult]) -> dict[str, measure.Spread]:
    """How many times as fast the second library is, round by round."""
    return {
        "steps": measure.ratios([one["steps"] for one in slow], [one["steps"] for one in fast]),
        "validation": measure.ratios([one["validation"] for one in slow], [one["validation"] for one in fast]),
        "both": measure.ratios([epoch_seconds(one) for one in slow], [epoch_seconds(one) for one in fast]),
    }


def epoch_seconds(result: TrainingResult) -> float:
    """Seconds of the epoch without its first step."""
    return result["steps"] + result["validation"]


def report(summaries: dict[str, dict[str, measure.Spread]], speed_ups: dict[str, dict[str, measure.Spread]]) -> None:
    """Prints the seconds of each library, and how many times as fast as fastai it is."""
    print("Seconds, median [min-max] of the rounds:\n")
    print(measure.table(["", *summaries["fastai"]], [[name, *row.values()] for name, row in summaries.items()]))
    print("\nTimes as fast as fastai, round by round:\n")
    columns = ["", "steps", "validation", "both"]
    print(measure.table(columns, [[name, *row.values()] for name, row in speed_ups.items()]))


if __name__ == "__main__":
    main()
