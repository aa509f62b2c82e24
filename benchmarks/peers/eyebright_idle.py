"""Eyebright, measured for idleness while it trains: ``python -m peers.eyebright_idle < settings.json``."""

import json
from importlib.metadata import version

from eyebright._system.cpus import cpu_count
from eyebright.train.events import EpochDone, EpochStarted, Event, ValidationStarted
from peers.eyebright_side import make_learner
from peers.idle_job import IdleAnswer, Moment
from peers.job import read_settings

READING = ("decoding", "augmenting")  # what readers do
PARTS = ("waiting for images", "forward", "backward", "optimizer")


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    loaders = (learner.dls.train, learner.dls.valid)
    moments: list[Moment] = []

    def watch(event: Event) -> None:
        if isinstance(event, EpochStarted | ValidationStarted | EpochDone):
            timer = learner.run.timer.seconds
            thread = {name: timer.get(name, 0.0) for name in (*PARTS, "validating")}
            reading = sum(loader.timer.seconds.get(name, 0.0) for loader in loaders for name in READING)
            moments.append(Moment.now(thread, reading))

    learner.freeze_to(-1 if settings.phase == "frozen" else 0)
    learner.fit_one_cycle(2, settings.lr, cbs=[watch])
    started, stepped, done = moments[3:]
    device = learner.run.device
    answer = IdleAnswer(
        steps=started.until(stepped, cpu_count()),
        validation=stepped.until(done, cpu_count()),
        said=f"{device.precision}: {device.why}",
        versions={name: version(name) for name in ("eyebright", "torch", "torchvision", "timm")},
    )
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
