"""The command ``eyebright``: its commands, error messages and exit codes.

Exit codes: 0 success, 1 internal error, 2 an expected error (bad input, a damaged file, a failed download, ...), 130
interrupted. torch, numpy and pandas are imported only when a command runs, so ``--help`` is quick.
"""

import atexit
import io
import os
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from eyebright._system.openmp import shorten_busy_waiting
from eyebright._system.signals import EXIT_CODE_INTERRUPTED, ignore_one_interrupt, interrupt_on_sigterm
from eyebright._version import __version__
from eyebright.cli import (
    check,
    compare,
    convert,
    evaluate,
    export,
    inspect,
    migrate,
    predict,
    push,
    report,
    review,
    split,
    suggest,
    suspects,
    train,
    tune,
)
from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.workflow.option import OptionField

COMMANDS = {
    "train": (train.train, train.option_classes),
    "check": (check.check, check.option_classes),
    "split": (split.split, split.option_classes),
    "convert": (convert.convert, convert.option_classes),
    "evaluate": (evaluate.evaluate, evaluate.option_classes),
    "tune": (tune.tune, tune.option_classes),
    "report": (report.report, report.option_classes),
    "compare": (compare.compare, compare.option_classes),
    "suspects": (suspects.suspects, suspects.option_classes),
    "suggest": (suggest.suggest, suggest.option_classes),
    "review": (review.review, review.option_classes),
    "predict": (predict.predict, predict.option_classes),
    "export": (export.export, export.option_classes),
    "inspect": (inspect.inspect, inspect.option_classes),
    "push": (push.push, push.option_classes),
    "migrate": (migrate.migrate, migrate.option_classes),
}
"""By the command's name: its function, and a function that returns the dataclasses of its options."""

_OTHER_NAMES = {
    **dict.fromkeys(("--single", "--single-label", "--multiclass"), "--kind class"),
    **dict.fromkeys(("--multi", "--multi-label", "--multilabel"), "--kind labels"),
}
"""Options of other tools, and the option of eyebright that does the same."""

_SETTINGS = {"max_content_width": 120}

app = typer.Typer(
    name="eyebright",
    help="Check and split labelled images, train image models from them, predict, and write reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
)
# For the list of commands in ``eyebright --help`` only: `_run_command` makes the command itself, with its options.
for _name, (_function, _) in COMMANDS.items():
    app.command(_name, help=_function.__doc__)(lambda: None)


@app.callback(invoke_without_command=True)
def root_command(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[  # for the help; `main` removes it from the arguments
        bool, typer.Option("--debug", help="Show the traceback of an error; also after a command.")
    ] = False,
) -> None:
    """Check and split labelled images, train image models from them, predict, and write reports."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def start() -> NoReturn:
    """The entry point of the process: runs `main`, and exits without torch's clean-up, which takes a second."""
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    ignore_one_interrupt()  # in what follows, they would print a traceback of somebody else's clean-up
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] - there is no public one
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the reader of the output has closed it; Python reports it
        sys.exit(code)  # type: ignore[arg-type]
    os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    """Runs the command line of this process and exits with its code.

    ``--debug`` may be anywhere before ``--``, since it belongs to no command.
    """
    interrupt_on_sigterm()
    shorten_busy_waiting()
    for stream in (sys.stdout, sys.stderr):  # names and labels may have characters that a screen or pipe cannot encode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.getfilesystemencoding().lower() != "utf-8":
        say(
            f"file names are read as {sys.getfilesystemencoding()}, which the locale or PYTHONUTF8=0 asks for: names"
            " with other characters are written as escapes or as other characters; PYTHONUTF8=1 reads them as UTF-8",
            err=True,
        )
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, values = arguments[:end], arguments[end:]
    debug = "--debug" in options
    sys.exit(run([*(option for option in options if option != "--debug"), *values], debug=debug))


def run(arguments: list[str], *, debug: bool = False) -> int:
    """Runs one command line and returns its exit code.

    Args:
        arguments: the arguments after ``eyebright``.
        debug: True to show the traceback of an error.
    """
    try:
        code = _run_command(arguments)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_CODE_INTERRUPTED
    except Exception as error:
        if debug:
            for line in traceback.format_exc().splitlines():
                say(line, err=True, whole=True)
        return _print_error(error, arguments)
    if code == EXIT_CODE_INTERRUPTED:  # typer returns it for most interrupts
        say("interrupted; files that were not complete have not been written", err=True)
    return code if isinstance(code, int) else 0


def _run_command(arguments: list[str]) -> Any:
    """The exit code from typer.

    Only the called command is built: building the others would import their options, and parsing in two
    steps, first the group and then the command, takes time.
    """
    name = arguments[0] if arguments else ""
    _check_working_folder()
    if name not in COMMANDS:
        return typer.main.get_command(app).main(arguments, prog_name="eyebright", standalone_mode=False)
    return _command(name).main(arguments[1:], prog_name=f"eyebright {name}", standalone_mode=False)


@cache  # typer converts each option by a pydantic adapter, and making those of 65 options takes longer than parsing
def _command(name: str) -> Any:
    """The command of this name."""
    from eyebright.cli.command import add_command

    function, option_classes = COMMANDS[name]
    application = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=_SETTINGS
    )
    add_command(application, function, *option_classes())
    return typer.main.get_command(application)


def _check_working_folder() -> None:
    """Raises `FileNotFoundError` if the working folder was deleted: libraries that are imported later need it."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, "the working folder does not exist any more; change to another") from None


def options_of(command: str) -> "list[OptionField]":
    """The options of a command; empty if the command is unknown."""
    from eyebright.workflow.option import option_fields

    _, option_classes = COMMANDS.get(command, (None, tuple))
    return [field for cls in option_classes() for field in option_fields(cls)]


def _print_error(error: Exception, arguments: list[str]) -> int:
    """Prints an error as one line and returns its exit code."""
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.errors import EyebrightError

    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a wrong option, with typer's message
        _suggest_our_option(error, arguments)
        return _print_usage_error(error)
    if isinstance(error, EyebrightError):
        say(f"error: {with_option_strings(str(error), options_of(arguments[0]))}", err=True)
        return 2
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and "failed to map" in str(error)):
        say(f"error: there is not enough memory: {error}", err=True)
        return 2
    if isinstance(error, OSError):
        where = f" '{error.filename}'" if error.filename else ""
        say(f"error: {error.strerror or error}{where}", err=True)
        return 2
    say(
        f"internal error: {type(error).__name__}: {error}; run again with --debug and open an issue with it",
        err=True,
    )
    return 1


def _suggest_our_option(error: Any, arguments: list[str]) -> None:
    """Adds our option to typer's error for an unknown option, if other tools have that one."""
    meant = _OTHER_NAMES.get(getattr(error, "option_name", ""))
    if meant is not None and meant.split()[0] in {f"--{field.name}" for field in options_of(arguments[0])}:
        error.possibilities = [meant]


def _print_usage_error(error: Any) -> int:
    """Prints typer's message for a wrong command or option, which quotes it as it was given, and returns its code."""
    from eyebright.errors import message_text

    error.message = message_text(error.message)
    shown = io.StringIO()
    error.show(file=shown)
    for line in shown.getvalue().splitlines():
        say(line, err=True)
    return int(error.exit_code)
