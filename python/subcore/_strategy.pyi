"""Strategies written in Cython."""

PREFIX: str
STRATEGY_ABI: int

class StrategyAbi1: ...

Strategy = StrategyAbi1
