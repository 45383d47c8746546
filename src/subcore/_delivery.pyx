"""How events reach a component: the policies a user names, and what all boxes share.

A box is where events wait for `async for` and `batch`. All of it belongs to the loop's thread. Nothing here waits,
reads a clock or knows asyncio: a reader that finds nothing leaves a callable, and `WakeBatch` calls it from one
scheduled flush, however many events came in between.
"""

from operator import index

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport UINT64_MAX, int32_t, uint32_t, uint64_t

from subcore._arrays cimport int32_vector
from subcore._delays cimport DelayTable
from subcore._duties cimport DutyTable
from subcore.errors import UsageError, WrongType

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef uint32_t MAXSIZE_LIMIT = 0x100_0000
cdef uint32_t RING_LIMIT = 0x10_0000

OVERFLOWS = ("drop_oldest", "drop_newest", "close")


cdef uint32_t amount(str name, value, uint32_t most) except? 0:
    """A number of events. A part of one is a mistake, and so is True."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise WrongType(f"{name} must be a whole number, 1 to {most}, not {value!r}")
    cdef object whole = index(value)
    if not 1 <= whole <= most:
        raise UsageError(f"{name} must be 1 to {most}, not {value!r}")
    return whole


cdef class Delivery:
    """How a component's events reach it. Use one of the subclasses; they are immutable and compare by value."""

    def __init__(self):
        if type(self) is Delivery:
            raise TypeError("use Callback(), Queue(...), Latest() or Ring(...)")

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
    with an error that says why). Every lost event is counted and told. UsageError, a ValueError, on anything else, and
    a TypeError as well where it is not a whole number.
    """

    def __init__(self, maxsize=8192, overflow="drop_oldest"):
        cdef uint32_t most = amount("maxsize", maxsize, MAXSIZE_LIMIT)
        if overflow not in OVERFLOWS:
            raise UsageError(f"overflow must be one of {', '.join(OVERFLOWS)}, not {overflow!r}")
        self.maxsize = most
        self.overflow = overflow

    def __reduce__(self):
        return type(self), (self.maxsize, self.overflow)

    def __repr__(self):
        return f"Queue({self.maxsize}, overflow={self.overflow!r})"


cdef class Latest(Delivery):
    """Only the newest event of each topic waits, for `async for` or `batch`: who is slow reads less, never old news.

    A newer event takes the place of the one that waits, and stands last. That is counted as conflated, per topic, and
    is no loss. Memory is bounded by the topics; of one that was given up and asked for again, the last event of before
    may wait beside the newest. A component with it owes nothing: it may read when it likes.
    """


cdef class Ring(Delivery):
    """The newest `size` events of a channel (1 to 1,048,576) as rows of numbers, read with `component.ring(channel)`.

    For strategies that poll: an event costs one copy of its struct and no Python object. What was not read when
    `size` newer ones came is overrun, and counted. Memory is taken at once: 112 to 240 bytes a row. UsageError as
    for Queue.
    """

    def __init__(self, size):
        self.size = amount("size", size, RING_LIMIT)

    def __reduce__(self):
        return type(self), (self.size,)

    def __repr__(self):
        return f"Ring({self.size})"


cdef class WakeBatch:
    """Collects the boxes that have news and tells them all from one call of `schedule(flush)`.

    `schedule` is `loop.call_soon` or alike; it is called at most once between two flushes. If it raises (the loop is
    closed) that is counted in `failures` and the next put tries again.
    """

    def __cinit__(self, schedule):
        self.schedule = schedule
        self.ready = []

    cdef void add(self, Box box) noexcept:
        try:
            self.ready.append(box)
        except MemoryError:
            box.scheduled = False
            self.failures += 1
            return
        ask_for_flush(self)

    def flush(self):
        """Wake readers and report watermarks. Every box is served even if one raises; the first error is raised."""
        cdef Box box
        cdef list ready = self.ready
        self.ready = []
        self.scheduled = False
        error = None
        for box in ready:
            try:
                box.settle()
            except BaseException as raised:
                error = error or raised
        if error is not None:
            raise error


cdef void ask_for_flush(WakeBatch wakes) noexcept:
    """Of those that are ready, if it was not asked for yet or could not be."""
    if wakes.scheduled or not wakes.ready:
        return
    wakes.scheduled = True
    try:
        wakes.schedule(wakes.flush)
    except BaseException as error:
        wakes.scheduled = False
        wakes.failures += 1
        if not isinstance(error, Exception):
            raise                 # unraisable: still seen


cdef class Arrivals:
    """Numbers what comes into several boxes of one reader, so that they can be read in the order of arrival."""


@cython.no_gc_clear             # a destructor run by the garbage collector may still put
cdef class Box:
    """Where events wait for one reader: base of `EventQueue` and `LatestBox`.

    `wakes` tells the reader and the owner of news. `on_change(box)` is called from a flush when a figure that the box
    watches changed. `duties` with `component`: where it counts what it was given and what was taken; with
    `calls_done` an event taken is done only when `returned()` is called. How long events had waited is measured by the
    table of duties, or by `delays` for component `owner`. A put never raises.
    """

    def __cinit__(self, *args, WakeBatch wakes not None, on_change=None, DutyTable duties=None, int32_t component=-1,
                  bint calls_done=False, DelayTable delays=None, int32_t owner=-1, **kwargs):
        self.wakes = wakes
        self.on_change = on_change
        self.calls_done = calls_done
        self.duty.due = self.duty.done = self.duty.lost = &self.unwatched
        if duties is not None:
            self.duty = duties.duty_of(component)
            self.table = duties
            self.delays, self.owner = duties.delays, component
        if delays is not None:
            self.delays, self.owner = delays, owner

    # --- the writer's side

    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept:
        return PUT_REFUSED

    def put(self, event not None, int32_t topic=-1):
        """Keep one event. True if nothing was lost by it. Never blocks; a box closed by its owner takes nothing."""
        if topic < -1:
            raise ValueError(f"topic must be an id, or -1 for none, not {topic}")
        return self.push(<PyObject*> event, topic) == PUT_KEPT

    def close(self):
        """Take no more events; what waits can still be read, and is no longer due. A waiting reader is woken.
        Idempotent."""
        self.leave_duty()
        if not self.closed:
            self.closed = True
            self.notify()

    # --- the reader's side

    cdef object take_one(self):
        return None

    cdef list take_list(self, Py_ssize_t max, uint64_t before):
        return []

    cdef uint64_t first_arrival(self) noexcept:
        return UINT64_MAX

    cdef int number_from(self, Arrivals arrivals) except -1:
        self.arrivals = arrivals
        return 0

    cdef bint has_something(self) noexcept:
        return self.waiting() > 0

    cdef uint64_t waiting(self) noexcept:
        return 0

    def get_nowait(self):
        """The next event or status, or None if there is none."""
        item = self.take_one()
        while item is None and self.has_something():      # a gap nobody is told of
            item = self.take_one()
        return item

    def get_many(self, Py_ssize_t max=256):
        """Up to `max` (at least 1, else ValueError) events and statuses in order; an empty list if there are none."""
        if max < 1:
            raise ValueError(f"max must be at least 1, not {max}")
        return self.take_list(max, UINT64_MAX)

    def drain(self):
        """Everything that waits, in order; the box is empty afterwards."""
        return self.take_list(PY_SSIZE_T_MAX, UINT64_MAX)

    def returned(self, uint64_t events=1):
        """With `calls_done`: so many of the events taken are done now."""
        cdef uint64_t known = min(events, self.in_hand)
        self.in_hand -= known
        self.duty.done[0] += known

    cdef void count_taken(self, uint64_t events) noexcept:
        if self.calls_done:
            self.in_hand += events
        else:
            self.duty.done[0] += events

    # --- names that go

    cdef int add_mentioned(self, set found, const int32_t* topics, Py_ssize_t count) except -1:
        return 0

    def mentioned(self, topics):
        """Of these topics (int32 ids, ascending), the set of those that it holds something of, or counts."""
        cdef const int32_t[::1] ids = int32_vector(topics, "topics")
        cdef set found = set()
        if ids.shape[0]:
            self.add_mentioned(found, &ids[0], ids.shape[0])
        return found

    def rename(self, dict ids not None):
        """{topic: id}: what it holds and counts of these topics goes by those ids from now on, each below -1.

        For topics that are about to be others'. O(what it holds).
        """

    # --- delays

    cdef void note_one(self, object event) noexcept:
        if self.delays is not None:
            self.delays.took(self.owner, event)

    cdef void note_list(self, list events) noexcept:
        if self.delays is not None:
            self.delays.took_list(self.owner, events)

    cdef void leave_duty(self) noexcept:
        """Nothing that waits or is in hand is due any more."""
        if self.table is not None:
            self.duty.done[0] += self.waiting() + self.in_hand
            self.duty.lost[0] += self.waiting() + self.in_hand
            self.duty.due = self.duty.done = self.duty.lost = &self.unwatched
            self.table = None
        self.delays = None          # the id may be another component's soon

    # --- waking

    def begin_wait(self, wake not None):
        """Ask for one call of `wake()` (from a flush) once there is something or the box closes.

        False, and no call, if that is so already. RuntimeError if another reader waits: a box has one.
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

    cdef void notify(self) noexcept:
        if self.scheduled:
            ask_for_flush(self.wakes)       # it may have failed the last time
            return
        self.scheduled = True
        self.wakes.add(self)

    cdef int settle(self) except -1:
        self.scheduled = False
        waiter = self.waiter
        if waiter is not None and (self.closed or self.has_something()):
            self.waiter = None
            waiter()
        return 0

    # --- figures

    def __len__(self):
        """Events waiting; statuses and gaps are not counted."""
        return self.waiting()

    def oldest_ns(self):
        """When the oldest event that waits was received, int ns since 1970, images passed over; -1 where none does."""
        return -1

    @property
    def reader_waits(self):
        return self.waiter is not None


cdef int add_counted(set found, dict counts, const int32_t* topics, Py_ssize_t count) except -1:
    for topic in counts:
        if is_among(topic, topics, count):
            found.add(topic)
    return 0


cdef int rename_counted(dict counts, dict ids) except -1:
    for topic in [topic for topic in counts if topic in ids]:
        other = ids[topic]
        counts[other] = counts.get(other, 0) + counts.pop(topic)
    return 0
