"""How long one epoch takes in fastai and in Eyebright: the same images, model, size, batch and number of steps.

    python benchmarks/train_epoch.py labels.csv --images photos/ --fastai-python PATH [--frozen | --timm]

Each side runs in a process of its own, in turn, and times itself. Its start-up and its first step (where threads and
worker processes start and precision is measured) are reported beside, not counted. With ``--timm`` the same images go
through timm's train.py-style loop and that of torchvision's references, each with its own transforms and a plain head.
"""

import measure
import sides
from peers.job import Answer


def main() -> None:
    parser = sides.parser(__doc__)
    sides.add_peers(parser)
    parser.add_argument("--frozen", action="store_true", help="time the frozen phase: only the head learns")
    parser.add_argument(
        "--timm", action="store_true", help="further sides: timm's train.py, and torchvision's references"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    arguments = parser.parse_args()
    if arguments.timm and arguments.frozen:
        parser.error("--frozen goes without --timm: timm's train.py freezes nothing")
    measure.warn_if_busy()
    phase = "frozen" if arguments.frozen else "unfrozen"
    told = sides.settings(arguments, phase, *sides.labelled(arguments.data, arguments.images))
    made = sides.make_sides(told, arguments) | (sides.make_loops(told) if arguments.timm else {})
    answers: dict[str, list[Answer]] = measure.alternate(made, range(arguments.rounds))
    if len({one["counted"] for side in answers.values() for one in side}) > 1:
        raise SystemExit(f"the sides did not make the same number of steps: {answers}")
    results = {name: summary(side, told.bs) for name, side in answers.items()}
    ratios = {name: against(answers["fastai"], side) for name, side in answers.items() if name != "fastai"}
    report(results, ratios)
    measure.save(
        arguments.json,
        {"settings": sides.told_without_images(told), "sides": results, "ratios": ratios, "answers": answers},
    )


def summary(answers: list[Answer], bs: int) -> dict[str, measure.Spread]:
    """Seconds of each part over the rounds, and images learnt from in a second."""
    parts = ("start_up", "first_step", "steps", "validation")
    seconds = {part: measure.spread([one[part] for one in answers]) for part in parts}
    return seconds | {"images/s": measure.spread([one["counted"] * bs / one["steps"] for one in answers])}


def against(slow: list[Answer], fast: list[Answer]) -> dict[str, measure.Spread]:
    """How many times as long the first side took, round by round."""
    return {
        "steps": measure.ratios([one["steps"] for one in slow], [one["steps"] for one in fast]),
        "validation": measure.ratios([one["validation"] for one in slow], [one["validation"] for one in fast]),
        "both": measure.ratios([counted(one) for one in slow], [counted(one) for one in fast]),
    }


def counted(answer: Answer) -> float:
    """The seconds of an epoch without its first step."""
    return answer["steps"] + answer["validation"]


def report(results: dict[str, dict[str, measure.Spread]], ratios: dict[str, dict[str, measure.Spread]]) -> None:
    """Print the seconds of each side, and how many times faster than fastai."""
    print("Seconds, median [min-max] of the rounds:\n")
    print(measure.table(["side", *results["fastai"]], [[name, *one.values()] for name, one in results.items()]))
    print("\nTimes as fast as fastai, round by round:\n")
    print(
        measure.table(["side", "steps", "validation", "both"], [[name, *one.values()] for name, one in ratios.items()])
    )


if __name__ == "__main__":
    main()
