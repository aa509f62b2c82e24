"""What the recipes ask of the machine: seeds, threads, processors."""

import os
import random
import sys

import numpy as np
import torch


def set_random_seed(s: int) -> None:
    """Seed every global generator and make cuDNN deterministic, as the recipes do.

    Nothing in Eyebright needs it: all chance comes from the ``seed`` that a function is given.
    """
    random.seed(s)
    np.random.seed(s)  # noqa: NPY002  # the global generator is what is meant
    torch.manual_seed(s)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(s)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def db_num_workers(non_windows_num_workers: int = 16) -> int:
    """How many workers the recipes read with: none on Windows and on Binder, where processes did not work.

    Here more of them than processors are threads, which work everywhere; with ``num_workers=None`` there is one for
    each processor.
    """
    return 0 if sys.platform == "win32" or "BINDER_REPO_URL" in os.environ else non_windows_num_workers


def which_processor() -> str:
    """A sentence that says what torch computes on; the recipes print it instead."""
    if torch.cuda.is_available():
        return f"Torch is using GPU: {torch.cuda.get_device_name(0)}"
    return "Cuda is not available. Torch is using CPU"
