"""Figures for others to keep."""
