"""Random choices that become a warp and a lighting."""
