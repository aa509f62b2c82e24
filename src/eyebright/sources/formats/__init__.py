"""One file for each format of labels: how it is recognised and read; `eyebright.sources.registry` lists them."""
