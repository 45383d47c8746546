"""How events reach a component: the policies a user names, and the bounded queue behind `async for` and `batch`.

All of it belongs to the loop's thread. Nothing here waits, reads a clock or knows asyncio: a reader that finds
nothing leaves a callable, and `WakeBatch` calls it from one scheduled flush, however many events came in between.
"""

from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport UINT64_MAX, int32_t, uint32_t, uint64_t

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef uint32_t FIRST_ROOM = 16
cdef uint32_t IDLE_ROOM = 256               # an emptied queue keeps at most this much
cdef uint32_t MAXSIZE_LIMIT = 0x100_0000
cdef Py_ssize_t STATUS_LIMIT = 1024
cdef Py_ssize_t SLOT_BYTES = sizeof(void*) + sizeof(int32_t)

OVERFLOWS = ("drop_oldest", "drop_newest", "close")


cdef class Delivery:
    """How a component's events reach it. Use one of the subclasses; they are immutable and compare by value."""

    def __init__(self):
        if type(self) is Delivery:
            raise TypeError("use Callback() or Queue(...)")

    def __eq__(self, other):
        return type(self) is type(other) and self.__reduce__() == other.__reduce__()

    def __hash__(self):
        return hash(self.__reduce__())

    def __reduce__(self):
        return type(self), ()

    def __repr__(self):
        return f"{type(self).__name__}()"


cdef class Callback(Delivery):
    """The handler is called as each frame arrives, on the loop's thread; nothing is queued and nothing can be lost."""


cdef class Queue(Delivery):
    """Events wait in the component for `async for` or `batch`.

    `maxsize` events (1 to 16,777,216) are held; memory grows with what waits, not with `maxsize`. What happens to
    one more is `overflow`: "drop_oldest" (default), "drop_newest", or "close" (reading ends after what is queued,
    with an error that says why). Every lost event is counted and told. ValueError on anything else.
    """

    def __init__(self, maxsize=8192, overflow="drop_oldest"):
        if not 1 <= maxsize <= MAXSIZE_LIMIT:
            raise ValueError(f"maxsize must be 1 to {MAXSIZE_LIMIT}, not {maxsize!r}")
        if overflow not in OVERFLOWS:
            raise ValueError(f"overflow must be one of {', '.join(OVERFLOWS)}, not {overflow!r}")
        self.maxsize = maxsize
        self.overflow = overflow

    def __reduce__(self):
        return type(self), (self.maxsize, self.overflow)

    def __repr__(self):
        return f"Queue({self.maxsize}, overflow={self.overflow!r})"


cdef class Mark:
    pass


cdef class WakeBatch:
    """Collects the queues that have news and tells them all from one call of `schedule(flush)`.

    `schedule` is `loop.call_soon` or alike; it is called at most once between two flushes. If it raises (the loop is
    closed) that is counted in `failures` and the next put tries again.
    """

    def __cinit__(self, schedule):
        self.schedule = schedule
        self.ready = []

    cdef void add(self, EventQueue queue) noexcept:
        try:
            self.ready.append(queue)
            if not self.scheduled:
                self.scheduled = True
                self.schedule(self.flush)
        except Exception:
            self.scheduled = False
            self.failures += 1

    def flush(self):
        """Wake readers and report watermarks. Every queue is served even if one raises; the first error is raised."""
        cdef EventQueue queue
        cdef list ready = self.ready
        self.ready = []
        self.scheduled = False
        error = None
        for queue in ready:
            try:
                queue.settle()
            except BaseException as raised:
                error = error or raised
        if error is not None:
            raise error


