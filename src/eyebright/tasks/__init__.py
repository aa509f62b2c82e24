"""One kind of field of a sample each: what must agree lives together."""
