"""Members of event structs as Python values; used from Cython only."""
