"""The one way to import a package that only an extra brings."""

import importlib
from types import ModuleType


class MissingExtraError(ImportError):
    """A package that an extra of Eyebright brings is not installed; the message names the pip line."""


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The imported module, or an error that says how to get it.

    Args:
        module: dotted name, for example ``"matplotlib.pyplot"``.
        extra: the extra of Eyebright that brings it.
        purpose: what it is needed for, as the start of a sentence: ``"drawing a report"``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.split(".")[0] != module.split(".")[0]:
            raise
        package = module.split(".")[0]
        raise MissingExtraError(f"{purpose} needs the package '{package}': pip install 'eyebright[{extra}]'") from None
