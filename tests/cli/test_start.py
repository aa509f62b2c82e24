"""The process of a command: its exit code, its whole output, and what runs at its end."""

import signal
import subprocess
import sys

import pytest


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["predict", "nowhere", "a.jpg"], 2)])
def test_the_exit_code_and_the_output_are_those_of_the_command(arguments: list[str], code: int) -> None:
    quick = subprocess.run([sys.executable, "-m", "eyebright", *arguments], capture_output=True, text=True, check=False)
    plain = python("from eyebright.cli.main import main; main()", *arguments)
    assert quick.returncode == plain.returncode == code
    assert (quick.stdout, quick.stderr) == (plain.stdout, plain.stderr)
    assert quick.stdout or quick.stderr


def test_what_is_registered_for_the_end_runs_and_is_written() -> None:
    code = """
import atexit
from eyebright.cli import main as module
atexit.register(lambda: print("at the end"))
module.main = lambda: print("x" * 100_000)  # more than a buffer
module.start()
"""
    ended = python(code)
    assert ended.returncode == 0
    assert ended.stdout == "x" * 100_000 + "\nat the end\n"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_after_the_work_is_done_changes_nothing_and_prints_no_traceback(number: str) -> None:
    code = f"""
import atexit, os, signal
from eyebright.cli import main as module
atexit.register(lambda: (os.kill(os.getpid(), signal.{number}), print("at the end")))
module.main = lambda: module.interrupt_on_sigterm()
module.start()
"""
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "at the end\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_ends_a_process_whose_clean_up_hangs(number: signal.Signals) -> None:
    code = f"""
import atexit, os
from eyebright.cli import main as module
atexit.register(lambda: [os.kill(os.getpid(), {int(number)}) for _ in range(2)] + [print("not reached")])
module.main = lambda: module.interrupt_on_sigterm()
module.start()
"""
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-number, "", "")


def test_modules_are_not_taken_down_one_by_one() -> None:
    code = """
from eyebright.cli import main as module
class Slow:
    def __del__(self):
        print("taken down", flush=True)
kept = Slow()
module.main = lambda: None
module.start()
"""
    assert "taken down" not in python(code).stdout


def test_without_a_reader_of_the_output_python_says_so() -> None:
    code = "import sys, time; from eyebright.cli import main as m; time.sleep(1);"
    code += " m.main = lambda: sys.stdout.write('x'); m.start()"
    command = f'"{sys.executable}" -c "{code}" | true; exit "${{PIPESTATUS[0]}}"'
    ended = subprocess.run(["bash", "-c", f"sleep 0; {command}"], capture_output=True, text=True, check=False)
    assert "BrokenPipeError" in ended.stderr
    assert ended.returncode != 0


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_file_names_that_are_not_read_as_utf_8_are_said(encoding: str) -> None:
    code = f"import sys; sys.getfilesystemencoding = lambda: '{encoding}'; from eyebright.cli.main import main; main()"
    said = python(code, "--version").stderr
    assert ("file names are read as ascii, which the locale or PYTHONUTF8=0 asks for" in said) is (encoding == "ascii")
