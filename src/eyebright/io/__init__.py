"""Bytes to values and back: pictures, tables of labels, files, downloads."""
