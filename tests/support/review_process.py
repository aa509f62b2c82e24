"""Serves a review of the images of a folder, in a process of its own that a test may kill.

Run as ``python -m support.review_process FOLDER PORT LABELS``; the journal is in ``FOLDER-review``.
"""

import sys
from pathlib import Path

from eyebright.review.server import ReviewServer
from support.reviews import label_items, open_app

if __name__ == "__main__":
    folder, port, labels = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    files = sorted(path.name for path in folder.iterdir())
    app = open_app(label_items(folder, files, [[0.0] * len(labels)] * len(files), labels), Path(f"{folder}-review"))
    server = ReviewServer(app, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.run()
