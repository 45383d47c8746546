"""What a component reads from: one box, or several whose events are read in the order in which they arrived."""

cimport cython
from libc.stdint cimport UINT64_MAX, int32_t, int64_t, uint64_t

from subcore._arrays cimport int32_vector
from subcore._delivery cimport Arrivals, Box, add_counted, rename_counted
from subcore._latest cimport LatestBox
from subcore._queue cimport EventQueue

from subcore.errors import CapacityError

cdef Py_ssize_t BOX_LIMIT = 16


@cython.final
@cython.no_gc_clear             # a destructor run by the garbage collector may still put
cdef class Inbox:
    """One reader's boxes. Belongs to the loop's thread; one reader at a time.

    With one box reading costs what the box costs. With several each event carries the number of its arrival, and what
    came first is read first, statuses and gaps in their places: a gap stands where its first event was lost. A box
    that nothing comes into any more stays until it is read, then it goes, and its figures stay here.
    """

    def __cinit__(self):
        self.boxes = []
        self.leaving = []
        self.arrivals = Arrivals()
        self.losses_before = {}
        self.conflations_before = {}

    # --- its boxes

    def add(self, Box box not None, *, bint bounded=True):
        """Read from this box too. CapacityError, if `bounded`, beyond 16 boxes: those that wait to be read count."""
        cdef Box other
        if bounded and len(self.boxes) >= BOX_LIMIT:
            raise CapacityError(
                f"{BOX_LIMIT} delivery policies of one component wait to be read: read before you change more of them"
            )
        if self.boxes:
            for other in self.boxes:
                other.number_from(self.arrivals)
            box.number_from(self.arrivals)
        self.boxes.append(box)
        self.only = box if len(self.boxes) == 1 else None
        if self.closed:
            box.close()
        elif self.waiter is not None:
            box.waiter = self.wake

    def leave(self, Box box not None):
        """Nothing comes into it any more: it goes when it is read, at once if nothing waits. Unknown ones are passed
        over."""
        if box not in self.boxes or box in self.leaving:
            return
        if box.has_something():
            self.leaving.append(box)
        else:
            self.remove(box)

    def stay(self, Box box not None):
        """False if it has gone already; else it stays after all."""
        if box in self.leaving:
            self.leaving.remove(box)
        return box in self.boxes

    cdef int remove(self, Box box) except -1:
        self.keep_figures(box)
        self.boxes.remove(box)
        if box in self.leaving:
            self.leaving.remove(box)
        box.waiter = None
        self.only = self.boxes[0] if len(self.boxes) == 1 else None
        return 0

    cdef int keep_figures(self, Box box) except -1:
        self.lost_before += box.lost
        add_to(self.losses_before, box.losses)
        if isinstance(box, LatestBox):
            self.conflated_before += (<LatestBox>box).conflated
            add_to(self.conflations_before, box.conflations)
        return 0

    def close(self):
        """Take no more events; what waits can still be read. A waiting reader is woken. Idempotent."""
        cdef Box box
        self.closed = True
        for box in self.boxes:
            box.close()
        if not self.boxes:
            self.wake()

    def __contains__(self, box):
        """Whether it is still read from."""
        return box in self.boxes

    # --- reading

    def get_nowait(self):
        """The next event or status, or None if there is none."""
        return self.next_item()

    cdef object next_item(self):
        cdef Box box
        if self.ended:
            return None
        while (box := self.only if self.only is not None else self.first(NULL)) is not None:
            item = box.take_one()
            if not box.has_something():
                self.emptied(box)
            if item is not None or self.ended or not self.has_something():
                return item
        return None

    def get_many(self, Py_ssize_t max=256):
        """Up to `max` (at least 1, else ValueError) events and statuses in order; an empty list if there are none."""
        cdef list taken = []
        cdef uint64_t before = UINT64_MAX
        cdef Box box
        if max < 1:
            raise ValueError(f"max must be at least 1, not {max}")
        if self.ended:
            return taken
        if self.only is not None:
            box = self.only
            taken = box.take_list(max, UINT64_MAX)
            if not box.has_something():
                self.emptied(box)
            return taken
        while len(taken) < max and not self.ended and (box := self.first(&before)) is not None:
            taken += box.take_list(max - len(taken), before)
            if not box.has_something():
                self.emptied(box)
        return taken

    cdef Box first(self, uint64_t* next):
        """The box whose turn it is, None where nothing waits; `next`: until what arrival it may be read."""
        cdef Box box, found = None
        cdef uint64_t arrival, least = UINT64_MAX, second = UINT64_MAX
        for box in self.boxes:
            arrival = box.first_arrival()
            if arrival < least:
                found, least, second = box, arrival, least
            elif arrival < second:
                second = arrival
        if next != NULL:
            next[0] = second
        return found

    cdef int emptied(self, Box box) except -1:
        if box in self.leaving:
            self.remove(box)
        elif box.closed and not self.closed:
            self.ended = True
        return 0

    cdef bint has_something(self):
        cdef Box box
        for box in self.boxes:
            if box.has_something():
                return True
        return False

    def first_time_ns(self):
        """When what comes next was received, int ns; 0 where a status or a gap does, -1 where nothing can be read."""
        cdef Box box = self.only if self.only is not None else self.first(NULL)
        return -1 if box is None or self.ended else box.first_time_ns()

    # --- waiting

    def begin_wait(self, wake not None):
        """Ask for one call of `wake()` (from a flush, or from `close`) once there is something or reading ends.

        False, and no call, if that is so already. RuntimeError if another reader waits.
        """
        cdef Box box
        if self.waiter is not None:
            raise RuntimeError("another reader is already waiting on this queue; a component has one reader at a time")
        if self.closed or self.ended or self.has_something():
            return False
        self.waiter = wake
        for box in self.boxes:
            box.waiter = self.wake
        return True

    def end_wait(self, wake=None):
        """Withdraw the call asked for, after a cancellation or a timeout. Nothing is lost. Idempotent.

        With `wake`: only if it is that one, and no later reader's.
        """
        cdef Box box
        if wake is not None and self.waiter is not wake:
            return
        self.waiter = None
        for box in self.boxes:
            box.waiter = None

    def wake(self):
        """What boxes call when they have news."""
        waiter = self.waiter
        if waiter is not None:
            self.end_wait()
            waiter()

    # --- figures

    def __len__(self):
        """Events waiting; statuses and gaps are not counted."""
        cdef Box box
        cdef uint64_t count = 0
        for box in self.boxes:
            count += box.waiting()
        return count

    @property
    def box_count(self):
        """Boxes it reads from, those that leave included."""
        return len(self.boxes)

    @property
    def lost(self):
        """Events lost so far."""
        return self.lost_before + sum([box.lost for box in self.boxes])

    def figures(self):
        """(events that wait, when the oldest of them was received or -1, events lost, events conflated), as the
        properties have them; all at one look, for who asks of many inboxes."""
        cdef uint64_t waiting = 0, here, lost = self.lost_before, conflated = self.conflated_before
        cdef int64_t oldest = -1, when
        cdef Box box
        for box in list(self.boxes):
            here = box.waiting()
            waiting += here
            if here:
                when = box.oldest_ns()
                oldest = when if oldest < 0 or 0 <= when < oldest else oldest
            if isinstance(box, EventQueue):
                lost += (<EventQueue>box).lost
            elif isinstance(box, LatestBox):
                lost += (<LatestBox>box).lost
                conflated += (<LatestBox>box).conflated
        return waiting, oldest, lost, conflated

    @property
    def losses(self):
        """{topic: events lost}, a copy."""
        found = dict(self.losses_before)
        for box in list(self.boxes):
            add_to(found, box.losses)
        return found

    @property
    def conflated(self):
        """Events that a newer one of their topic took the place of."""
        return self.conflated_before + sum([box.conflated for box in self.boxes if isinstance(box, LatestBox)])

    @property
    def conflations(self):
        """{topic: events conflated}, a copy."""
        found = dict(self.conflations_before)
        for box in list(self.boxes):
            if isinstance(box, LatestBox):
                add_to(found, box.conflations)
        return found

    def mentioned(self, topics):
        """See Box."""
        cdef const int32_t[::1] ids = int32_vector(topics, "topics")
        cdef set found = set()
        cdef Box box
        if ids.shape[0]:
            for box in list(self.boxes):
                box.add_mentioned(found, &ids[0], ids.shape[0])
            add_counted(found, self.losses_before, &ids[0], ids.shape[0])
            add_counted(found, self.conflations_before, &ids[0], ids.shape[0])
        return found

    def rename(self, dict ids not None):
        """See Box."""
        cdef Box box
        for box in list(self.boxes):
            box.rename(ids)
        rename_counted(self.losses_before, ids)
        rename_counted(self.conflations_before, ids)

    @property
    def nbytes(self):
        """Bytes of all boxes; the events are not counted, they may be shared."""
        return sum([box.nbytes for box in self.boxes])


cdef int add_to(dict total, dict more) except -1:
    for topic, count in more.items():
        total[topic] = total.get(topic, 0) + count
    return 0
