# cython: language_level=3
"""C face of changes of routes."""

from libc.stdint cimport int32_t

from subcore._routes cimport RouteTable

cdef struct Change:           # asked for during a fan-out, made after it
    int32_t sink              # -1: disconnect
    int32_t component
    int32_t topic
    int32_t stream
    int32_t position          # of a disconnect: where the interest stood when it was asked for
    bint image                # of a connect: what is new gets the stream's image

cdef class RouteChanges(RouteTable):
    cdef Change* changes
    cdef Py_ssize_t change_room
    cdef Py_ssize_t change_count

    # What was asked for during a fan-out, in order.
    cdef int make_changes(self) except -1

    cdef int leave_routes(self, int32_t component, const int32_t* topics, Py_ssize_t count) except -1
    cdef object leave(self, int32_t component, const int32_t* topics, Py_ssize_t count)
    cdef Py_ssize_t add_later(self, int32_t sink, const int32_t* topics, Py_ssize_t count, int cls,
                              bint keep, bint image) except -1
    cdef bint is_aimed(self, int32_t component, int32_t topic) noexcept
    cdef int forget_unrouted(self, int32_t component, const int32_t* topics, Py_ssize_t count) except -1
    cdef int queue_change(self, int32_t sink, int32_t component, int32_t topic, bint image) except -1
    cdef int reserve_changes(self, Py_ssize_t extra) except -1
