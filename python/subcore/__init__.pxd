# cython: language_level=3
"""What users' Cython code may cimport: `from subcore cimport Strategy, TickerData`."""

from subcore._events cimport (
    ABI_VERSION,
    ABSENT,
    AssetData,
    Balance,
    CandleData,
    EventFlag,
    EventHead,
    EventKind,
    Level,
    OrderbookData,
    OrderData,
    SideCode,
    Text16,
    Text40,
    Text72,
    TickerData,
    TradeData,
    TruthCode,
)
from subcore._strategy cimport StrategyAbi1 as Strategy
