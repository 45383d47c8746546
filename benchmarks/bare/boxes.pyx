# cython: language_level=3, boundscheck=False, wraparound=False
"""Boxes filled from C, as the router fills them, beside the least that keeps an object for later: a deque's append."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t

from subcore._delivery cimport Box
from subcore._events cimport Event, record_of
from subcore._ring cimport RecordRing


def append_each(deque, list events, Py_ssize_t rounds):
    """`rounds` times one append of each event; the deque is emptied after each round."""
    cdef Py_ssize_t _round
    cdef object append = deque.append
    for _round in range(rounds):
        for event in events:
            append(event)
        deque.clear()


def put_each(Box box, list events, int32_t topics, Py_ssize_t rounds):
    """`rounds` times one put of each event, for topics 0 to `topics` - 1 in turn; the box is drained after each."""
    cdef Py_ssize_t _round
    cdef int32_t topic = 0
    for _round in range(rounds):
        for event in events:
            box.push(<PyObject*>event, topic)
            topic += 1
            if topic == topics:
                topic = 0
        box.drain()


def put_records(RecordRing ring, list events, Py_ssize_t rounds):
    """`rounds` times one row for each event."""
    cdef Py_ssize_t _round
    for _round in range(rounds):
        for event in events:
            ring.put(record_of(<Event>event), 1)
