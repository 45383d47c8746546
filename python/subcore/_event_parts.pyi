"""Levels and balances inside events as Python values; used from Cython only."""
