"""asv benchmarks: `make bench`. The files of instructions/ are for scripts/instruction_gate.py."""
