"""Whether bfloat16 reaches what float32 reaches: the same trainings in both, seed by seed, and their time.

    python benchmarks/precision.py labels.csv --images photos/ [--arch NAME] [--json out.json]

Both sides are Eyebright with the command line's recipe; only the numbers differ in which it computes. "minus float32"
is paired: the same seed draws the same head, order and augmentations, and both answer the same images. Its interval
is a bootstrap over images of the mean over the seeds; the seeds' own differences stand beside it.
"""

import sys
from dataclasses import replace

import measure
import numpy as np
import sides
from quality import SCORES, ends, interval, seconds, targets

from eyebright.workflow.train_model import Options


def main() -> None:
    parser = sides.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=3, help="with everything")
    parser.add_argument("--freeze-epochs", type=int, default=Options.freeze_epochs, help="before, the head alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one training of each side each")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    told = sides.settings(arguments, "fine_tune", *sides.labelled(arguments.data, arguments.images))
    told = replace(told, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)
    ways = {
        name: sides.side(sys.executable, "peers.eyebright_side", replace(told, precision=name))
        for name in ("float32", "bfloat16")
    }
    answers = measure.alternate(ways, arguments.seeds)
    target = targets(told, answers)
    predicted = {name: np.array([one["predictions"] for one in several]) for name, several in answers.items()}
    name, score = SCORES[told.kind]
    scores = {side: [score(one, target) for one in several] for side, several in predicted.items()}
    difference = interval(score, target, predicted["bfloat16"], predicted["float32"])
    ratios = measure.ratios(seconds(answers["float32"]), seconds(answers["bfloat16"]))
    columns = ["numbers", f"{name}, mean", "of seeds", "95 % of images", "seconds"]
    rows = [
        [
            side,
            float(np.mean(scores[side])),
            str(measure.spread(scores[side])),
            ends(interval(score, target, predicted[side])),
            str(measure.spread(seconds(answers[side]))),
        ]
        for side in ways
    ]
    print(measure.table(columns, rows))
    by_seed = [fast - slow for slow, fast in zip(scores["float32"], scores["bfloat16"], strict=True)]
    print(f"\nbfloat16 minus float32: {float(np.mean(by_seed)):+.3f}, 95 % {ends(difference)};", end=" ")
    print("seed by seed " + ", ".join(f"{one:+.3f}" for one in by_seed) + f"; {ratios} times as fast")
    measure.save(
        arguments.json,
        {
            "settings": sides.told_without_images(told),
            "scores": scores,
            "bfloat16 minus float32": {"interval": difference, "seeds": by_seed},
            "times as fast": ratios,
        },
    )


if __name__ == "__main__":
    main()
