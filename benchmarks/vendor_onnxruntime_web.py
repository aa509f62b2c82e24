"""Makes the packaged files of ONNX Runtime Web from its npm package, or checks that they are what it contains.

    npm pack onnxruntime-web@1.30.0 && tar xzf onnxruntime-web-1.30.0.tgz
    python benchmarks/vendor_onnxruntime_web.py package/            # compares
    python benchmarks/vendor_onnxruntime_web.py package/ --write    # replaces them, for another version

Two files are taken as they are and compressed without a name and a time, so that the same package gives the same bytes
(of the same zlib). The table ``files.json`` has the SHA-256 of both forms, which a test compares.
"""

import argparse
import gzip
import hashlib
import json
import sys
from pathlib import Path

import measure

PACKAGED = Path(__file__).resolve().parents[1] / "src/eyebright/web/assets/onnxruntime_web"
TAKEN = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def main() -> int:
    """Compares or writes; 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the unpacked npm package onnxruntime-web")
    parser.add_argument("--write", action="store_true", help="replace the packaged files")
    parser.add_argument("--json", type=Path, help="file for the result of each comparison")
    options = parser.parse_args()
    about = json.loads((options.package / "package.json").read_text(encoding="utf-8"))
    contents = {name: (options.package / "dist" / name).read_bytes() for name in TAKEN}
    if options.write:
        write(about, contents)
    table = json.loads((PACKAGED / "files.json").read_text(encoding="utf-8"))
    wrong = [name for name, data in contents.items() if table["files"][name]["sha256"] != sha256(data)]
    results: dict[str, dict[str, object]] = {}
    for name in TAKEN:
        packaged = gzip.decompress((PACKAGED / f"{name}.gz").read_bytes())
        same = name not in wrong and packaged == contents[name]
        results[name] = {"bytes": len(packaged), "same": same}
        print(f"{name}: {len(packaged):,} bytes, {'same' if same else 'DIFFERS'}")
    measure.save(options.json, results)
    return 0 if all(one["same"] for one in results.values()) else 1


def write(about: dict[str, str], contents: dict[str, bytes]) -> None:
    """Replaces the packaged files and their table."""
    files = {}
    for name, data in contents.items():
        compressed = gzip.compress(data, compresslevel=9, mtime=0)
        (PACKAGED / f"{name}.gz").write_bytes(compressed)
        files[name] = {"sha256": sha256(data), "bytes": len(data), "gz_sha256": sha256(compressed)}
    table = {"package": about["name"], "version": about["version"], "licence": about["license"], "files": files}
    (PACKAGED / "files.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def sha256(data: bytes) -> str:
    """The hash in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
