"""Eyebright's side of the comparison of validations: ``python -m peers.eyebright_answers < settings.json``."""

from peers.answers_job import give_answers
from peers.eyebright_side import make_learner
from peers.job import read_settings


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    learner.freeze_to(0)
    learner.fit_one_cycle(1, settings.lr)
    device = learner.run.device
    give_answers(
        settings,
        learner.validate,
        learner.get_preds,
        vocab=list(learner.dls.target.classes or []),
        library="eyebright",
        said=f"{device.precision}: {device.why}",
    )


if __name__ == "__main__":
    main()
