"""Diagnoses in a population: ridges and networks on a graph of people, and what leaks would add."""
