"""What the docs' build needs beside Sphinx."""
