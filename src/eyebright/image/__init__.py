"""An image: read, decoded, cached, and moved by one warp."""
