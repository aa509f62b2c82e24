"""Bytes to values and back: images, tables of labels, files, downloads."""
