"""Strategies written in Cython."""

STRATEGY_ABI: int

class StrategyAbi1: ...

Strategy = StrategyAbi1
