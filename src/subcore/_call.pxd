# cython: language_level=3
"""C face of _call.h, and handing one event to a sink.

It stays beside the sources: no .pxd that is shipped needs it.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t

from subcore._delivery cimport Box
from subcore._sinks cimport SINK_METHOD, Sink

cdef extern from "_call.h":
    PyObject* subcore_weak_get(PyObject* reference) noexcept
    # -1 leaves an exception set, for handler_failed to take: so no call pays for a try block.
    int subcore_call_one(PyObject* callable, PyObject* argument) noexcept
    int subcore_call_two(PyObject* callable, PyObject* self, PyObject* argument) noexcept
    int subcore_call_strategy(PyObject* strategy, const void* record, unsigned int kind) noexcept
    void subcore_release "Py_DECREF"(PyObject* object) noexcept


cdef inline int call(Sink* sink, PyObject* event) noexcept:
    """Call a sink's function with the event. The row may move while it runs."""
    cdef PyObject* target
    cdef int status
    if sink.kind == SINK_METHOD:
        target = subcore_weak_get(sink.weak)
        if target == NULL:
            return 0
        sink.delivered += 1
        status = subcore_call_two(sink.target, target, event)
        subcore_release(target)
        return status
    sink.delivered += 1
    return subcore_call_one(sink.target, event)


cdef inline void keep(Sink* sink, PyObject* event, int32_t topic) noexcept:
    """Put the event where it is taken from later; nobody's code runs."""
    sink.delivered += 1
    (<Box>sink.target).push(event, topic)
