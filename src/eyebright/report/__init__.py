"""A report that a person can look at: one self-contained HTML file, made from an `Evaluation` and plain facts."""
