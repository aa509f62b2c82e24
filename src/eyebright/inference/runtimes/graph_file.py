"""The ONNX graph in a model folder, with the hash of its bytes in a separate small file.

ONNX Runtime also runs a graph whose weights were damaged after the export. The graph's metadata state which model was
exported, but cannot contain a hash of their own file. So ``network.onnx.sha256`` contains it, in the format of
``sha256sum --check``.
"""

import hashlib
from pathlib import Path

from eyebright.errors import ArtifactError, os_reason
from eyebright.io.atomic import attempts, prepared_file


def write_graph(path: Path, graph: bytes) -> None:
    """Writes a graph and its hash.

    After an error the previous files are unchanged, or the graph does not match its hash, so that it is not used.

    Args:
        path: the file of the graph.
        graph: its content.

    Raises:
        ArtifactError: a file cannot be written, for example because the disk is full.
    """
    hash_file = hash_path(path)
    line = f"{hashlib.sha256(graph).hexdigest()}  {path.name}\n"
    try:
        with (
            prepared_file(path, lambda temporary: temporary.write_bytes(graph)) as rename_graph,
            prepared_file(hash_file, lambda temporary: temporary.write_text(line, encoding="utf-8")) as rename_hash,
        ):
            rename_graph()
            rename_hash()
    except OSError as error:
        raise ArtifactError(f"cannot save '{path}': {os_reason(error)}") from None


def read_graph(path: Path) -> bytes:
    """The content of a graph file, checked to be unchanged since the export; also while another process replaces it.

    Raises:
        ArtifactError: a file cannot be read, or the hash of the bytes differs from the saved one.
    """
    hash_file = hash_path(path)
    for _ in attempts():
        try:
            graph = path.read_bytes()
            expected = hash_file.read_text(encoding="utf-8", errors="replace").split() if hash_file.is_file() else []
        except OSError as error:
            raise ArtifactError(f"'{path}' cannot be read: {os_reason(error)}") from None
        if not expected:
            raise ArtifactError(
                f"'{path}' cannot be checked, since {hash_file.name} is missing; export it again with save_onnx"
            )
        if hashlib.sha256(graph).hexdigest() == expected[0]:
            return graph
    raise ArtifactError(
        f"'{path}' is damaged: its hash is not that in {hash_file.name}; export it again with save_onnx"
    )


def hash_path(path: Path) -> Path:
    """The file with the hash of a graph."""
    return path.with_name(f"{path.name}.sha256")
