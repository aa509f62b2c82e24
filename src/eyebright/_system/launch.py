"""Starts the processes of a distributed training on this machine, with the agent of torchrun.

The agent passes each process its rank in environment variables, which `eyebright.train.device` reads. Only messages
differ from torchrun: only the process of rank 0 prints, and if a process fails, all are stopped and its own error is
raised, not those of the processes that were waiting for it.
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

from eyebright._system.signals import EXIT_CODE_INTERRUPTED, exit_with_parent, interrupt_on_sigterm
from eyebright.errors import EyebrightError, InputError, ProcessEndedError, TrainingError

USER_ERROR, INTERNAL_ERROR, LOST_PEER = 2, 1, 3
"""Exit codes: an error with a message for users, a bug, and the loss of another process."""

SHUTDOWN_SECONDS = 5
"""Time between SIGTERM and SIGKILL when processes are stopped."""


def launch(processes: int, module: str, *arguments: str) -> None:
    """Runs ``python -m module arguments`` in several processes and waits for all of them.

    Args:
        processes: number of processes.
        module: the module to run, which must call `run_worker`.
        arguments: the command-line arguments of each process.

    Raises:
        TrainingError: a process failed; with its message. All have ended.
        ProcessEndedError: a process was killed.
        RuntimeError: a process had an internal error; with its traceback as a note.
        KeyboardInterrupt: SIGINT or SIGTERM was received.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="eyebright-") as folder, _silent_agent():
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            shutdown_timeout=SHUTDOWN_SECONDS,
            logs_specs=DefaultLogsSpecs(folder),
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", module, *arguments)
        except ChildFailedError as error:
            raise _cause(error.failures, processes) from None
        except SignalException:
            raise KeyboardInterrupt from None


def run_worker(function: Callable[[], None]) -> NoReturn:
    """Calls a function in a process that `launch` has started, then ends the process with an exit code."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch is imported
    try:
        interrupt_on_sigterm()
        threading.Thread(target=exit_with_parent, args=(os.getppid(),), daemon=True).start()
        if os.environ["RANK"] != "0":
            _silence_output()
        code = _exit_code(function)
    except BaseException:  # a signal before the function runs, or a second one while the first is handled
        code = EXIT_CODE_INTERRUPTED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # closing torch's connections would wait for processes that are gone


def share_cpus() -> int:
    """Limits torch to this process's share of the CPUs, unless ``OMP_NUM_THREADS`` is set; returns that number."""
    import torch

    from eyebright._system.cpus import cpus_per_process

    threads = cpus_per_process()
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)
    return threads


def check_device_count(processes: int, device: str | None) -> None:
    """Raises `InputError` unless there are enough GPUs, before any process is started.

    Args:
        processes: number of processes, one per device.
        device: the requested device; None for CUDA GPUs if there are any, otherwise the CPU.

    Raises:
        InputError: there are fewer GPUs than processes, or ``device`` is a single GPU, given by its number.
    """
    import torch

    if device is not None and ":" in device:
        raise InputError(f"'{device}' is one device, but {processes} were requested; give it without a number")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device != "cpu" and gpus and processes > gpus:
        raise InputError(
            f"{processes} devices were requested, but there {'is 1 GPU' if gpus == 1 else f'are {gpus} GPUs'}; give"
            f" `devices={gpus}` or fewer, or `device='cpu'` for processes without a GPU"
        )


def _exit_code(function: Callable[[], None]) -> int:
    """Calls the function; an error is written to the file that the launching process reads."""
    try:
        function()
    except KeyboardInterrupt:
        return EXIT_CODE_INTERRUPTED
    except Exception as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the agent ends all processes when one has failed
        return _write_error(error)
    return 0


def _silence_output() -> None:
    """Discards what this process and its libraries print from now on."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(devnull, stream.fileno())


def _write_error(error: Exception) -> int:
    """Writes the error to a file in torchrun's format, and returns its exit code."""
    code = INTERNAL_ERROR
    if isinstance(error, (EyebrightError, OSError)):
        code = USER_ERROR
    elif _is_lost_peer(error):
        code = LOST_PEER
    text = str(error) if code == USER_ERROR else f"{type(error).__name__}: {error}"
    details = {"timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()}
    content = {"message": {"message": text, "extraInfo": details, "errorCode": code}}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(content), encoding="utf-8")
    return code


def _is_lost_peer(error: Exception) -> bool:
    """True if the error only reports that another process has ended."""
    import torch

    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _cause(failures: Mapping[int, Any], processes: int) -> Exception:
    """The error to raise: with a message for users, or an internal one, or one that names the ended process."""
    for wanted in (USER_ERROR, INTERNAL_ERROR):
        for failure in failures.values():
            code, text, where = _read_error(failure)
            if code == USER_ERROR == wanted:
                return TrainingError(text)
            if code == INTERNAL_ERROR == wanted:
                bug = RuntimeError(text)
                bug.add_note(where)
                return bug
    ended = [rank for rank, failure in failures.items() if _read_error(failure)[0] != LOST_PEER] or list(failures)
    exit_code = failures[ended[0]].exitcode
    how = f"ended with exit code {exit_code}"
    if exit_code < 0:
        how = f"was killed ({signal.Signals(-exit_code).name})"
    elif exit_code == EXIT_CODE_INTERRUPTED:
        how = "was interrupted"
    hint = ", as the system does when memory runs out" if exit_code == -signal.SIGKILL else ""
    return ProcessEndedError(f"process {ended[0] + 1} of {processes} {how}{hint}, so the others were stopped")


def _read_error(failure: Any) -> tuple[int | None, str, str]:
    """(exit code, message, traceback) that a process has written; the exit code is None if it wrote nothing."""
    message = (failure.error_file_data or {}).get("message") or {}
    if not isinstance(message, dict) or "errorCode" not in message:
        return None, "", ""
    return int(message["errorCode"]), str(message["message"]), str(message["extraInfo"]["py_callstack"])


@contextmanager
def _silent_agent() -> Generator[None, None, None]:
    """A context manager without torchrun's log, which restores the signal handlers that its agent replaces."""
    disabled = logging.root.manager.disable
    handlers: Sequence[tuple[signal.Signals, Any]] = [
        (number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)
    ]
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
        for number, handler in handlers:
            signal.signal(number, handler)
