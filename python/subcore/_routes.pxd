# cython: language_level=3
"""C face of routes: which sinks each stream has."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from subcore._images cimport ImageTable
from subcore._ledger cimport Ledger
from subcore._sinks cimport Sink, SinkTable

cdef enum:
    SINK_SHIFT = 38
    TOPIC_SHIFT = 16
    TOPIC_LIMIT = 0x40_0000    # 22 bits
    CUT_MASK = 0xFFFF

# One interest in its stream's route: sink << 38 | topic << 16 | cut.
ctypedef uint64_t Entry

cdef union Place:
    Entry one                 # where room is 0
    Entry* many

cdef struct Route:            # 16 bytes a stream
    Place place
    uint32_t count
    uint32_t room

cdef class RouteTable(SinkTable):
    cdef readonly Ledger ledger
    cdef Route* routes
    cdef int32_t route_room
    cdef size_t block_bytes               # of routes that are not inline
    cdef readonly ImageTable images
    # Of those that an image is due to, and of those that are due one once they are let on: the number of the last
    # fan-out of their stream that passed them by while they were muted or blocked, None where none did.
    cdef dict joining                     # {stream: {interest_key: number}}
    cdef dict held_off                    # {component: {topic: number}}
    cdef readonly Py_ssize_t interest_count
    cdef readonly uint64_t searches       # removals whose place had to be searched for

    cdef bint has_route(self, int32_t stream) noexcept nogil
    # `places`: where the ledger keeps the position of each topic's interest. With `keep`, those routed already stay.
    # Those that get a route with `image` are noted for the stream's image, where there is one.
    cdef int connect_now(self, int32_t sink, const int32_t* topics, Py_ssize_t count, int32_t** places,
                         bint keep, bint image) except -1
    cdef void join(self, int32_t sink, int32_t stream, int32_t topic, object missed) noexcept
    # Whether it is muted or blocked.
    cdef bint is_off(self, int32_t sink) noexcept
    # An interest goes: nothing that waits for it is delivered.
    cdef void forget_waiting(self, int32_t component, int32_t topic) noexcept
    # The sink that an interest is delivered to, -1 = none.
    cdef int32_t sink_of(self, int32_t component, int32_t topic) noexcept
    cdef void disconnect_many(self, int32_t component, const int32_t* topics, Py_ssize_t count) noexcept
    cdef void disconnect_one(self, int32_t stream, int32_t component, int32_t topic, int32_t hint) noexcept

    cdef Entry connect_one(self, int32_t sink, int32_t stream, int32_t topic, int32_t* place) except? 0
    cdef int reserve_routes(self, const int32_t* topics, Py_ssize_t count) except -1
    cdef int reserve_streams(self, int32_t stream) except -1
    cdef void settle_replaced(self, Entry replaced) noexcept
    cdef void undo_connect(self, int32_t sink, int32_t topic, Entry replaced) noexcept
    cdef void move(self, Route* route, Entry* many, uint32_t room) noexcept
    cdef int grow(self, Route* route) except -1
    cdef void shrink(self, Route* route) noexcept
    cdef bint append(self, int32_t sink, int32_t stream, int32_t topic, int32_t* place) noexcept
    cdef void fetch_leaving(self, int32_t component, const int32_t* topics, Py_ssize_t size) noexcept nogil
    cdef int32_t place_of(self, const Route* route, int32_t component, int32_t topic, int32_t noted,
                          int32_t hint) noexcept nogil
    cdef void remove_at(self, Route* route, uint32_t position) noexcept
    cdef void note_position(self, Entry entry, int32_t position) noexcept nogil
    cdef size_t table_bytes(self) noexcept


cdef inline int32_t sink_in(Entry entry) noexcept nogil:
    return <int32_t>(entry >> SINK_SHIFT)


cdef inline int32_t topic_in(Entry entry) noexcept nogil:
    return <int32_t>((entry >> TOPIC_SHIFT) & (TOPIC_LIMIT - 1))


cdef inline Entry entry_for(int32_t sink, int32_t topic, uint32_t cut) noexcept nogil:
    return (<Entry>sink << SINK_SHIFT) | (<Entry>topic << TOPIC_SHIFT) | <Entry>cut


cdef inline uint64_t interest_key(int32_t component, int32_t topic) noexcept nogil:
    return (<uint64_t>component << 32) | <uint32_t>topic


cdef inline Entry* entries_of(Route* route) noexcept nogil:
    return route.place.many if route.room else &route.place.one


cdef inline bint stands_at(const Route* route, const Sink* sinks, int32_t position, int32_t component,
                           int32_t topic) noexcept nogil:
    """Whether the interest of a component in a topic has this position in the route."""
    cdef Entry entry
    if position < 0 or <uint32_t>position >= route.count:
        return False
    entry = entries_of(<Route*>route)[position]
    return topic_in(entry) == topic and sinks[sink_in(entry)].component == component
