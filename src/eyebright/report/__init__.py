"""The report for people: one self-contained HTML file, built from an `Evaluation` and plain facts."""
