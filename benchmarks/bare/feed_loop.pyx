# cython: language_level=3, boundscheck=False, wraparound=False
"""The feed driven from C with frames of many streams, all of them in the same few bytes of memory."""

from libc.stdint cimport int32_t, uint8_t

from subcore._feed cimport Feed


def feed_all(Feed feed, list templates, Py_ssize_t offset, const int32_t[::1] numbers, Py_ssize_t rounds):
    """One frame for each number: a template (bytearray) in turn, the number as five digits at `offset`."""
    cdef Py_ssize_t _round, i
    cdef int32_t rest
    cdef int digit
    cdef uint8_t[::1] frame
    cdef list views = [memoryview(template) for template in templates]
    for _round in range(rounds):
        for i in range(numbers.shape[0]):
            frame = views[i % len(views)]
            rest = numbers[i]
            for digit in range(4, -1, -1):
                frame[offset + digit] = <uint8_t>(48 + rest % 10)
                rest //= 10
            feed.on_payload(0, <const char*>&frame[0], frame.shape[0], 1, 1)
