# cython: language_level=3
"""C face of the scanner's machine for processors with AVX2."""

# scan_calls of the machine (scan_machine.h), or NULL where this processor cannot run it.
cdef const void* wide_calls() noexcept
