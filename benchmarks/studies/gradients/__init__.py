"""Gradients: where does the gradient go?"""
