"""From a source of items to batches."""
