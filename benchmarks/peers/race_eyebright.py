"""Eyebright's labels and answers in the race: ``python -m peers.race_eyebright STEP FOLDER``.

``eyebright train`` itself runs between the two steps: its seconds are those that count.
"""

import csv

from peers.race_protocol import Run, run_step

TABLE, DELIMITER = "labels.csv", "|"


def prepare(run: Run) -> None:
    """Writes the table of the images for training and validation."""
    points = [f"{axis}{name}" for name in run.names for axis in "xy"] if run.kind == "points" else None
    with run.path(TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", *(points or ["labels"]), "is_valid"])
        for is_valid, images in ((False, run.train), (True, run.valid)):
            table.writerows([image["path"], *_cells(run, image["target"]), is_valid] for image in images)


def _cells(run: Run, target: object) -> list[object]:
    match target:
        case list() if run.kind == "points":
            return [value for point in target for value in point]
        case list():
            return [DELIMITER.join(target)]
        case _:
            return [target]


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image, or its points in pixels."""
    from eyebright import load_predictor

    predictor = load_predictor(run.path("model"))
    predictions = predictor.predict(run.held_out)
    if predictions.skipped:
        raise SystemExit(f"held-out images that cannot be read: {predictions.skipped}")
    if run.kind == "points":
        run.save_predictions([prediction.decoded.xy.tolist() for prediction in predictions])
    else:
        columns = [list(predictor.vocab or ()).index(name) for name in run.names]
        run.save_predictions([prediction.activated[columns].tolist() for prediction in predictions])


if __name__ == "__main__":
    run_step(prepare=prepare, predict=predict)
