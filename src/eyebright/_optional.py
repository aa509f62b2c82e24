"""The one way to import a package that only an extra brings."""

import importlib
import importlib.util
from types import ModuleType


class MissingExtraError(ImportError):
    """A package that an extra of Eyebright brings is not installed; the message names the pip line."""


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
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
        package = module.split(".")[0]
        if missing.name is None or missing.name.split(".")[0] != package:
            raise
        raise _missing(package, extra, purpose) from None


def check_installed(package: str, *, extra: str, purpose: str) -> None:
    """Nothing, or the error of `import_optional`; the package is looked for and not imported, which takes time.

    Args:
        package: its name.
        extra: the extra of Eyebright that brings it.
        purpose: what it will be needed for.

    Raises:
        MissingExtraError: the package is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise _missing(package, extra, purpose)


def _missing(package: str, extra: str, purpose: str) -> MissingExtraError:
    return MissingExtraError(f"{purpose} needs the package '{package}': pip install 'eyebright[{extra}]'")
