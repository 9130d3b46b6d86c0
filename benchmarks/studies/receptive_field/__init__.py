"""Receptive fields: do k layers reach k hops?"""
