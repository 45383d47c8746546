"""Whether a snapshot repeats what its stream has said before; used from Cython only."""
