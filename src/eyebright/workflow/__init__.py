"""From labelled images to a model folder: options, training and report."""
