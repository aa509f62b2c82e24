"""``python -m eyebright``, the same as the command ``eyebright``."""

from eyebright.cli.main import start

if __name__ == "__main__":
    start()
