# cython: language_level=3
"""What all components hold at one moment, whichever thread asks.

The tables belong to the loop's thread, which changes them in calls of C that keep the GIL; and so does `holdings`. Once
its lists are made it allocates nothing that could run the garbage collector, and calls nothing of Python's: no other
thread can come between, so what it copies was true together.
"""

from cpython.dict cimport PyDict_Items
from libc.stdint cimport int32_t, uint64_t

cimport numpy as cnp

from subcore._arrays cimport new_ids
from subcore._intern cimport Interner
from subcore._ledger cimport COMPONENT_FREE, COMPONENT_PAUSED, ComponentRow, Ledger

cnp.import_array()

cdef enum:
    CLASS_BITS = 2
    CLASS_MASK = 3


cdef inline int32_t* ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


def holdings(Ledger ledger not None, Interner interner not None, dict members not None):
    """(owners, rows, interests, texts): what everybody in `members` (id to anything) holds. O(interests + texts).

    `owners`: (id, value) of those in `members` that the ledger knows. `rows`: int32 (2, len(owners)), how many
    interests of each, and 1 where it is paused. `interests`: int32 (7, all): topic, class, stream, channel, symbol,
    variant, cut; owner after owner, in no particular order of one. `texts`: of each symbol id, None where it is free.
    """
    cdef list texts = []
    cdef list owners = []
    cdef list everybody = PyDict_Items(members)
    cdef object rows, interests
    cdef Py_ssize_t total = 0
    cdef int32_t id
    while interner.used > len(texts):  # what makes objects may let others run, so what they may change is read after it
        texts = [None] * interner.room
        everybody = PyDict_Items(members)
    for owner in everybody:
        id = (<tuple>owner)[0]
        if 0 <= id < ledger.component_used and ledger.components[id].state != COMPONENT_FREE:
            owners.append(owner)
            total += ledger.components[id].count
    rows = new_ids(2 * len(owners))
    interests = new_ids(7 * total)
    put_rows(ledger, owners, ids_of(rows))
    put_interests(ledger, owners, ids_of(interests), total)
    for id in range(interner.used):
        if interner.text_of(id) != NULL:
            texts[id] = <object>interner.text_of(id)
    return owners, rows.reshape(2, -1), interests.reshape(7, -1), texts


cdef int put_rows(Ledger ledger, list owners, int32_t* out) except -1:
    cdef Py_ssize_t count = len(owners), i
    cdef const ComponentRow* row
    for i in range(count):
        row = &ledger.components[<int32_t>(<tuple>owners[i])[0]]
        out[i] = <int32_t>row.count
        out[count + i] = row.state == COMPONENT_PAUSED
    return 0


cdef int put_interests(Ledger ledger, list owners, int32_t* out, Py_ssize_t total) except -1:
    cdef const ComponentRow* row
    cdef Py_ssize_t i, at = 0
    cdef uint64_t cell, key
    cdef int32_t topic, stream
    for i in range(len(owners)):
        row = &ledger.components[<int32_t>(<tuple>owners[i])[0]]
        for cell in range(row.cell_count):
            if row.cells[cell].key == 0:
                continue
            topic = <int32_t>(row.cells[cell].key >> CLASS_BITS) - 1
            stream = ledger.topic_rows[topic].stream
            key = ledger.keys[stream]
            out[at] = topic
            out[total + at] = <int32_t>(row.cells[cell].key & CLASS_MASK)
            out[2 * total + at] = stream
            out[3 * total + at] = <int32_t>(key >> 48)
            out[4 * total + at] = <int32_t>(key & <uint64_t>0xFFFFFFFF)
            out[5 * total + at] = <int32_t>((key >> 32) & <uint64_t>0xFFFF)
            out[6 * total + at] = ledger.topic_extras[topic].cut
            at += 1
    return 0
