# cython: language_level=3
"""Who wants what: interests as a set of (component, topic), counted per stream.

Each component has one open-addressing table of 8-byte cells; the rows of topics and streams carry the counts. Every
operation costs in proportion to the interests it touches, whatever else exists.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

import sys

cimport numpy as cnp
import numpy as np

from _cells cimport cell_of, cells_for, class_in, empty_cell, key_for, most_in, place_of, topic_in
from _slots cimport subcore_home, subcore_prefetch, subcore_spread
from subcore._arrays cimport int32_vector, new_block, new_ids, sort_ids
from subcore._edges cimport StreamCounts, count_in, count_out
from subcore._streams cimport CLASS_COUNT, next_generation
from subcore._topics cimport TopicRow
from subcore.errors import CapacityError

cnp.import_array()

cdef enum:
    NO_PAYLOAD = -1
    AHEAD = 24                    # interests between a prefetch and its use
    SMALLEST_ROOM = 8
    LARGEST_STREAMS = 67_108_864
    LARGEST_TOPICS = 268_435_456
    LARGEST_COMPONENTS = 16_777_216


cdef int check_limit(Py_ssize_t limit, Py_ssize_t largest, str what) except -1:
    if limit < 1 or limit > largest:
        raise ValueError(f"{what} must be 1 to {largest}, not {limit}")
    return 0


@cython.final
cdef class Ledger(StreamCounts):
    """Interests of components in topics.

    Limits are hard: reaching one raises CapacityError and changes nothing. Memory grows with use: 9 to 12 bytes per
    interest, 33 to 50 per topic, 60 to 90 per stream. Not thread safe: use it under the GIL from one thread at a time.
    """

    def __cinit__(self, max_streams=1_048_576, max_topics=1_048_576, max_components=65_536, *, seed=0):
        check_limit(max_streams, LARGEST_STREAMS, "max_streams")
        check_limit(max_topics, LARGEST_TOPICS, "max_topics")
        check_limit(max_components, LARGEST_COMPONENTS, "max_components")
        self.stream_limit = max_streams
        self.topic_limit = max_topics
        self.component_limit = max_components
        self.seed = <uint64_t>(seed & 0xFFFF_FFFF_FFFF_FFFF)
        self.free_component = -1

    def __dealloc__(self):
        cdef int32_t component
        for component in range(self.component_used):
            PyMem_Free(self.components[component].cells)
        PyMem_Free(self.components)

    cdef int check_component(self, Py_ssize_t component) except -1:
        if (
            component < 0
            or component >= self.component_used
            or self.components[component].state == COMPONENT_FREE
        ):
            raise IndexError(f"no component has id {component}: it was never opened, or has been closed")
        return 0

    cdef int check_topics(self, const int32_t* topics, Py_ssize_t count) except -1:
        """IndexError for an id not in use; brings the rows of those that are into the cache."""
        cdef Py_ssize_t i
        cdef int32_t topic
        cdef const TopicRow* rows = self.topic_rows
        cdef uint32_t used = <uint32_t>self.topic_used
        for i in range(min(count, <Py_ssize_t>AHEAD)):
            if <uint32_t>topics[i] < used:
                subcore_prefetch(&rows[topics[i]])
        for i in range(count):
            if i + AHEAD < count and <uint32_t>topics[i + AHEAD] < used:
                subcore_prefetch(&rows[topics[i + AHEAD]])
            topic = topics[i]
            if <uint32_t>topic >= used or rows[topic].stream < 0:
                self.check_topic(topic)
            subcore_prefetch(&self.streams[rows[topic].stream])
        return 0

    cdef int resize_cells(self, ComponentRow* row, uint32_t cell_count) except -1:
        cdef Interest* old = row.cells
        cdef uint32_t old_count = row.cell_count
        cdef uint32_t at
        cdef Interest* cells = <Interest*>new_block(cell_count * sizeof(Interest), "interests")
        row.cells = cells
        row.cell_count = cell_count
        for at in range(old_count):
            if old[at].key != 0:
                cell_of(row, topic_in(&old[at]))[0] = old[at]
        self.cell_bytes += cell_count * sizeof(Interest)
        self.cell_bytes -= old_count * sizeof(Interest)
        PyMem_Free(old)
        return 0

    cdef int reserve_cells(self, ComponentRow* row, const int32_t* topics, Py_ssize_t count) except -1:
        """Room for those of `topics` that are not held yet, or MemoryError with nothing changed."""
        cdef Py_ssize_t i
        cdef Py_ssize_t fresh = 0
        cdef uint32_t grown
        if row.count + count <= most_in(row.cell_count):
            return 0
        for i in range(count):
            fresh += row.cell_count == 0 or cell_of(row, topics[i]).key == 0
        if row.count + fresh <= most_in(row.cell_count):
            return 0
        grown = row.cell_count + row.cell_count // 4
        return self.resize_cells(row, max(grown, cells_for(<uint32_t>(row.count + fresh))))

    cdef void shrink_cells(self, ComponentRow* row) noexcept:
        """Give back what a component no longer needs; keeping the larger table instead is always right."""
        if row.count == 0:
            self.cell_bytes -= row.cell_count * sizeof(Interest)
            PyMem_Free(row.cells)
            row.cells = NULL
            row.cell_count = 0
        elif row.cell_count > 16 and row.count < row.cell_count // 4:
            try:
                self.resize_cells(row, 2 * cells_for(row.count))
            except MemoryError:
                pass

    cdef int32_t* payload_of(self, int32_t component, int32_t topic) noexcept nogil:
        cdef Interest* cell
        if component < 0 or component >= self.component_used or topic < 0 or topic >= self.topic_used:
            return NULL
        if self.components[component].state == COMPONENT_FREE or self.components[component].cell_count == 0:
            return NULL
        cell = cell_of(&self.components[component], topic)
        return &cell.payload if cell.key != 0 else NULL

    @cython.nonecheck(False)
    cdef void fetch_component(self, int32_t component) noexcept nogil:
        if 0 <= component < self.component_used:
            subcore_prefetch(&self.components[component])

    @cython.nonecheck(False)
    cdef void fetch_interest(self, int32_t component, int32_t topic) noexcept nogil:
        cdef const ComponentRow* row
        if 0 <= component < self.component_used:
            row = &self.components[component]
            if row.cell_count:
                subcore_prefetch(&row.cells[subcore_home(subcore_spread(<uint32_t>topic), row.cell_count)])

    cdef Py_ssize_t add_ids(self, Py_ssize_t component, const int32_t* topics, Py_ssize_t count, int cls,
                            const int32_t* payloads, int32_t** places) except -1:
        self.check_component(component)
        if cls < 0 or cls >= CLASS_COUNT:
            raise ValueError(f"a class must be 0 to {CLASS_COUNT - 1}, not {cls}")
        self.check_topics(topics, count)
        cdef ComponentRow* row = &self.components[component]
        self.reserve_cells(row, topics, count)
        cdef bint paused = row.state == COMPONENT_PAUSED
        cdef uint32_t before = row.count
        cdef Py_ssize_t i
        cdef Interest* cell
        cdef uint32_t key
        for i in range(count):
            key = key_for(topics[i], cls)
            cell = cell_of(row, topics[i])
            if cell.key == 0:
                cell.payload = NO_PAYLOAD if places == NULL else FRESH_PAYLOAD
                row.count += 1
                count_in(self, topics[i], cls, paused)
            elif cell.key != key:
                count_out(self, topics[i], class_in(cell), paused)
                count_in(self, topics[i], cls, paused)
            cell.key = key
            if payloads != NULL:
                cell.payload = payloads[i]
            if places != NULL:
                places[i] = &cell.payload
        self.interest_count += row.count - before
        return row.count - before

    cdef Py_ssize_t remove_ids(self, Py_ssize_t component, const int32_t* topics, Py_ssize_t count) except -1:
        self.check_component(component)
        self.check_topics(topics, count)
        cdef ComponentRow* row = &self.components[component]
        cdef bint paused = row.state == COMPONENT_PAUSED
        cdef uint32_t before = row.count
        cdef Py_ssize_t i
        cdef uint32_t at
        if row.count == 0:
            return 0
        for i in range(count):
            at = place_of(row, topics[i])
            if row.cells[at].key != 0:
                count_out(self, topics[i], class_in(&row.cells[at]), paused)
                empty_cell(row, at)
                row.count -= 1
        self.interest_count -= before - row.count
        self.shrink_cells(row)
        return before - row.count

    def open_component(self) -> int:
        """Id of a new component without interests, running. CapacityError beyond max_components. O(1)."""
        cdef int32_t component = self.free_component
        if component < 0:
            component = self.component_used
            self.reserve_component()
            self.component_used += 1
        else:
            self.free_component = <int32_t>self.components[component].count - 1
        self.components[component].count = 0
        self.components[component].state = COMPONENT_RUNNING
        self.live_components += 1
        return component

    cdef int reserve_component(self) except -1:
        cdef Py_ssize_t room
        if self.live_components >= self.component_limit:
            raise CapacityError(
                f"the ledger is full: {self.component_limit} components; close some, or make it with larger "
                "max_components"
            )
        if self.component_used < self.component_room:
            return 0
        room = min(<Py_ssize_t>self.component_limit, <Py_ssize_t>SMALLEST_ROOM + self.component_room * 3 // 2)
        cdef ComponentRow* rows = <ComponentRow*>new_block(room * sizeof(ComponentRow), "components")
        if self.component_used:
            memcpy(rows, self.components, self.component_used * sizeof(ComponentRow))
        PyMem_Free(self.components)
        self.components, self.component_room = rows, <int32_t>room
        return 0

    def close_component(self, component) -> None:
        """Remove a component and all its interests; its id comes back with a new generation. O(its interests)."""
        self.check_component(component)
        cdef ComponentRow* row = &self.components[<Py_ssize_t>component]
        cdef bint paused = row.state == COMPONENT_PAUSED
        cdef uint32_t at
        for at in range(row.cell_count):
            if row.cells[at].key != 0:
                count_out(self, topic_in(&row.cells[at]), class_in(&row.cells[at]), paused)
        self.interest_count -= row.count
        row.count = 0
        self.shrink_cells(row)
        row.state = COMPONENT_FREE
        row.generation = next_generation(row.generation)
        row.count = <uint32_t>(self.free_component + 1)
        self.free_component = component
        self.live_components -= 1

    def pause(self, component, bint flag=True) -> None:
        """Whether a component's interests stay off the wire while they stay in the ledger. O(its interests)."""
        self.check_component(component)
        cdef ComponentRow* row = &self.components[<Py_ssize_t>component]
        cdef bint paused = row.state == COMPONENT_PAUSED
        cdef uint32_t at
        if paused == flag:
            return
        row.state = COMPONENT_PAUSED if flag else COMPONENT_RUNNING
        for at in range(row.cell_count):
            if row.cells[at].key != 0:
                count_out(self, topic_in(&row.cells[at]), class_in(&row.cells[at]), paused)
                count_in(self, topic_in(&row.cells[at]), class_in(&row.cells[at]), flag)

    def is_paused(self, component) -> bool:
        """Whether a component is paused."""
        self.check_component(component)
        return self.components[<Py_ssize_t>component].state == COMPONENT_PAUSED

    def generation(self, component) -> int:
        """How often a component id has been closed; IndexError if it never was in use."""
        cdef Py_ssize_t at = component
        if at < 0 or at >= self.component_used:
            raise IndexError(f"no component ever had id {component}")
        return self.components[at].generation

    def add(self, component, topics, int cls=1, payload=None) -> int:
        """Add interests of class 0 to 3; number newly added. All or none.

        Topics already held take the class, and the payload where one is given (int32 per topic; -1 = none yet).
        IndexError for ids not in use, ValueError for a bad class or shape. O(len(topics)).
        """
        cdef cnp.ndarray wanted = int32_vector(topics, "topics")
        cdef cnp.ndarray payloads
        cdef const int32_t* values = NULL
        if payload is not None:
            payloads = int32_vector(payload, "payload")
            if cnp.PyArray_DIM(payloads, 0) != cnp.PyArray_DIM(wanted, 0):
                raise ValueError(f"one payload per topic: {len(payloads)} for {len(wanted)} topics")
            values = <const int32_t*>cnp.PyArray_DATA(payloads)
        return self.add_ids(
            component, <const int32_t*>cnp.PyArray_DATA(wanted), cnp.PyArray_DIM(wanted, 0), cls, values, NULL
        )

    def remove(self, component, topics) -> int:
        """Remove interests; number removed (a topic not held is nothing). IndexError for ids not in use."""
        cdef cnp.ndarray wanted = int32_vector(topics, "topics")
        return self.remove_ids(component, <const int32_t*>cnp.PyArray_DATA(wanted), cnp.PyArray_DIM(wanted, 0))

    def holds(self, component, topic) -> bool:
        """Whether a component holds a topic. IndexError for ids not in use. O(1)."""
        self.check_component(component)
        self.check_topic(topic)
        return self.payload_of(component, topic) != NULL

    cdef int32_t* held_payload(self, component, topic) except NULL:
        self.check_component(component)
        self.check_topic(topic)
        cdef int32_t* at = self.payload_of(component, topic)
        if at == NULL:
            raise ValueError(f"component {component} does not hold topic {topic}")
        return at

    def payload(self, component, topic) -> int:
        """The int32 stored with an interest, -1 until set. ValueError where it is not held. O(1)."""
        return self.held_payload(component, topic)[0]

    def set_payload(self, component, topic, int32_t value) -> None:
        """Store an int32 with an interest. ValueError where it is not held. O(1)."""
        self.held_payload(component, topic)[0] = value

    def class_held(self, component, topic) -> int:
        """The class of one interest. ValueError where it is not held. O(1)."""
        self.held_payload(component, topic)
        return class_in(cell_of(&self.components[<Py_ssize_t>component], topic))

    def interests(self, component) -> np.ndarray:
        """Topics a component holds, sorted, as an int32 array. O(its interests)."""
        self.check_component(component)
        cdef const ComponentRow* row = &self.components[<Py_ssize_t>component]
        cdef cnp.ndarray topics = new_ids(row.count)
        cdef int32_t* out = <int32_t*>cnp.PyArray_DATA(topics)
        cdef uint32_t at
        for at in range(row.cell_count):
            if row.cells[at].key != 0:
                out[0] = topic_in(&row.cells[at])
                out += 1
        sort_ids(topics)
        return topics

    @property
    def component_count(self) -> int:
        """Components open."""
        return self.live_components

    @property
    def nbytes(self) -> int:
        """Bytes held: this object and all its tables."""
        return (
            sys.getsizeof(self) + self.table_bytes() + self.cell_bytes
            + <size_t>self.component_room * sizeof(ComponentRow)
        )

    def __len__(self) -> int:
        return self.interest_count
