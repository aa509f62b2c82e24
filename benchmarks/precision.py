"""Whether training in bfloat16 reaches the same score as in float32, seed by seed, and its time.

    python benchmarks/precision.py labels.csv --images photos/ [--arch NAME] [--json out.json]

Both variants are Eyebright with the command line's recipe. The differences are paired: the same seed means the same
initial head, order of images and augmentation, and both are scored on the same images. The confidence interval is a
bootstrap over images of the mean over seeds; the difference of each seed is also printed.
"""

import sys
from dataclasses import replace

import comparison
import measure
import numpy as np
from quality import SCORES, format_interval, score_interval, seconds, targets

from eyebright._defaults import FREEZE_EPOCHS


def main() -> None:
    parser = comparison.create_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=3, help="epochs with all layers")
    parser.add_argument("--freeze-epochs", type=int, default=FREEZE_EPOCHS, help="epochs before, head only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one run per variant and seed")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, "fine_tune", kind, items)
    settings = replace(settings, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)
    variants = {
        name: comparison.variant(sys.executable, "peers.eyebright_training", replace(settings, precision=name))
        for name in ("float32", "bfloat16")
    }
    results = measure.alternate(variants, arguments.seeds)
    target = targets(settings, results)
    predicted = {name: np.array([one["predictions"] for one in rounds]) for name, rounds in results.items()}
    score_name, score = SCORES[settings.kind]
    scores = {name: [score(seed, target) for seed in seeds] for name, seeds in predicted.items()}
    difference = score_interval(score, target, predicted["bfloat16"], predicted["float32"])
    speed_up = measure.ratios(seconds(results["float32"]), seconds(results["bfloat16"]))
    columns = ["precision", f"{score_name}, mean", "over seeds", "95 % CI", "seconds"]
    rows = [
        [
            name,
            float(np.mean(scores[name])),
            str(measure.spread(scores[name])),
            format_interval(score_interval(score, target, predicted[name])),
            str(measure.spread(seconds(results[name]))),
        ]
        for name in variants
    ]
    print(measure.table(columns, rows))
    by_seed = [fast - slow for slow, fast in zip(scores["float32"], scores["bfloat16"], strict=True)]
    interval = format_interval(difference)
    print(f"\nbfloat16 minus float32: {float(np.mean(by_seed)):+.3f} (95 % CI {interval});", end=" ")
    print("by seed " + ", ".join(f"{one:+.3f}" for one in by_seed) + f"; {speed_up} times as fast")
    measure.save(
        arguments.json,
        {
            "settings": comparison.settings_record(settings),
            "scores": scores,
            "bfloat16 minus float32": {"interval": difference, "seeds": by_seed},
            "speed-up": speed_up,
        },
    )


if __name__ == "__main__":
    main()
