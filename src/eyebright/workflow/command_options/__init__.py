"""The options of the commands beside those of reading and training, by what the commands are for."""
