"""Conversions that let the core read int32 arrays by pointer; no Python face."""
