"""What a labelled set of images holds, before anything is trained with it."""
