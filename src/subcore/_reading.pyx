# cython: language_level=3
"""What `async for` goes through: a step of it without a coroutine, where something waits to be read."""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from subcore._inbox cimport Inbox

from _awaiting cimport PYGEN_ERROR, PYGEN_RETURN, PyIter_Send, PySendResult, TypeObject, release

cdef extern from "_stop.h":
    void subcore_stop(PyObject** kept, PyObject* item) noexcept
    void subcore_empty_stop(PyObject* kept) noexcept


@cython.final
cdef class Reading:
    """What `async for` goes through: where something waits, the next item with no coroutine made for it.

    `wait` is a coroutine function that gives the next item when there is one, or raises.
    """

    cdef Inbox inbox
    cdef object wait
    cdef PyObject* stop           # raised again and again, see _stop.h; NULL at first

    def __cinit__(self, Inbox inbox not None, wait not None):
        self.inbox = inbox
        self.wait = wait

    def __dealloc__(self):
        release(self.stop)

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Turn turn
        subcore_empty_stop(self.stop)
        if self.inbox.ended or not self.inbox.has_something():
            return self.wait()
        turn = Turn.__new__(Turn)
        turn.reading = self
        return turn


@cython.final
@cython.freelist(16)
cdef class Turn:
    """One step of an iteration. The item is taken when it is awaited, so a step given up takes nothing."""

    cdef Reading reading
    cdef object under_way         # where another took what was there: the waiting for the next

    def __init__(self):
        raise TypeError("a Turn is made by an iteration over a box")

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """As a coroutine's. The interpreter goes another way, see `send_quickly`."""
        if self.begin():
            raise StopIteration(self.take())
        return self.under_way.send(value)

    def throw(self, *error):
        """As a coroutine's."""
        if self.under_way is None:
            self.under_way = self.reading.wait()
        return self.under_way.throw(*error)

    def close(self):
        """As a coroutine's."""
        if self.under_way is not None:
            self.under_way.close()

    cdef int begin(self) except -1:
        """1: the item is there, to be taken at once. 0: it is waited for."""
        if self.under_way is None:
            item = self.reading.inbox.next_item()
            if item is not None:
                self.under_way = item
                return 1
            self.under_way = self.reading.wait()
        return 0

    cdef object take(self):
        item, self.under_way = self.under_way, None
        return item


# The same function seen as one that leaves its exception set.
ctypedef int (*BeginCall)(Turn) noexcept


cdef int begin_turn(Turn turn) except -1:
    return turn.begin()


cdef PySendResult send_quickly(PyObject* self, PyObject* value, PyObject** result) noexcept:
    """What `await` calls: it returns the item, where `send` would have to raise it."""
    cdef Turn turn = <Turn>self
    cdef int there = (<BeginCall>begin_turn)(turn)
    if there < 0:
        return PYGEN_ERROR
    if there:
        item = turn.take()
        Py_INCREF(item)
        result[0] = <PyObject*>item
        return PYGEN_RETURN
    return PyIter_Send(<PyObject*>turn.under_way, value, result)


cdef PyObject* next_quickly(PyObject* self) noexcept:
    """What `await` calls from Python 3.12 on: the item is raised, but with no traceback made."""
    cdef PyObject* item = NULL
    if send_quickly(self, <PyObject*>None, &item) != PYGEN_RETURN:
        return item
    subcore_stop(&(<Turn>self).reading.stop, item)
    release(item)
    return NULL


(<TypeObject*>Turn).tp_as_async.am_send = send_quickly
(<TypeObject*>Turn).tp_iternext = next_quickly
