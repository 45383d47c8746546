# cython: language_level=3
"""C face of the ledger: which component wants which topic, and what that means for each stream."""

from libc.stdint cimport int32_t, uint32_t

from subcore._edges cimport StreamCounts

cdef enum:
    FRESH_PAYLOAD = -2        # of an interest just added for a route it has not got yet

cdef struct Interest:         # 8 bytes: a cell of a component's open-addressing table
    uint32_t key              # topic + 1 << 2 | class; 0 = empty
    int32_t payload

cdef enum ComponentState:
    COMPONENT_FREE = 0
    COMPONENT_RUNNING = 1
    COMPONENT_PAUSED = 2

cdef struct ComponentRow:
    Interest* cells
    uint32_t cell_count       # room, not interests
    uint32_t count            # interests; next free id + 1 where the component is free
    uint32_t generation
    uint32_t state

cdef class Ledger(StreamCounts):
    cdef ComponentRow* components
    cdef int32_t component_room, component_used, live_components, component_limit, free_component
    cdef Py_ssize_t interest_count
    cdef size_t cell_bytes

    # `payloads` and `places` may be NULL; a place is where the payload of an interest is, as in payload_of. Whoever
    # asks for places sets them: new ones are FRESH_PAYLOAD, and else would be -1.
    # Topics are checked, room is made, then everything is committed: an exception means that nothing changed.
    cdef Py_ssize_t add_ids(self, Py_ssize_t component, const int32_t* topics, Py_ssize_t count, int cls,
                            const int32_t* payloads, int32_t** places) except -1
    cdef Py_ssize_t remove_ids(self, Py_ssize_t component, const int32_t* topics, Py_ssize_t count) except -1
    # NULL where not held; valid until interests of the component are added or removed.
    cdef int32_t* payload_of(self, int32_t component, int32_t topic) noexcept nogil

    # Bring into the cache what payload_of will read: the component's row, then the cell; in this order.
    cdef void fetch_component(self, int32_t component) noexcept nogil
    cdef void fetch_interest(self, int32_t component, int32_t topic) noexcept nogil

    cdef int check_component(self, Py_ssize_t component) except -1
    cdef int check_topics(self, const int32_t* topics, Py_ssize_t count) except -1
    cdef int reserve_cells(self, ComponentRow* row, const int32_t* topics, Py_ssize_t count) except -1
    cdef int resize_cells(self, ComponentRow* row, uint32_t cell_count) except -1
    cdef void shrink_cells(self, ComponentRow* row) noexcept
    cdef int reserve_component(self) except -1
    cdef int32_t* held_payload(self, object component, object topic) except NULL
