"""``eyebright review``: a page on which a person looks at images, and corrects or gives their labels."""

import shlex
from typing import TYPE_CHECKING

from eyebright.cli.output import say
from eyebright.errors import count_text

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.workflow.command_options.labelling import ReviewOptions


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.labelling import ReviewOptions

    return (ReviewOptions,)


def review(arguments: "CommandArguments") -> None:
    """Correct labels, or give them to new images, on a page in the browser; nothing leaves this machine.

    \b
    Examples:
      eyebright review model/
      eyebright review model/ new-photos/ --out labels-v2.csv
      eyebright review photos/ --labels cat,dog
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.labelling import ReviewOptions

    options = arguments.parse(ReviewOptions)
    from eyebright.review.server import ReviewServer
    from eyebright.workflow.review import open_review

    opened = open_review(options)
    try:
        server = ReviewServer(opened.app, options.port)
    except BaseException:
        opened.app.close()
        raise
    for sentence in opened.messages:
        say(sentence)
    say(f"{count_text(len(opened.app.session.items), 'image')}; each change is saved at once in {opened.folder}")
    say(f"open {opened.app.address} (Ctrl-C ends it)", whole=True)
    if options.browser:
        _open_browser(opened.app.address)
    server.run()
    actions = count_text(opened.app.session.revision, "action")
    say(f"ended; {actions} saved in {opened.folder}; go on with: {command_line(options)}")
    if opened.table.command:
        say(f"train with the new table: {opened.table.command}", whole=True)


def command_line(options: "ReviewOptions") -> str:
    """The command that continues a review."""
    words = ["eyebright", "review", str(options.source), *([str(options.new)] if options.new else [])]
    for name in ("out", "images", "journal"):
        value = getattr(options, name)
        words += [f"--{name}", str(value)] if value else []
    words += ["--labels", ",".join(options.labels)] if options.labels else []
    words += ["--kind", options.kind] if options.kind != type(options).kind else []
    return shlex.join(words)


def _open_browser(address: str) -> None:
    import webbrowser

    try:
        webbrowser.open(address)
    except (webbrowser.Error, OSError):
        say("no browser could be opened; open the address yourself")
