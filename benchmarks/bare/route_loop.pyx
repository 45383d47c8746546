# cython: language_level=3, boundscheck=False, wraparound=False
"""The router driven from C, as the feed drives it, and strategies called with nothing between."""

from libc.stdint cimport int32_t

from subcore._events cimport Event, Record, TickerData, record_of
from subcore._route cimport Router
from subcore._strategy cimport StrategyAbi1


cdef class NothingStrategy(StrategyAbi1):
    cdef int on_ticker(self, const TickerData* ticker) except -1:
        return 0


def fan_out(Router router, int32_t stream, Event event, Py_ssize_t rounds):
    """`rounds` frames with the event's content to the stream's sinks."""
    cdef Py_ssize_t _round
    cdef const Record* record = record_of(event)
    cdef str venue = event.venue, channel = event.channel, symbol = event.symbol
    for _round in range(rounds):
        router.fan_out(stream, record, venue, channel, symbol, NULL)


def call_strategies(list strategies, Event event, Py_ssize_t rounds):
    """`rounds` calls of each strategy's method for tickers."""
    cdef Py_ssize_t _round
    cdef const Record* record = record_of(event)
    for _round in range(rounds):
        for strategy in strategies:
            (<StrategyAbi1>strategy).on_ticker(&record.ticker)
