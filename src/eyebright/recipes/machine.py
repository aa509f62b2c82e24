"""Functions of Microsoft's computer-vision recipes for seeds, the number of workers and the device."""

import os
import random
import sys

import numpy as np
import torch


def set_random_seed(s: int) -> None:
    """Seed all global random generators and make cuDNN deterministic, as the recipes do.

    Eyebright does not need it, because its randomness depends only on ``seed`` arguments.
    """
    random.seed(s)
    np.random.seed(s)  # noqa: NPY002  # the recipes use the global generator
    torch.manual_seed(s)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(s)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def db_num_workers(non_windows_num_workers: int = 16) -> int:
    """The number of loader workers in the recipes: 0 on Windows and on Binder, where worker processes failed.

    In Eyebright ``num_workers=None`` uses one worker per CPU; more workers than CPUs are threads.
    """
    return 0 if sys.platform == "win32" or "BINDER_REPO_URL" in os.environ else non_windows_num_workers


def which_processor() -> str:
    """A sentence that names the device of torch, which the recipes print."""
    if torch.cuda.is_available():
        return f"Torch is using GPU: {torch.cuda.get_device_name(0)}"
    return "Cuda is not available. Torch is using CPU"
