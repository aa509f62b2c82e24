"""What a model's answers say, as values; `report` and `plot` draw them."""
