"""subcore.engine."""
