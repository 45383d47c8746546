"""The bounded queue behind `async for` and `batch`: events in order, with statuses and losses where they happened."""

cimport cython
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport UINT64_MAX, int32_t, uint32_t, uint64_t

from subcore._delivery cimport (
    CLOSE,
    DROP_OLDEST,
    PUT_KEPT,
    PUT_LOST,
    PUT_REFUSED,
    Arrivals,
    Box,
    PutResult,
    add_counted,
    is_among,
    rename_counted,
)

from subcore._delivery import OVERFLOWS as _OVERFLOWS
from subcore._delivery import Queue

cdef uint32_t FIRST_ROOM = 16
cdef uint32_t IDLE_ROOM = 256               # an emptied queue keeps at most this much
cdef Py_ssize_t STATUS_LIMIT = 1024
cdef Py_ssize_t SLOT_BYTES = sizeof(void*) + sizeof(int32_t)


cdef class Mark:
    pass


@cython.final
@cython.no_gc_clear             # a destructor run by the garbage collector may still put
cdef class EventQueue(Box):
    """A component's bounded queue: events in order, with statuses and losses at the place where they happened.

    Keywords as for `Box`. `on_loss(count, {topic: count})` is called by the reader's take at the place of a gap and
    returns what stands there for the reader (None = nothing). `on_change(queue)` is called from a flush when
    `is_high` (0.75 of maxsize reached, 0.5 not yet) or `overflowed` changed. One reader at a time. A put costs a few
    nanoseconds and never raises: out of memory counts as a loss.
    """

    def __cinit__(self, maxsize=8192, overflow="drop_oldest", *, on_loss=None, **kwargs):
        config = Queue(maxsize, overflow)
        self.maxsize = config.maxsize
        self.overflow = _OVERFLOWS.index(config.overflow)
        self.high = max(1, self.maxsize - self.maxsize // 4)
        self.low = self.maxsize // 2
        self.next_mark = UINT64_MAX
        self.marks = []
        self.lost_topics = {}
        self.on_loss = on_loss

    def __dealloc__(self):
        self.leave_duty()
        while self.head < self.tail:
            Py_XDECREF(self.items[self.head & (self.room - 1)])
            self.head += 1
        PyMem_Free(self.items)

    # --- the writer's side

    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept:
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
        if self.numbers != NULL:
            self.numbers[slot] = self.next_number()
        self.tail += 1
        self.duty.due[0] += 1
        if self.tail - self.head >= self.high and not self.is_high:
            self.is_high = True
            self.notify()
        if self.waiter is not None:
            self.notify()

    cdef PutResult push_full(self, PyObject* event, int32_t topic) noexcept:
        """The event does not fit: closed, at maxsize, or no memory to grow."""
        cdef PyObject* oldest
        cdef uint64_t slot, number, sequence
        cdef int32_t lost
        if self.closed and not self.overflowed:
            return PUT_REFUSED
        if self.overflow == DROP_OLDEST and self.tail > self.head:
            slot = self.head & (self.room - 1)
            oldest, lost, sequence = self.items[slot], self.topics[slot], self.head
            number = 0 if self.numbers == NULL else self.numbers[slot]
            self.head += 1
            self.store(event, topic)
            # Whatever allocates, or lets go of an event, may run a destructor that empties or closes the queue.
            self.count_loss(lost, number, sequence, True)
            Py_DECREF(<object> oldest)
            return PUT_LOST
        self.duty.due[0] += 1
        self.count_loss(topic, self.next_number(), self.tail, False)
        if self.overflow == CLOSE and not self.overflowed:
            self.overflowed = self.closed = True
            self.notify()
        return PUT_LOST

    cdef uint64_t next_number(self) noexcept:
        if self.arrivals is None:
            return 0
        self.arrivals.count += 1
        return self.arrivals.count

    cdef bint grow(self) noexcept:
        cdef uint32_t room = self.room * 2 if self.room else FIRST_ROOM
        return self.resize(room)

    cdef bint resize(self, uint32_t room) noexcept:
        """Move what waits into a block of `room` slots (a power of two). False and unchanged without memory."""
        cdef bint numbered = self.arrivals is not None
        cdef PyObject** items = <PyObject**> PyMem_Malloc(room * (SLOT_BYTES + numbered * sizeof(uint64_t)))
        cdef uint64_t* numbers = <uint64_t*> (items + room)
        cdef int32_t* topics = <int32_t*> (numbers + room * numbered)
        cdef uint64_t sequence = self.head
        if items == NULL:
            return False
        while sequence < self.tail:
            items[sequence & (room - 1)] = self.items[sequence & (self.room - 1)]
            topics[sequence & (room - 1)] = self.topics[sequence & (self.room - 1)]
            if self.numbers != NULL:
                numbers[sequence & (room - 1)] = self.numbers[sequence & (self.room - 1)]
            sequence += 1
        PyMem_Free(self.items)
        self.items = items
        self.topics = topics
        self.numbers = numbers if numbered else NULL
        self.room = room
        return True

    cdef int number_from(self, Arrivals arrivals) except -1:
        cdef uint64_t sequence = self.head
        cdef Mark mark
        if self.arrivals is not None:
            return 0
        self.arrivals = arrivals
        if self.room and not self.resize(self.room):
            self.arrivals = None
            raise MemoryError("no memory to number what waits in a queue")
        for mark in self.marks:
            while sequence < self.tail and sequence < mark.sequence:
                self.numbers[sequence & (self.room - 1)] = self.next_number()
                sequence += 1
            mark.arrival = self.next_number()
        while sequence < self.tail:
            self.numbers[sequence & (self.room - 1)] = self.next_number()
            sequence += 1
        return 0

    cdef void count_loss(self, int32_t topic, uint64_t arrival, uint64_t sequence, bint oldest) noexcept:
        self.lost += 1
        self.duty.done[0] += 1
        self.duty.lost[0] += 1
        try:
            self.lost_topics[topic] = self.lost_topics.get(topic, 0) + 1
            self.mark_loss(topic, arrival, sequence, oldest)
        except MemoryError:
            pass                  # the total above still counts it

    cdef int mark_loss(self, int32_t topic, uint64_t arrival, uint64_t sequence, bint oldest) except -1:
        """Note a gap where the oldest event stood, or where the next would have come; neighbours share one mark."""
        cdef Py_ssize_t place = len(self.marks)
        cdef Mark mark = None
        if oldest:
            while self.marks_ahead < place and (<Mark> self.marks[self.marks_ahead]).sequence <= sequence:
                self.marks_ahead += 1
            place = self.marks_ahead
        if place:
            mark = self.marks[place - 1]
        if mark is None or mark.lost == 0 or (not oldest and mark.sequence != sequence):
            mark = new_mark(sequence, arrival, {})
            self.marks.insert(place, mark)
            self.next_mark = (<Mark> self.marks[0]).sequence
            self.marks_ahead = min(self.marks_ahead + oldest, len(self.marks))
        mark.lost += 1
        mark.content[topic] = mark.content.get(topic, 0) + 1
        return 0

    cdef int settle(self) except -1:
        """Then tell the owner what changed."""
        Box.settle(self)
        if (self.is_high != self.told_high or self.overflowed != self.told_overflow) and self.on_change is not None:
            self.told_high = self.is_high
            self.told_overflow = self.overflowed
            self.on_change(self)
        return 0

    def put_status(self, status not None):
        """Place a status behind the events now waiting. It takes no room from events; beyond 1,024 untaken statuses
        the oldest is dropped and counted in `statuses_lost`. A closed queue still takes statuses (the last word)."""
        if self.status_count >= STATUS_LIMIT:
            self.drop_status()
        self.marks.append(new_mark(self.tail, self.next_number(), status))
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

    def lose_all(self):
        """Nobody will take what waits: it counts as lost. {topic: count} of these, and of losses not told yet."""
        cdef PyObject* event
        cdef uint64_t slot
        cdef Mark mark
        cdef dict found = {}
        for mark in self.marks:
            if mark.lost:
                for topic, count in mark.content.items():
                    found[topic] = found.get(topic, 0) + count
        while self.tail > self.head:
            slot = self.head & (self.room - 1)
            event, topic = self.items[slot], self.topics[slot]
            self.head += 1
            self.lost += 1
            self.duty.done[0] += 1
            self.duty.lost[0] += 1
            self.lost_topics[topic] = self.lost_topics.get(topic, 0) + 1
            found[topic] = found.get(topic, 0) + 1
            Py_DECREF(<object> event)
        return found

    # --- names that go

    cdef int add_mentioned(self, set found, const int32_t* topics, Py_ssize_t count) except -1:
        cdef uint64_t sequence = self.head
        cdef int32_t topic
        while sequence < self.tail:
            topic = self.topics[sequence & (self.room - 1)]
            if is_among(topic, topics, count):
                found.add(topic)
            sequence += 1
        return add_counted(found, self.lost_topics, topics, count)

    def rename(self, dict ids not None):
        """See Box."""
        cdef uint64_t sequence = self.head
        cdef Mark mark
        while sequence < self.tail:
            other = ids.get(self.topics[sequence & (self.room - 1)])
            if other is not None:
                self.topics[sequence & (self.room - 1)] = other
            sequence += 1
        rename_counted(self.lost_topics, ids)
        for mark in self.marks:
            if mark.lost:
                rename_counted(mark.content, ids)

    # --- the reader's side

    cdef uint64_t waiting(self) noexcept:
        return self.tail - self.head

    cdef bint has_something(self) noexcept:
        return self.tail > self.head or self.next_mark <= self.head

    cdef uint64_t first_arrival(self) noexcept:
        if self.next_mark <= self.head:
            return (<Mark> self.marks[0]).arrival
        return self.numbers[self.head & (self.room - 1)] if self.tail > self.head else UINT64_MAX

    cdef object take_one(self):
        cdef uint64_t slot
        if self.next_mark <= self.head:
            return self.take_mark()
        if self.tail == self.head:
            return None
        slot = self.head & (self.room - 1)
        event = <object> self.items[slot]
        self.head += 1
        Py_DECREF(event)
        self.after_take(1)
        self.note_one(event)
        return event

    cdef list take_list(self, Py_ssize_t max, uint64_t before):
        cdef list taken = []
        cdef Py_ssize_t count
        if self.next_mark == UINT64_MAX and before == UINT64_MAX:
            return self.take_run(<Py_ssize_t> min(self.tail - self.head, <uint64_t> max))
        while len(taken) < max and self.has_something() and self.first_is_before(before):
            if self.next_mark <= self.head:
                content = self.take_mark()
                if content is not None:
                    taken.append(content)
            else:
                count = <Py_ssize_t> (min(self.next_mark, self.tail) - self.head)
                taken += self.take_run(self.count_before(min(count, max - len(taken)), before))
        return taken

    cdef bint first_is_before(self, uint64_t arrival) noexcept:
        return arrival == UINT64_MAX or self.first_arrival() < arrival

    cdef Py_ssize_t count_before(self, Py_ssize_t most, uint64_t before) noexcept:
        """Of so many events that wait, those that arrived before this number; the first one did."""
        cdef Py_ssize_t count = 1
        if before == UINT64_MAX:
            return most
        while count < most and self.numbers[(self.head + <uint64_t> count) & (self.room - 1)] < before:
            count += 1
        return count

    cdef list take_run(self, Py_ssize_t count):
        """So many events with no mark between them; their references move into the list."""
        cdef Py_ssize_t i
        cdef list taken = PyList_New(count)
        if self.tail - self.head < <uint64_t> count:      # the allocation ran a destructor that took some
            return self.take_run(<Py_ssize_t> (self.tail - self.head))
        for i in range(count):
            PyList_SET_ITEM(taken, i, <object> self.items[(self.head + <uint64_t> i) & (self.room - 1)])
        self.head += <uint64_t> count
        self.after_take(<uint64_t> count)
        self.note_list(taken)
        return taken

    cdef object take_mark(self):
        cdef Mark mark = self.marks.pop(0)
        self.marks_ahead -= self.marks_ahead > 0
        self.next_mark = (<Mark> self.marks[0]).sequence if self.marks else UINT64_MAX
        if mark.lost == 0:
            self.status_count -= 1
            return mark.content
        return None if self.on_loss is None else self.on_loss(mark.lost, mark.content)

    cdef void after_take(self, uint64_t events) noexcept:
        cdef uint64_t waiting = self.tail - self.head
        self.count_taken(events)
        if self.is_high and waiting <= self.low:
            self.is_high = False
            self.notify()
        if waiting == 0 and self.room > IDLE_ROOM:
            self.resize(IDLE_ROOM)

    def first_time_ns(self):
        """When what comes next was received, int ns; 0 where a status or a gap does, -1 where nothing waits."""
        if self.next_mark <= self.head:
            return 0
        if self.tail == self.head:
            return -1
        return (<object>self.items[self.head & (self.room - 1)]).receive_time_ns

    # --- figures

    def oldest_ns(self):
        """See Box. O(images that wait before it)."""
        cdef uint64_t sequence = self.head
        while sequence < self.tail:
            event = <object> self.items[sequence & (self.room - 1)]
            if not event.is_image:
                return event.receive_time_ns
            sequence += 1
        return -1

    @property
    def losses(self):
        """A copy of {topic: events lost since the queue was made}."""
        return dict(self.lost_topics)

    @property
    def nbytes(self):
        """Bytes of the block itself; the events are not counted, they may be shared."""
        return self.room * (SLOT_BYTES + (self.numbers != NULL) * sizeof(uint64_t))


cdef Mark new_mark(uint64_t sequence, uint64_t arrival, object content):
    cdef Mark mark = Mark.__new__(Mark)
    mark.sequence = sequence
    mark.arrival = arrival
    mark.content = content
    return mark
