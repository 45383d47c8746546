"""subcore.sim."""
