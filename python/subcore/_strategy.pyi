"""Strategies written in Cython."""

from typing_extensions import disjoint_base

PREFIX: str
STRATEGY_ABI: int

@disjoint_base
class StrategyAbi1: ...

Strategy = StrategyAbi1
