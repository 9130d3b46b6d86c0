"""Stocks: do relations help to predict returns?"""
