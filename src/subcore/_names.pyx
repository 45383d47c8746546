# cython: language_level=3
"""From the names that a call gives to the topics it means, without making any and without running foreign code.

What a call names is mostly known: then one pass finds it, and the memory that granting it will touch is on its way.
"""

from cpython.list cimport PyList_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact
from libc.stdint cimport int32_t

cimport numpy as cnp
import numpy as np

from _slots cimport subcore_prefetch
from subcore._arrays cimport int32_vector, new_ids, sort_ids
from subcore._intern cimport Interner
from subcore._ledger cimport Ledger
from subcore._routes cimport Route, RouteTable
from subcore._streams cimport check_part

cnp.import_array()

cdef extern from "Python.h":
    PyObject** PySequence_Fast_ITEMS(object items) noexcept
    Py_ssize_t PySequence_Fast_GET_SIZE(object items) noexcept

cdef enum:
    BATCH = 256               # names whose rows stay in the cache nearest to the core while they are looked at
    AHEAD = 24                # interests between a prefetch and its use


cdef inline int32_t* ids_of(cnp.ndarray array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(array)


def known_topics(Interner interner not None, RouteTable routes not None, int channel, symbols):
    """Topics of (channel, each symbol) with neither variant nor cut, in order, as an int32 array.

    None where there is not such a topic for each, where there is no symbol, or where `symbols` is something else than a
    list or tuple of ASCII strs: these need more than a look-up. O(len(symbols)).
    """
    cdef Py_ssize_t start = 0, count
    cdef PyObject** items
    if not (PyList_CheckExact(symbols) or PyTuple_CheckExact(symbols)):
        return None
    check_part(channel, "a channel")
    count = PySequence_Fast_GET_SIZE(symbols)
    if count == 0:
        return None
    topics = new_ids(count)   # which runs nothing, so `items` stay where they are
    items = PySequence_Fast_ITEMS(symbols)
    while start < count:
        if not find_batch(interner, routes, channel, items + start, min(count - start, <Py_ssize_t>BATCH),
                          ids_of(topics) + start):
            return None
        start += BATCH
    return topics


cdef bint find_batch(Interner interner, RouteTable routes, int channel, PyObject** items, Py_ssize_t count,
                     int32_t* topics) noexcept:
    """False where one of up to BATCH names has no topic."""
    cdef int32_t streams[BATCH]
    cdef Ledger ledger = routes.ledger
    cdef Py_ssize_t i
    if interner.find_plain(items, count, topics) < count:
        return False
    ledger.find_streams(channel, 0, topics, streams, count)
    for i in range(count):
        if streams[i] < 0:
            return False
        if streams[i] < routes.route_room:
            subcore_prefetch(&routes.routes[streams[i]])
        topics[i] = ledger.find_topic(streams[i], 0)
        if topics[i] < 0:
            return False
        subcore_prefetch(&ledger.topic_rows[topics[i]])
    for i in range(count):
        if streams[i] < routes.route_room:
            fetch_end(&routes.routes[streams[i]])
    return True


cdef inline void fetch_end(const Route* route) noexcept nogil:
    """Where the next interest goes."""
    if route.room:
        subcore_prefetch(&route.place.many[route.count])


def held_of_channel(Ledger ledger not None, int32_t component, int channel):
    """Topics of a channel that a component holds, sorted, as an int32 array. O(its interests)."""
    cdef cnp.ndarray held = ledger.interests(component)
    cdef Py_ssize_t count = cnp.PyArray_DIM(held, 0), found = 0
    cdef int32_t* topic = ids_of(held)
    cdef Py_ssize_t i
    ledger.check_topics(topic, count)
    for i in range(count):
        if i + AHEAD < count:
            subcore_prefetch(&ledger.keys[ledger.topic_rows[topic[i + AHEAD]].stream])
        if <int>(ledger.keys[ledger.topic_rows[topic[i]].stream] >> 48) == channel:
            topic[found] = topic[i]
            found += 1
    return first_of(held, found)


def held_of_symbols(Ledger ledger not None, int32_t component, int channel, symbols, int variants):
    """Topics of (channel, each symbol) that a component holds, with any cut and any of the first `variants`.

    `symbols`: int32 ids, those below 0 are passed over. Sorted, each once, as an int32 array. O(symbols * variants).
    """
    cdef cnp.ndarray wanted = known_once(int32_vector(symbols, "symbols"))
    cdef Py_ssize_t count = cnp.PyArray_DIM(wanted, 0), found
    cdef cnp.ndarray streams = new_ids(count)
    cdef cnp.ndarray held = new_ids(0)
    cdef int variant
    ledger.check_component(component)
    check_part(channel, "a channel")
    parts = []
    for variant in range(variants):
        ledger.find_streams(channel, variant, ids_of(wanted), ids_of(streams), count)
        found = put_held(ledger, component, ids_of(streams), count, NULL)
        if found:
            held = new_ids(found)
            put_held(ledger, component, ids_of(streams), count, ids_of(held))
            parts.append(held)
    if len(parts) > 1:
        held = np.concatenate(parts)
    sort_ids(held)
    return held


cdef Py_ssize_t put_held(Ledger ledger, int32_t component, const int32_t* streams, Py_ssize_t count,
                         int32_t* out) noexcept:
    """How many topics of streams (-1 = none) a component holds; `out`, where it is not NULL, gets them."""
    cdef Py_ssize_t i, found = 0
    cdef int32_t topic
    for i in range(count):
        topic = ledger.streams[streams[i]].first_topic if streams[i] >= 0 else -1
        while topic >= 0:
            if ledger.payload_of(component, topic) != NULL:
                if out != NULL:
                    out[found] = topic
                found += 1
            topic = ledger.topic_extras[topic].next
    return found


cdef object known_once(cnp.ndarray symbols):
    """Ids that are not below 0, each once, sorted."""
    cdef cnp.ndarray ids = symbols.copy()
    cdef int32_t* id = ids_of(ids)
    cdef Py_ssize_t i, kept = 0
    sort_ids(ids)
    for i in range(cnp.PyArray_DIM(ids, 0)):
        if id[i] >= 0 and (kept == 0 or id[kept - 1] != id[i]):
            id[kept] = id[i]
            kept += 1
    return first_of(ids, kept)


cdef object first_of(cnp.ndarray ids, Py_ssize_t count):
    """The first ids of an array that nobody else has."""
    cdef cnp.ndarray first
    cdef Py_ssize_t i
    if count == cnp.PyArray_DIM(ids, 0):
        return ids
    first = new_ids(count)
    for i in range(count):
        ids_of(first)[i] = ids_of(ids)[i]
    return first
