# cython: language_level=3
"""Calls the C face of events from a module outside the package, as a user's Cython code would."""

from libc.stdint cimport uint16_t
from libc.string cimport memset

from subcore._events cimport (
    FLAG_IMAGE,
    KIND_COUNT,
    KIND_TICKER,
    Event,
    Record,
    copy_record,
    make_event,
    record_of,
    size_of,
)

import time


def again(Event event, raw=None, cut=0, image=False):
    """The event made once more, from its own struct."""
    cdef Record record
    copy_record(event, &record)
    if image:
        record.head.flags |= FLAG_IMAGE
    return make_event(&record, event.venue, event.channel, event.symbol, raw, cut)


def of_no_kind():
    """Must raise: no class is made for such a record."""
    cdef Record record
    memset(&record, 0, sizeof(record))
    record.head.kind = KIND_COUNT
    return make_event(&record, "venue", "channel", None, None, 0)


def overlong_text():
    """A ticker whose text claims more bytes than there are."""
    cdef Record record
    memset(&record, 0, sizeof(record))
    record.head.kind = KIND_TICKER
    record.ticker.change.size = 255
    memset(record.ticker.change.data, 120, sizeof(record.ticker.change.data))
    record.ticker.side = 77
    record.ticker.is_trading_suspended = 77
    return make_event(&record, "venue", "ticker", "A", None, 0)


def bytes_of(Event event):
    return size_of(event)


def seconds_to_make(Event event, Py_ssize_t times, cut=0):
    """Seconds to make and drop the event `times` times."""
    cdef const Record* record = record_of(event)
    cdef str venue = event.venue, channel = event.channel, symbol = event.symbol
    cdef uint16_t levels = cut
    cdef Py_ssize_t _i
    begin = time.perf_counter()
    for _i in range(times):
        make_event(record, venue, channel, symbol, None, levels)
    return time.perf_counter() - begin
