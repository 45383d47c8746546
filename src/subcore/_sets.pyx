# The set algebra the planner runs on.
"""Sorted id-array set algebra."""
