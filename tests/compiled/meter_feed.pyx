# cython: language_level=3
"""Feeds events to a meter through its C face, as the hot path does."""

from libc.stdint cimport int32_t
from libc.string cimport memset

from subcore._events cimport Event, Record, copy_record
from subcore._meter cimport Meter

import time


cdef Record at(Event event, stream, channel) except *:
    cdef Record record
    copy_record(event, &record)
    record.head.stream, record.head.channel = stream, channel
    return record


def feed(Meter meter, Event event, link=0, stream=0, channel=0, size=100):
    """Whether the frame proved an awaited stream."""
    cdef Record record = at(event, stream, channel)
    return meter.on_event(link, &record, size)


def judge(Meter meter, Event event, stream=0, channel=0, stale=0):
    """(is a repeat, trades were missed). `stale`: byte that lies behind the ends of texts."""
    cdef Record record = at(event, stream, channel)
    if stale and event.channel == "ticker":
        memset(record.ticker.change.data + record.ticker.change.size, stale,
               sizeof(record.ticker.change.data) - record.ticker.change.size)
        memset(record.ticker.trade_date.data + record.ticker.trade_date.size, stale,
               sizeof(record.ticker.trade_date.data) - record.ticker.trade_date.size)
    repeat = meter.is_repeat(&record)
    return bool(repeat), bool(meter.gap)


def offer(Meter meter, Event event, link=0, stream=0, channel=0):
    """(proved, is not delivered, is a copy, trades were missed): a frame's way through the meter, as the feed takes it."""
    cdef Record record = at(event, stream, channel)
    proved = meter.on_event(link, &record, 100)
    repeat = meter.is_repeat(&record)
    return bool(proved), bool(repeat), bool(meter.copy), bool(meter.gap)


def lose(Meter meter, int32_t stream, count):
    meter.count_losses(stream, count)


def seconds(Meter meter, Event event, Py_ssize_t times, streams=1):
    """Seconds for `times` frames: (counting, judging)."""
    cdef Record record = at(event, 0, 0)
    cdef Py_ssize_t i
    cdef int32_t many = streams
    begin = time.perf_counter()
    for i in range(times):
        record.head.stream = <int32_t>(i % many)
        meter.on_event(0, &record, 900)
    middle = time.perf_counter()
    for i in range(times):
        record.head.stream = <int32_t>(i % many)
        meter.is_repeat(&record)
    return middle - begin, time.perf_counter() - middle
