"""Relations of people in images: graphs of boxes against tables of the same numbers."""
