"""Eyebright in the measurement of idle processors: ``python -m peers.eyebright_idle < settings.json``."""

import json
from importlib.metadata import version

from eyebright._system.cpus import cpu_count
from eyebright.train.events import EpochDone, EpochStarted, Event, ValidationStarted
from peers.eyebright_training import make_learner
from peers.idle_protocol import Counters, IdleResult
from peers.training_protocol import read_settings

READING = ("decoding", "augmenting")  # the readers' activities
ACTIVITIES = ("waiting for images", "forward", "backward", "optimizer", "validating")


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    loaders = (learner.dls.train, learner.dls.valid)
    counters: list[Counters] = []

    def observe(event: Event) -> None:
        if isinstance(event, EpochStarted | ValidationStarted | EpochDone):
            timer = learner.run.timer.seconds
            thread = {name: timer.get(name, 0.0) for name in ACTIVITIES}
            reading = sum(loader.timer.seconds.get(name, 0.0) for loader in loaders for name in READING)
            counters.append(Counters.now(thread, reading))

    learner.freeze_to(-1 if settings.phase == "frozen" else 0)
    learner.fit_one_cycle(2, settings.lr, cbs=[observe])
    epoch_started, validation_started, epoch_done = counters[3:]  # of the second epoch
    device = learner.run.device
    result = IdleResult(
        steps=epoch_started.until(validation_started, cpu_count()),
        validation=validation_started.until(epoch_done, cpu_count()),
        configuration=f"{device.precision}: {device.precision_reason}",
        versions={name: version(name) for name in ("eyebright", "torch", "torchvision", "timm")},
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
