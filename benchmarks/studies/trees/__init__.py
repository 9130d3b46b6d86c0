"""Trees: does structure help to read a sentence?"""