cdef class EventQueue:
    """A component's bounded queue: events in order, with statuses and losses at the place where they happened.

    `wakes` tells the reader and the owner of news. `on_loss(count, {topic: count})` is called by the reader's take at
    the place of a gap and returns what stands there for the reader (None = nothing). `on_change(queue)` is called
    from a flush when `is_high` (0.75 of maxsize reached, 0.5 not yet) or `overflowed` changed. One reader at a
    time. A put costs a few nanoseconds and never raises: out of memory counts as a loss.
    """

    def __cinit__(self, maxsize=8192, overflow="drop_oldest", *, WakeBatch wakes not None, on_loss=None,
                  on_change=None):
        config = Queue(maxsize, overflow)
        self.maxsize = config.maxsize
        self.overflow = OVERFLOWS.index(config.overflow)
        self.high = max(1, self.maxsize - self.maxsize // 4)
        self.low = self.maxsize // 2
        self.next_mark = UINT64_MAX
        self.marks = []
        self.lost_topics = {}
        self.wakes = wakes
        self.on_loss = on_loss
        self.on_change = on_change

    def __dealloc__(self):
        while self.head < self.tail:
            Py_XDECREF(self.items[self.head & (self.room - 1)])
            self.head += 1
        PyMem_Free(self.items)

    # --- the writer's side

    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept:
        """Queue a borrowed reference (the queue takes its own). `topic` is who is told if it is lost."""
        cdef uint64_t waiting = self.tail - self.head
        if self.closed or waiting >= self.maxsize or (waiting == self.room and not self.grow()):
            return self.push_full(event, topic)
        self.store(event, topic)
        return PUT_KEPT

    cdef void store(self, PyObject* event, int32_t topic) noexcept:
        cdef uint64_t slot = self.tail & (self.room - 1)
        Py_INCREF(<object> event)
        self.items[slot] = event
        self.topics[slot] = topic
        self.tail += 1
        if self.tail - self.head >= self.high and not self.is_high:
            self.is_high = True
            self.notify()
        if self.waiter is not None:
            self.notify()

    cdef PutResult push_full(self, PyObject* event, int32_t topic) noexcept:
        """The event does not fit: closed, at maxsize, or no memory to grow."""
        cdef PyObject* oldest
        cdef uint64_t slot
        if self.closed and not self.overflowed:
            return PUT_REFUSED
        if self.overflow == DROP_OLDEST and self.tail > self.head:
            slot = self.head & (self.room - 1)
            oldest = self.items[slot]
            self.count_loss(self.topics[slot], True)
            self.head += 1
            self.store(event, topic)
            Py_DECREF(<object> oldest)      # last: a destructor may look at the queue
            return PUT_LOST
        self.count_loss(topic, False)
        if self.overflow == CLOSE and not self.overflowed:
            self.overflowed = self.closed = True
            self.notify()
        return PUT_LOST

    cdef bint grow(self) noexcept:
        cdef uint32_t room = self.room * 2 if self.room else FIRST_ROOM
        return self.resize(room)

    cdef bint resize(self, uint32_t room) noexcept:
        """Move what waits into a block of `room` slots (a power of two). False and unchanged without memory."""
        cdef PyObject** items = <PyObject**> PyMem_Malloc(room * SLOT_BYTES)
        cdef int32_t* topics = <int32_t*> (items + room)
        cdef uint64_t sequence = self.head
        if items == NULL:
            return False
        while sequence < self.tail:
            items[sequence & (room - 1)] = self.items[sequence & (self.room - 1)]
            topics[sequence & (room - 1)] = self.topics[sequence & (self.room - 1)]
            sequence += 1
        PyMem_Free(self.items)
        self.items = items
        self.topics = topics
        self.room = room
        return True

    cdef void count_loss(self, int32_t topic, bint oldest) noexcept:
        self.lost += 1
        try:
            self.lost_topics[topic] = self.lost_topics.get(topic, 0) + 1
            self.mark_loss(topic, oldest)
        except MemoryError:
            pass                  # the total above still counts it

    cdef int mark_loss(self, int32_t topic, bint oldest) except -1:
        """Note a gap where the oldest event stood, or where the next would have come; neighbours share one mark."""
        cdef uint64_t sequence = self.head if oldest else self.tail
        cdef Py_ssize_t place = len(self.marks)
        cdef Mark mark = None
        if oldest:
            while self.marks_ahead < place and (<Mark> self.marks[self.marks_ahead]).sequence <= sequence:
                self.marks_ahead += 1
            place = self.marks_ahead
        if place:
            mark = self.marks[place - 1]
        if mark is None or mark.lost == 0 or (not oldest and mark.sequence != sequence):
            mark = new_mark(sequence, {})
            self.marks.insert(place, mark)
            self.next_mark = (<Mark> self.marks[0]).sequence
            self.marks_ahead += oldest
        mark.lost += 1
        mark.content[topic] = mark.content.get(topic, 0) + 1
        return 0

    cdef void notify(self) noexcept:
        if not self.scheduled:
            self.scheduled = True
            self.wakes.add(self)

    cdef int settle(self) except -1:
        """From a flush: wake the reader if there is something for it, then tell the owner what changed."""
        self.scheduled = False
        waiter = self.waiter
        if waiter is not None and (self.closed or self.has_something()):
            self.waiter = None
            waiter()
        if (self.is_high != self.told_high or self.overflowed != self.told_overflow) and self.on_change is not None:
            self.told_high = self.is_high
            self.told_overflow = self.overflowed
            self.on_change(self)
        return 0

    def put(self, event not None, int32_t topic=-1):
        """Queue one event. True if nothing was lost by it. Never blocks; a queue closed by its owner takes nothing."""
        return self.push(<PyObject*> event, topic) == PUT_KEPT

    def put_status(self, status not None):
        """Place a status behind the events now waiting. It takes no room from events; beyond 1,024 untaken statuses
        the oldest is dropped and counted in `statuses_lost`. A closed queue still takes statuses (the last word)."""
        if self.status_count >= STATUS_LIMIT:
            self.drop_status()
        self.marks.append(new_mark(self.tail, status))
        self.status_count += 1
        self.next_mark = (<Mark> self.marks[0]).sequence
        if self.waiter is not None:
            self.notify()

    cdef int drop_status(self) except -1:
        cdef Py_ssize_t place = 0
        while (<Mark> self.marks[place]).lost:
            place += 1
        del self.marks[place]
        self.marks_ahead -= place < self.marks_ahead
        self.status_count -= 1
        self.statuses_lost += 1
        return 0

    def close(self):
        """Take no more events; what is queued can still be read. A waiting reader is woken. Idempotent."""
        if not self.closed:
            self.closed = True
            self.notify()

    # --- the reader's side

    cdef bint has_something(self) noexcept nogil:
        return self.tail > self.head or self.next_mark <= self.head

    def begin_wait(self, wake not None):
        """Ask for one call of `wake()` (from a flush) once there is something or the queue closes.

        False, and no call, if that is so already. RuntimeError if another reader waits: a queue has one.
        """
        if self.waiter is not None:
            raise RuntimeError("another reader is already waiting on this queue; a component has one reader at a time")
        if self.closed or self.has_something():
            return False
        self.waiter = wake
        return True

    def end_wait(self):
        """Withdraw the call asked for, after a cancellation or a timeout. Nothing is lost. Idempotent."""
        self.waiter = None

    def get_nowait(self):
        """The next event or status, or None if there is none."""
        cdef uint64_t slot
        while self.next_mark <= self.head:
            content = self.take_mark()
            if content is not None:
                return content
        if self.tail == self.head:
            return None
        slot = self.head & (self.room - 1)
        event = <object> self.items[slot]
        self.head += 1
        Py_DECREF(event)
        self.after_take()
        return event

    def get_many(self, Py_ssize_t max=256):
        """Up to `max` (at least 1, else ValueError) events and statuses in order; an empty list if there are none."""
        cdef list taken = []
        cdef Py_ssize_t count
        if max < 1:
            raise ValueError(f"max must be at least 1, not {max}")
        if self.next_mark == UINT64_MAX:
            return self.take_run(max)
        while len(taken) < max and self.has_something():
            if self.next_mark <= self.head:
                content = self.take_mark()
                if content is not None:
                    taken.append(content)
            else:
                count = <Py_ssize_t> (min(self.next_mark, self.tail) - self.head)
                taken += self.take_run(min(count, max - len(taken)))
        return taken

    def drain(self):
        """Everything that waits, in order; the queue is empty afterwards."""
        return self.get_many(PY_SSIZE_T_MAX)

    cdef list take_run(self, Py_ssize_t max):
        """Up to `max` events with no mark between them; their references move into the list."""
        cdef Py_ssize_t count = <Py_ssize_t> (self.tail - self.head)
        cdef Py_ssize_t i
        if count > max:
            count = max
        cdef list taken = PyList_New(count)
        for i in range(count):
            PyList_SET_ITEM(taken, i, <object> self.items[(self.head + <uint64_t> i) & (self.room - 1)])
        self.head += <uint64_t> count
        self.after_take()
        return taken

    cdef object take_mark(self):
        cdef Mark mark = self.marks.pop(0)
        self.marks_ahead -= self.marks_ahead > 0
        self.next_mark = (<Mark> self.marks[0]).sequence if self.marks else UINT64_MAX
        if mark.lost == 0:
            self.status_count -= 1
            return mark.content
        return None if self.on_loss is None else self.on_loss(mark.lost, mark.content)

    cdef void after_take(self) noexcept:
        cdef uint64_t waiting = self.tail - self.head
        if self.is_high and waiting <= self.low:
            self.is_high = False
            self.notify()
        if waiting == 0 and self.room > IDLE_ROOM:
            self.resize(IDLE_ROOM)

    # --- figures

    def __len__(self):
        """Events waiting; statuses and gaps are not counted."""
        return self.tail - self.head

    @property
    def losses(self):
        """A copy of {topic: events lost since the queue was made}."""
        return dict(self.lost_topics)

    @property
    def reader_waits(self):
        return self.waiter is not None

    @property
    def nbytes(self):
        """Bytes of the ring itself; the events are not counted, they may be shared."""
        return self.room * SLOT_BYTES


cdef Mark new_mark(uint64_t sequence, object content):
    cdef Mark mark = Mark.__new__(Mark)
    mark.sequence = sequence
    mark.content = content
    return mark
