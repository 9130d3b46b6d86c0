"""Of the docs pytest reads the pages alone: the build runs the gallery."""

collect_ignore_glob = ["*.py"]
