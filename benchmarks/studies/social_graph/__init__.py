"""An evolving social graph: who writes to whom next?"""
