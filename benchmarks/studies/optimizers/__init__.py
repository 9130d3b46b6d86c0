"""Optimizers: which way down?"""
