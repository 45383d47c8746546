# cython: language_level=3, boundscheck=False, wraparound=False
"""The least a fan-out to Python can do: call each of a list."""


def call_each(list callbacks, event, Py_ssize_t rounds):
    """`rounds` times one call of each callback with the same event."""
    cdef Py_ssize_t _round
    for _round in range(rounds):
        for callback in callbacks:
            callback(event)
