"""Several processes on this machine that do one thing together, started by torchrun's own agent.

torchrun tells each process its place by the environment, as `eyebright.train.device` and every other program expect it.
What differs is what a person sees: only the first process prints, and when one fails, all are stopped and the error of
the process that failed is raised, not those of the processes that waited for it.
"""

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from eyebright._system.signals import INTERRUPTED, exit_with_parent, interrupt_on_sigterm
from eyebright.errors import EyebrightError, InputError, TrainingError

TOLD, FAULT, LOST = 2, 1, 3
"""Exit codes: an error for people, a fault of ours, and the end of a process that another left alone."""

PATIENCE = 5  # seconds between a process being told to end and being killed


class ProcessEndedError(TrainingError):
    """A process that was killed or ended by itself, with no error to tell."""


def launch(processes: int, module: str, *arguments: str) -> None:
    """Returns when ``python -m module arguments`` has done its work in every process.

    Args:
        processes: how many.
        module: ends with `run_worker`.
        arguments: of each process.

    Raises:
        TrainingError: what a process told; all have ended.
        ProcessEndedError: a process was killed.
        RuntimeError: a fault of ours in a process, with where it happened as a note.
        KeyboardInterrupt: they were told to end.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="eyebright-") as folder, _agent_at_rest():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            shutdown_timeout=PATIENCE,
            logs_specs=DefaultLogsSpecs(folder),
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", module, *arguments)
        except ChildFailedError as error:
            raise _cause(error.failures, processes) from None
        except SignalException:
            raise KeyboardInterrupt from None


def run_worker(work: Callable[[], None]) -> NoReturn:
    """Does the work as one of the processes that `launch` has started, and ends the process."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch is imported
    interrupt_on_sigterm()
    threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
    if os.environ["RANK"] != "0":
        _fall_silent()
    try:
        code = _worked(work)
    except BaseException:  # told to end once more, in the middle of ending
        code = INTERRUPTED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch's own taking down of connections waits for processes that are gone


def share_cpus() -> int:
    """How many threads, and readers, this process may have beside the others; torch takes no more from now on."""
    import torch

    from eyebright._system.cpus import cpus_per_process

    threads = cpus_per_process()
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)
    return threads


def check_device_count(processes: int, device: str | None) -> None:
    """Finds out before anything is started that there are not so many devices.

    Args:
        processes: one for each device.
        device: what was asked for; None for a GPU where there is one.

    Raises:
        InputError: fewer GPUs than processes, or one device by its number.
    """
    import torch

    if device is not None and ":" in device:
        raise InputError(f"the device '{device}' is one, and {processes} are asked for; give it without a number")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != "cpu" and gpus and processes > gpus:
        raise InputError(
            f"{processes} devices are asked for, and there {'is 1 GPU' if gpus == 1 else f'are {gpus} GPUs'}; give"
            f" `devices={gpus}` or fewer, or `device='cpu'` for processes without a GPU"
        )


def _worked(work: Callable[[], None]) -> int:
    """The exit code of the work."""
    try:
        work()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the agent tells all to end when another is gone
        return _report(error)
    return 0


def _fall_silent() -> None:
    """From now on nobody hears this process, nor the libraries in it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(nowhere, stream.fileno())


def _report(error: Exception) -> int:
    """The exit code of this process, after it has left its error for the one that launched it."""
    code = TOLD if isinstance(error, (EyebrightError, OSError)) else LOST if _left_alone(error) else FAULT
    text = str(error) if code == TOLD else f"{type(error).__name__}: {error}"
    more = {"timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()}
    said = {"message": {"message": text, "extraInfo": more, "errorCode": code}}  # as torchrun reads it
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(said), encoding="utf-8")
    return code


def _left_alone(error: Exception) -> bool:
    """Whether the error says only that another process is gone."""
    import torch

    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _cause(failures: Mapping[int, Any], processes: int) -> Exception:
    """The error that explains all: what a process told, else our fault, else which process was gone first."""
    for wanted in (TOLD, FAULT):
        for failure in failures.values():
            code, text, where = _reported(failure)
            if code == TOLD == wanted:
                return TrainingError(text)
            if code == FAULT == wanted:
                fault = RuntimeError(text)
                fault.add_note(where)
                return fault
    gone = [rank for rank, failure in failures.items() if _reported(failure)[0] != LOST] or list(failures)
    ended = failures[gone[0]].exitcode
    how = f"ended with exit code {ended}"
    if ended < 0:
        how = f"was killed ({signal.Signals(-ended).name})"
    elif ended == INTERRUPTED:
        how = "was told to end"
    hint = ", as the system does when memory runs out" if ended == -signal.SIGKILL else ""
    return ProcessEndedError(f"process {gone[0] + 1} of {processes} {how}{hint}, so the others were stopped")


def _reported(failure: Any) -> tuple[int | None, str, str]:
    """The code that a process reported, what it said and where it happened."""
    message = (failure.error_file_data or {}).get("message") or {}
    if not isinstance(message, dict) or "errorCode" not in message:
        return None, "", ""
    return int(message["errorCode"]), str(message["message"]), str(message["extraInfo"]["py_callstack"])


@contextmanager
def _agent_at_rest() -> Generator[None, None, None]:
    """Keeps torchrun's log from people, and puts back how this process hears signals."""
    disabled = logging.root.manager.disable
    handlers: Sequence[tuple[signal.Signals, Any]] = [
        (one, signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM)
    ]
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        for one, handler in handlers:
            signal.signal(one, handler)
