"""Images: reading, decoding, caching, and geometric warps."""
