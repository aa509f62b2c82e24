"""The first screen of a report: what the model can do, what it cannot, and what would help most, each from evidence."""
