"""Palindromes: which network remembers the first digit until the last?"""
