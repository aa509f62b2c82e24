"""A page that answers: a graph, the runtime that computes it in a browser, and what shows the answers, in one file.

Nothing is loaded, from no network and no disk. The content security policy forbids requests, allows the scripts and
styles of the page by their hashes, WebAssembly, and a worker created from text in the page.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eyebright._version import __version__
from eyebright.web.page import packaged, packaged_bytes, template

_RUNTIME = "assets/onnxruntime_web"
_OFFLINE = "assets/offline"
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The files of ONNX Runtime Web: the interface, and the runtime with its operators."""
_SHARED_ASSETS = "assets/shared"
_SCRIPTS = ("answers.js", "cards.js", "heat_map.js", "thresholds.js", "start.js")
_WORKER_SCRIPTS = ("image_file.js", "worker.js")


@dataclass(frozen=True)
class OfflinePage:
    """The content of a page that answers.

    Args:
        title: the heading.
        summary: what the model answers, in a sentence.
        model: what the scripts need, as JSON: ``"shows"`` (labels, classes, points or numbers), ``"names"``,
            ``"columns"`` of the CSV, ``"upper"`` and ``"lower"`` thresholds, ``"isOrdered"``, ``"heat"`` (the settings
            of heat maps; None without heat maps).
        about: names and values about the model.
        limits: sentences on what differs from Python, or is missing.
        stamp: the model and its decision, by which `eyebright.inference.inspect_export.checked_page` knows them.
    """

    title: str
    summary: str
    model: Mapping[str, Any]
    about: Sequence[tuple[str, str]]
    limits: Sequence[str] = ()
    stamp: str = ""

    @property
    def has_thresholds(self) -> bool:
        """Whether there are adjustable thresholds."""
        return self.model["shows"] == "labels"

    @property
    def has_heat_maps(self) -> bool:
        """Whether the graph gives heat maps."""
        return self.model.get("heat") is not None


def render_offline_page(page: OfflinePage, graph: bytes) -> str:
    """The page as the text of one HTML file.

    Args:
        page: its content.
        graph: takes uint8 images, as `eyebright.export` writes it.
    """
    script = page_script()
    style = "\n" + packaged("page.css") + packaged(f"{_OFFLINE}/offline.css")
    return template(f"{_OFFLINE}/offline.html").render(
        page=page,
        model=_json(page.model),
        worker=_json(worker_script()),
        wasm=_base64(packaged_bytes(f"{_RUNTIME}/{WASM}.gz")),
        graph=_base64(gzip.compress(graph, compresslevel=6, mtime=0)),
        script=script,
        script_hash=_hash(script),
        style=style,
        style_hash=_hash(style),
        runtime_version=runtime_files()["version"],
        runtime_licence=packaged(f"{_RUNTIME}/LICENSE"),
        version=__version__,
    )


def page_script(names: Sequence[str] = _SCRIPTS) -> str:
    """These files and what they share with the other page, as one classic script: no module is loaded from a disk."""
    elements = re.sub(r"^export ", "", packaged(f"{_SHARED_ASSETS}/elements.js"), flags=re.MULTILINE)
    return "\n".join(["", elements, *(packaged(f"{_OFFLINE}/{name}") for name in names)])


@cache
def runtime_files() -> dict[str, Any]:
    """The facts of the packaged files of ONNX Runtime Web: version, licence, SHA-256."""
    return json.loads(packaged(f"{_RUNTIME}/files.json"))


def worker_script() -> str:
    """The script of a worker: ONNX Runtime Web as a constant ``ort``, and the page's own scripts.

    ONNX Runtime Web is a module, and browsers start no module worker from a page on a disk. As a classic script its
    exports become an object, and ``import.meta`` becomes one with the address of the worker.
    """
    module = gzip.decompress(packaged_bytes(f"{_RUNTIME}/{MODULE}.gz")).decode()
    found = re.fullmatch(r"(.*)export\{([^{}]*)\};\s*(?://# .*\s*)?", module, flags=re.DOTALL)
    assert found is not None  # a test checks the packaged files
    body = found[1].replace("import.meta", "meta")
    pairs = (pair.split(" as ") for pair in found[2].split(","))
    names = ",".join(f"{public.strip()}:{inner.strip()}" for inner, public in pairs if public.strip() != "default")
    own = "\n".join(packaged(f"{_OFFLINE}/{name}") for name in _WORKER_SCRIPTS)
    return f'"use strict";const ort=((meta)=>{{{body};return {{{names}}}}})({{url:self.location.href}});\n{own}'


def _json(value: Any) -> str:
    """JSON that is safe in a script element: no character of it ends the element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
