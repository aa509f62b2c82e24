"""Makes pages of the documentation from the code and from the repository's own files; MkDocs calls `on_files`.

The API reference has every public name of `eyebright`, `eyebright.all` and `eyebright.recipes`, each under the module
that defines it, from which mkdocstrings takes its signature and its docstring. Nothing of Eyebright is imported but its
table of names, so building the site loads no torch.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.structure.files import File

import eyebright
from eyebright.learner.not_taken import NOT_TAKEN

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "eyebright"

PAGES = {
    "data": ("Data", "From files and tables to batches.", ("data", "sources", "io", "image")),
    "transforms": ("Transforms", "Resizing, augmentation and normalisation.", ("transforms",)),
    "targets": ("Targets", "What is predicted for an image, and its values.", ("tasks", "types")),
    "training": ("Training", "From batches to a trained model.", ("learner", "train", "workflow", "metrics")),
    "evaluation": ("Evaluation", "A model's outputs for a set of images.", ("evaluation",)),
    "prediction": ("Prediction", "Saved models.", ("inference", "export")),
}
"""By page of the reference: its title, its first sentence, and the packages whose names it has."""

_MOVED = {
    "eyebright.errors": "../errors",
    "eyebright.tasks.decision": "evaluation",
    "eyebright.tasks.image": "data",
    "eyebright.workflow.check": "data",
    "eyebright.workflow.evaluate": "evaluation",
}
"""Modules whose names are on another page than those of their package."""


class Name(NamedTuple):
    """A public name, and the place that defines it."""

    name: str
    module: str
    original: str

    @property
    def identifier(self) -> str:
        """The name for mkdocstrings; empty if another library defines it."""
        return f"{self.module}.{self.original}" if self.module.split(".")[0] == "eyebright" else ""


def on_files(files: Any, config: Any) -> Any:
    """The files of the site with those that are generated."""
    for path, text in generated_pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page as the site shows it: files of the repository are named, and errors have one heading each."""
    if page.file.src_uri == "errors.md":
        markdown = without_double_headings(markdown)
    return without_links_outside(markdown)


def without_double_headings(markdown: str) -> str:
    r"""The page of errors, without the headings of classes, for which mkdocstrings makes its own.

    >>> without_double_headings("## InputError\n\n::: eyebright.errors.InputError")
    '::: eyebright.errors.InputError'
    """
    return re.sub(r"(?m)^## (\w+)\n\n(?=::: eyebright\.errors\.\1$)", "", markdown)


def without_links_outside(markdown: str) -> str:
    """The text, where links to files of the repository are their text and their path.

    >>> without_links_outside("numbers ([gold](../tests/gold/README.md))")
    'numbers (gold, `tests/gold/README.md`)'
    """
    outside = "|".join(("tests", "benchmarks", "examples", "demo", "src", "NOTICE", "README"))
    return re.sub(rf"\[([^\]]*)\]\((?:\.\./)+((?:{outside})[^)]*)\)", r"\1, `\2`", markdown)


