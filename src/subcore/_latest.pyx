"""The box that keeps the newest event of each topic: who is slow reads less, never old news."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport UINT64_MAX, int32_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from subcore._delivery cimport PUT_KEPT, PUT_LOST, PUT_REFUSED, Arrivals, Box, PutResult, is_among

cdef extern from "_hash.h" nogil:
    uint64_t subcore_hash_word(uint64_t word, uint64_t seed)

cdef uint32_t FIRST_SLOTS = 16
cdef int32_t NO_TOPIC = -1      # what `put` takes where nobody says; those below are of topics renamed


cdef inline uint32_t slot_of(int32_t topic, uint32_t slots) noexcept:
    """Where the search for a topic begins; topics are dense, so there is no one to guard against."""
    return <uint32_t>subcore_hash_word(<uint32_t>topic, 0) & (slots - 1)


@cython.final
@cython.no_gc_clear             # a destructor run by the garbage collector may still put
cdef class LatestBox(Box):
    """The newest event of each topic, read in order of arrival: a topic with a newer event stands last again.

    Keywords as for `Box`; nothing here is due, so `duties` counts nothing. An event whose place a newer one takes is
    counted in `conflated` and, by topic, in `conflations`; it is no loss. A put is O(1), about three times an append
    to a deque. Memory: 40 to 96 bytes a topic that ever came; nothing grows by what comes and goes.
    """

    def __cinit__(self, **kwargs):
        self.oldest = self.newest = self.free_cell = -1
        self.renamed = {}

    def __dealloc__(self):
        cdef int32_t i
        for i in range(self.cell_count):
            Py_XDECREF(self.cells[i].event)
        PyMem_Free(self.cells)
        PyMem_Free(self.slots)

    # --- the writer's side

    cdef PutResult push(self, PyObject* event, int32_t topic) noexcept:
        cdef PyObject* replaced
        cdef Cell* cell
        cdef int32_t index
        if self.closed:
            return PUT_REFUSED
        index = self.cell_of(topic)
        if index < 0:
            self.lost += 1
            return PUT_LOST
        cell = &self.cells[index]
        replaced = cell.event
        Py_INCREF(<object>event)
        cell.event = event
        if self.arrivals is not None:
            self.arrivals.count += 1
            cell.arrival = self.arrivals.count
        if replaced != NULL:
            cell.conflated += 1
            self.conflated += 1
            if index != self.newest:
                self.unlink(cell)
                self.link_newest(index)
            Py_DECREF(<object>replaced)     # last: a destructor may look at the box
            return PUT_KEPT
        self.link_newest(index)
        self.event_count += 1
        if self.waiter is not None:
            self.notify()
        return PUT_KEPT

    cdef int32_t cell_of(self, int32_t topic) noexcept:
        """The topic's cell, made if there is none; -1 without memory."""
        cdef uint32_t slot
        cdef int32_t index
        if self.slot_count:
            slot = slot_of(topic, self.slot_count)
            while (index := self.slots[slot]) >= 0:
                if self.cells[index].topic == topic:
                    return index
                slot = (slot + 1) & (self.slot_count - 1)
        return self.new_cell(topic)

    cdef int32_t new_cell(self, int32_t topic) noexcept:
        cdef int32_t index = self.free_cell
        cdef uint32_t slot
        if index >= 0:
            self.free_cell = self.cells[index].older
        else:
            if 2 * <uint32_t>self.cell_count >= self.slot_count and not self.grow():
                return -1
            index = self.cell_count
            self.cell_count += 1
        slot = slot_of(topic, self.slot_count)
        while self.slots[slot] >= 0:
            slot = (slot + 1) & (self.slot_count - 1)
        self.slots[slot] = index
        memset(&self.cells[index], 0, sizeof(Cell))
        self.cells[index].topic = topic
        return index

    cdef bint grow(self) noexcept:
        """Twice the slots, at most half of them used. False and unchanged without memory."""
        cdef uint32_t count = self.slot_count * 2 if self.slot_count else FIRST_SLOTS
        cdef int32_t* slots = <int32_t*>PyMem_Malloc(count * sizeof(int32_t))
        cdef Cell* cells = <Cell*>PyMem_Malloc(count // 2 * sizeof(Cell))
        if slots == NULL or cells == NULL:
            PyMem_Free(slots)
            PyMem_Free(cells)
            return False
        self.fill_slots(slots, count)
        if self.cell_count:
            memcpy(cells, self.cells, <size_t>self.cell_count * sizeof(Cell))
        PyMem_Free(self.slots)
        PyMem_Free(self.cells)
        self.slots, self.cells, self.slot_count = slots, cells, count
        return True

    cdef void fill_slots(self, int32_t* slots, uint32_t count) noexcept:
        cdef uint32_t slot
        cdef int32_t index
        memset(slots, 0xFF, count * sizeof(int32_t))
        for index in range(self.cell_count):
            if self.cells[index].topic < NO_TOPIC:
                continue
            slot = slot_of(self.cells[index].topic, count)
            while slots[slot] >= 0:
                slot = (slot + 1) & (count - 1)
            slots[slot] = index

    cdef void free(self, int32_t index) noexcept:
        """It is no topic's, and nothing waits in it."""
        self.cells[index].older = self.free_cell
        self.free_cell = index

    cdef int add_mentioned(self, set found, const int32_t* topics, Py_ssize_t count) except -1:
        cdef int32_t i
        cdef Cell* cell
        for i in range(self.cell_count):
            cell = &self.cells[i]
            if (cell.event != NULL or cell.conflated) and is_among(cell.topic, topics, count):
                found.add(cell.topic)
        return 0

    def rename(self, dict ids not None):
        """See Box. What waits is read in its place; of two that go by one id by now, the newer stays."""
        cdef dict last = {}                     # {id below -1: the cell of what waits}
        cdef list replaced = []                 # let go of at the end: a destructor may look at the box
        cdef int32_t i, following
        for i in range(self.cell_count):
            other = ids.get(self.cells[i].topic)
            if other is None:
                continue
            if self.cells[i].conflated:
                self.renamed[other] = self.renamed.get(other, 0) + self.cells[i].conflated
                self.cells[i].conflated = 0
            self.cells[i].topic = other
            if self.cells[i].event == NULL:
                self.free(i)
        if self.slot_count:
            self.fill_slots(self.slots, self.slot_count)
        i = self.oldest
        while i >= 0:
            following, other = self.cells[i].newer, self.cells[i].topic
            if other < NO_TOPIC:
                if other in last:
                    self.replace_renamed(last[other], replaced)
                last[other] = i
            i = following

    cdef int replace_renamed(self, int32_t index, list replaced) except -1:
        """What waits in the cell of a topic that is another's goes: a newer one of it waits."""
        cdef Cell* cell = &self.cells[index]
        other = cell.topic
        replaced.append(<object>cell.event)
        Py_DECREF(<object>cell.event)
        cell.event = NULL
        self.unlink(cell)
        self.free(index)
        self.event_count -= 1
        self.conflated += 1
        self.renamed[other] = self.renamed.get(other, 0) + 1
        return 0

    cdef void unlink(self, Cell* cell) noexcept:
        if cell.older < 0:
            self.oldest = cell.newer
        else:
            self.cells[cell.older].newer = cell.newer
        if cell.newer < 0:
            self.newest = cell.older
        else:
            self.cells[cell.newer].older = cell.older

    cdef void link_newest(self, int32_t index) noexcept:
        cdef Cell* cell = &self.cells[index]
        cell.older = self.newest
        cell.newer = -1
        if self.newest < 0:
            self.oldest = index
        else:
            self.cells[self.newest].newer = index
        self.newest = index

    cdef int number_from(self, Arrivals arrivals) except -1:
        cdef int32_t index = self.oldest
        if self.arrivals is not None:
            return 0
        self.arrivals = arrivals
        while index >= 0:
            arrivals.count += 1
            self.cells[index].arrival = arrivals.count
            index = self.cells[index].newer
        return 0

    # --- the reader's side

    cdef uint64_t waiting(self) noexcept:
        return self.event_count

    cdef uint64_t first_arrival(self) noexcept:
        return UINT64_MAX if self.oldest < 0 else self.cells[self.oldest].arrival

    cdef object take_one(self):
        cdef Cell* cell
        cdef int32_t index = self.oldest
        if index < 0:
            return None
        cell = &self.cells[index]
        event = <object>cell.event
        Py_DECREF(event)                    # the reference moves: `event` holds one
        cell.event = NULL
        self.unlink(cell)
        self.event_count -= 1
        if cell.topic < NO_TOPIC:
            self.free(index)
        self.note_one(event)
        return event

    cdef list take_list(self, Py_ssize_t max, uint64_t before):
        cdef list taken = []
        while len(taken) < max and self.oldest >= 0 and self.cells[self.oldest].arrival < before:
            taken.append(self.take_one())
        return taken

    def first_time_ns(self):
        """When what comes next was received, int ns; -1 where nothing waits."""
        return -1 if self.oldest < 0 else (<object>self.cells[self.oldest].event).receive_time_ns

    # --- figures

    def oldest_ns(self):
        """See Box. O(images that wait before it)."""
        cdef int32_t index = self.oldest
        while index >= 0:
            event = <object>self.cells[index].event
            if not event.is_image:
                return event.receive_time_ns
            index = self.cells[index].newer
        return -1

    @property
    def conflations(self):
        """{topic: events of it that a newer one took the place of}, those with any. O(topics)."""
        cdef int32_t i
        cdef dict counts = dict(self.renamed)
        for i in range(self.cell_count):
            if self.cells[i].conflated:
                counts[self.cells[i].topic] = self.cells[i].conflated
        return counts

    @property
    def losses(self):
        """{}: as `EventQueue.losses`, for who asks any box."""
        return {}

    @property
    def nbytes(self):
        """Bytes of the table itself; the events are not counted, they may be shared."""
        return self.slot_count * sizeof(int32_t) + self.slot_count // 2 * sizeof(Cell)
