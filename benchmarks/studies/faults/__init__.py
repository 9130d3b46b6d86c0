"""Faults and bad input, counted: how often each promise was tried, and how often it did not hold."""
