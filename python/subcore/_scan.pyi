"""The scanner: a frame's bytes in, events' values out, a named state for everything else."""
