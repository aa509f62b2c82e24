"""Made outputs of networks, and a calibration of each kind."""

import torch

from eyebright.tasks import calibration as kinds
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision

LABELS = ("bus", "cat", "dog")
CALIBRATION = {
    "none": kinds.NoCalibration(),
    "temperature": kinds.Temperature(1.7),
    "platt": kinds.Platt((0.5, 2.0, 1.0), (0.1, -1.0, 0.0)),
    "beta": kinds.Beta((0.7, 1.5, 1.0), (1.2, 0.4, 1.0), (0.3, -0.2, 0.0)),
    "isotonic": kinds.Isotonic(
        ((-3.0, 0.0, 2.0), (-1.0, 1.0), (-2.0, -1.0, 0.0, 1.0)), ((-2.0, 0.5, 1.0), (-3.0, 3.0), (-4.0, -1.0, 0.0, 6.0))
    ),
}


def random_outputs(block: TargetBlock, n_images: int = 500) -> torch.Tensor:
    return 3 * torch.randn(n_images, block.n_out, generator=torch.Generator().manual_seed(0))


def encoded(decision: Decision, activated: torch.Tensor) -> torch.Tensor:
    return torch.stack([decision.target.encode(value) for value in decision.decode_batch(activated)])
