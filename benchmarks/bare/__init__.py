"""References and harness loops in Cython, compiled on first use; see build.py."""
