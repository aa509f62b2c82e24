"""``--help``: plain text with options in their groups; with frames around them it would take three times as long."""

from typing import Any

from typer.core import TyperCommand


class Grouped(TyperCommand):
    """A command whose help lists options by their ``rich_help_panel``, those without one first."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group of options, in the order of the signature."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                standard = "Arguments" if param.param_type_name == "argument" else "Options"
                sections.setdefault(getattr(param, "rich_help_panel", None) or standard, []).append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
