"""The command ``eyebright``: its commands, and how errors and interrupts become a sentence and an exit code.

Exit codes: 0 done, 1 a fault of ours, 2 bad input, 130 interrupted. Nothing heavy is imported before a command runs, so
``--help`` is quick.
"""

import sys
import traceback
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eyebright._system.signals import INTERRUPTED, interrupt_on_sigterm
from eyebright.cli import predict, report, train

if TYPE_CHECKING:
    from eyebright.workflow.option import Declared

COMMANDS = {
    "train": (train.train, train.option_classes),
    "report": (report.report, report.option_classes),
    "predict": (predict.predict, predict.option_classes),
}
"""Each command's function, and the function that gives the dataclasses of its options."""

_SETTINGS = {"max_content_width": 120}

app = typer.Typer(
    name="eyebright",
    help="Labelled images in, a model you can trust and ship out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
)
for _name, (_run, _) in COMMANDS.items():
    app.command(_name, help=_run.__doc__)(lambda: None)  # `_call` runs them; this is their line in the group's help


@app.callback(invoke_without_command=True)
def options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Labelled images in, a model you can trust and ship out."""
    if version:
        from importlib import metadata

        typer.echo(metadata.version("eyebright"))
        raise typer.Exit


def main() -> None:
    """Run the command line and exit with its code."""
    interrupt_on_sigterm()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    sys.exit(run([argument for argument in arguments if argument != "--debug"], debug=debug))


def run(arguments: list[str], *, debug: bool = False) -> int:
    """The exit code of one command line.

    Args:
        arguments: what stands behind ``eyebright``.
        debug: show the traceback of an error.
    """
    try:
        code = _call(arguments)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _told(error, arguments)
    if code == INTERRUPTED:  # typer gives it for most interrupts
        typer.echo("interrupted; what was saved before is unchanged", err=True)
    return code if isinstance(code, int) else 0


def _call(arguments: list[str]) -> Any:
    """The exit code that typer gives; a command is called without the group around it, whose parsing costs time."""
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return typer.main.get_command(app).main(arguments, prog_name="eyebright", standalone_mode=False)
    from eyebright.cli.command import add_command

    run_command, option_classes = COMMANDS[name]
    alone = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=_SETTINGS
    )
    add_command(alone, run_command, *option_classes())
    command = typer.main.get_command(alone)
    return command.main(arguments[1:], prog_name=f"eyebright {name}", standalone_mode=False)


def options_of(command: str) -> "list[Declared]":
    """The options of a command; none where there is no such command."""
    from eyebright.workflow.option import declared

    _, option_classes = COMMANDS.get(command, (None, tuple))
    return [each for cls in option_classes() for each in declared(cls)]


def _told(error: Exception, arguments: list[str]) -> int:
    """The exit code for an error, after it was put into one sentence."""
    from eyebright._optional import MissingExtraError
    from eyebright.cli.words import with_flags
    from eyebright.errors import EyebrightError

    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a wrong option: typer words it
        error.show()  # type: ignore[attr-defined]
        return int(error.exit_code)  # type: ignore[attr-defined]
    if isinstance(error, (EyebrightError, MissingExtraError)):
        typer.echo(f"error: {with_flags(str(error), options_of(arguments[0]))}", err=True)
        return 2
    if isinstance(error, OSError):
        where = f" '{error.filename}'" if error.filename else ""
        typer.echo(f"error: {error.strerror or error}{where}", err=True)
        return 2
    typer.echo(
        f"internal error: {type(error).__name__}: {error}; run again with --debug and report what it shows", err=True
    )
    return 1
