"""Images: the last event of each stream, so that who joins it later knows at once how things stand.

Where a fan-out made an event, that one is held, at the cost of a reference. An event that nobody else has any more is
written over with the stream's next record, and is then the event of that fan-out: so what a stream's frames touch is
always the same memory, and where nobody keeps events none is made and dropped.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int32_t, uint16_t, uint32_t
from libc.string cimport memset

from subcore._events cimport FLAG_IMAGE, Event, Record, make_event, record_of, renew_event, size_of

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* object) noexcept
    void Py_XDECREF(PyObject* object) noexcept


cdef class ImageTable:
    def __dealloc__(self):
        cdef int32_t stream
        for stream in range(self.room):
            Py_XDECREF(self.events[stream])
        PyMem_Free(self.events)

    cdef bint has(self, int32_t stream) noexcept:
        return 0 <= stream < self.room and self.events[stream] != NULL

    cdef void keep(self, int32_t stream, Event event) noexcept:
        cdef PyObject* old
        if stream >= self.room and not self.reserve(stream):
            return
        old = self.events[stream]
        if old == <PyObject*>event:
            return
        Py_INCREF(event)
        self.events[stream] = <PyObject*>event
        if old == NULL:
            self.count += 1
        else:
            Py_XDECREF(old)

    cdef PyObject* renewed(self, int32_t stream, const Record* record) noexcept:
        cdef PyObject* held
        if not self.has(stream):
            return NULL
        held = self.events[stream]
        return held if Py_REFCNT(held) == 1 and renew_event(held, record) else NULL

    cdef void copy(self, int32_t stream, const Record* record, str venue, str channel, str symbol) noexcept:
        # The id alone tells too little of a symbol: it may be another text's by now.
        if self.has(stream) and (<Event>self.events[stream]).symbol is symbol:
            if self.renewed(stream, record) != NULL:
                return
        try:
            self.keep(stream, make_event(record, venue, channel, symbol, None, 0))
        except (MemoryError, ValueError):
            self.forget(stream)

    cdef void forget(self, int32_t stream) noexcept:
        cdef PyObject* old
        if self.has(stream):
            old = self.events[stream]
            self.events[stream] = NULL
            self.count -= 1
            Py_XDECREF(old)

    cdef Event image_of(self, int32_t stream, uint32_t cut, bint raw):
        cdef Event event, image
        if not self.has(stream):
            return None
        event = <Event>self.events[stream]
        image = make_event(record_of(event), event.venue, event.channel, event.symbol, event.raw if raw else None,
                           <uint16_t>cut)
        image.head.flags |= FLAG_IMAGE
        return image

    cdef bint reserve(self, int32_t stream) noexcept:
        cdef int32_t room = max(stream + 1, self.room + self.room // 2)
        cdef PyObject** events = <PyObject**>PyMem_Realloc(self.events, <size_t>room * sizeof(PyObject*))
        if events == NULL:
            return False
        memset(events + self.room, 0, <size_t>(room - self.room) * sizeof(PyObject*))
        self.events, self.room = events, room
        return True

    @property
    def nbytes(self):
        """Bytes of the table and of the events in it, whoever else holds them. O(streams)."""
        cdef Py_ssize_t total = <Py_ssize_t>self.room * <Py_ssize_t>sizeof(PyObject*)
        cdef int32_t stream
        cdef Event event                     # held: another may take its place meanwhile
        for stream in range(self.room):
            if self.events[stream] != NULL:
                event = <Event>self.events[stream]
                total += size_of(event)
        return total
