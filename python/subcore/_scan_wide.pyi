"""The scanner's machine for processors with AVX2; it has no face in Python."""
