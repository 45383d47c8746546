"""What `benchmarks/compare.py` measures, one file a subject; see measure.py for how."""
