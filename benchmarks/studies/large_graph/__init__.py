"""Graphs larger than a step: full batch, samples and clusters."""