def generated_pages() -> dict[str, str]:
    """By path: the pages of the reference, the changelog and the page for contributors."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    in_site = contributing.replace("(docs/why.md)", "(why.md)").replace("(CHANGELOG.md)", "(changelog.md)")
    return {**reference_pages(), "changelog.md": changelog, "contributing.md": in_site}


# ------------------------------------------------------------------------------- the reference


def reference_pages() -> dict[str, str]:
    """By path: the pages of the reference."""
    names = [Name(name, module, name) for name, module in eyebright._MODULE_OF.items()]
    pages = {f"reference/{page}.md": _area(page, names) for page in PAGES}
    pages["reference/notebooks.md"] = _face("all", "Notebooks (eyebright.all)", also_in=names)
    pages["reference/recipes.md"] = _face("recipes", "Recipes (eyebright.recipes)", also_in=names)
    pages["reference/index.md"] = _index(names)
    return pages


def page_of(name: Name) -> str:
    """The page that has a name, from the folder of the reference and without its extension.

    Raises:
        KeyError: no page has the names of its package.
    """
    package = name.module.split(".")[1]
    of_package = {package: page for page, (_, _, packages) in PAGES.items() for package in packages}
    return _MOVED.get(name.module) or of_package[package]


def face_names(face: str) -> list[Name]:
    """The names in ``__all__`` of `eyebright.all` or `eyebright.recipes`, each with the module that defines it.

    Names of other libraries that fastai's notebooks use, and do not exist here, are omitted.
    """
    module = f"eyebright.{face}"
    path = PACKAGE / f"{face}.py"
    path = path if path.is_file() else PACKAGE / face / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    origins = _origins(tree, module)
    public = next(ast.literal_eval(node.value) for node in tree.body if _is_all(node))
    found = [origins[name] for name in public]
    if face != "all":  # what it takes from `eyebright.all` has its origin there
        notebook = {name.name: name for name in face_names("all")}
        found = [notebook.get(name.name, name) if name.module == "eyebright.all" else name for name in found]
    return found


def _is_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _origins(tree: ast.Module, module: str) -> dict[str, Name]:
    """By name: where a module's own and imported names come from."""
    origins: dict[str, Name] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(origin)):
                for alias in node.names:
                    name = alias.asname or alias.name
                    origins[name] = Name(name, origin, alias.name)
            case ast.Import():
                for alias in node.names:
                    name = alias.asname or alias.name
                    origins[name] = Name(name, alias.name, "")
            case _:
                pass
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                origins[name] = Name(name, module, name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                origins[name] = Name(name, module, name)
            case _:
                pass
    return origins


def _area(page: str, names: Iterable[Name]) -> str:
    """A page of the reference: a heading, a sentence, and what mkdocstrings shows of each name."""
    title, sentence, _ = PAGES[page]
    own = sorted(
        {name.identifier for name in names if page_of(name) == page}, key=lambda one: one.split(".")[-1].lower()
    )
    return "\n\n".join([f"# {title}", sentence, *(f"::: {identifier}" for identifier in own)]) + "\n"


def _face(face: str, title: str, *, also_in: list[Name]) -> str:
    """The page of a star import: names that `eyebright` has too, names of other libraries, and its own."""
    names = face_names(face)
    shared = {name.identifier: name for name in also_in}
    elsewhere = [name for name in names if name.identifier in shared]
    foreign = [name for name in names if not name.identifier]
    own = [name for name in names if name.identifier and name.identifier not in shared]
    parts = [f"# {title}", f"`from eyebright.{face} import *` gives these names."]
    if elsewhere:
        links = [f"[`{name.name}`]({page_of(name)}.md#{name.identifier})" for name in elsewhere]
        parts += ["## Names that `eyebright` has too", ", ".join(links)]
    rows = [f"| `{name.name}` | `{'.'.join(filter(None, (name.module, name.original)))}` |" for name in foreign]
    parts += ["## Names of other libraries", "\n".join(["| name | what it is |", "|---|---|", *rows])]
    if face == "all":
        parts += [
            "## Names of fastai that Eyebright does not have",
            f"{len(NOT_TAKEN)} more names can be imported, and using one raises an error that says what to use: "
            "[coming from fastai](../coming-from-fastai.md#how-names-map) lists them. `NOT_TAKEN` is their table.",
        ]
    in_page = {name.identifier: name for name in own if face == "all" or name.module != "eyebright.all"}
    if face == "recipes":
        there = [name for name in own if name.identifier not in in_page]
        links = [f"[`{name.name}`](notebooks.md#{name.identifier})" for name in there]
        parts += ["## Names that `eyebright.all` has too", ", ".join(links)] if links else []
    parts += [f"::: {identifier}" for identifier in in_page]
    return "\n\n".join(parts) + "\n"


def _index(names: Iterable[Name]) -> str:
    """The first page of the reference: all names of `eyebright`, with the page that has each."""
    rows = [
        f"| [`{name.name}`]({page_of(name)}.md#{name.identifier}) | `{name.module}` |"
        for name in sorted(names, key=lambda one: one.name.lower())
    ]
    head = (
        "# Python\n\n`from eyebright import NAME` gives these names; each is imported from its module when it is first "
        "used. Notebooks can use [eyebright.all](notebooks.md) and [eyebright.recipes](recipes.md).\n\n"
        "| name | defined in |\n|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"
