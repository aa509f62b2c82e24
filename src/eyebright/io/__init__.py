"""Files, downloads and archives."""
