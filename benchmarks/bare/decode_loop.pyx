# cython: language_level=3, boundscheck=False, wraparound=False
"""Decoding as the feed does it, with no Python call between: bytes to struct, an event object made and dropped."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from subcore._events cimport Event, make_event
from subcore._scan cimport SCAN_END, SCAN_OK, Scanner


def decode(Scanner scanner, list frames, Py_ssize_t rounds):
    """`rounds` times all frames. ValueError where one is no data frame."""
    cdef Py_ssize_t _round
    cdef Event event
    cdef str venue = "upbit"
    cdef tuple channels = scanner.schema.channels
    cdef list symbols = [scanner.interner.text(id) for id in range(len(scanner.interner))]
    for _round in range(rounds):
        for frame in frames:
            if scanner.begin(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame)) != SCAN_OK or scanner.next() != SCAN_OK:
                raise ValueError(f"not decoded: {frame}")
            event = make_event(&scanner.record, venue, <str>channels[scanner.record.head.channel],
                               <str>symbols[scanner.record.head.symbol], None, 0)
            if scanner.next() != SCAN_END:
                raise ValueError(f"more than one object: {frame}")
    return event
