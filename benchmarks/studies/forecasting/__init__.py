"""Forecasts of epidemics: do networks beat an autoregression, and do graphs help?"""
