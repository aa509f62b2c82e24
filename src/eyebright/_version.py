"""The version of Eyebright, of which the package's metadata is made; known too where it is used without installing."""

__version__ = "0.1.0"
