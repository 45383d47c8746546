# cython: language_level=3
"""Streams under way between links: for which of them something may be due, and what becomes of their legs then.

Each call is one pass over the legs of the streams given, whose ids it checks first (IndexError, nothing changed). Most
ticks find that nothing has come of a move yet. Here that is seen without an array for each question asked:
what is left over is looked at closely, and is little.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

cimport numpy as cnp
import numpy as np

from subcore._leg_table cimport NO_LINK, NOT_CARRIED, Ids, LegTable, row_on
from subcore._wire_set cimport WireSet

cnp.import_array()


cdef int check_wires(list wires) except -1:
    for wire in wires:
        if not isinstance(wire, WireSet):
            raise TypeError(f"what a link carries must be a WireSet, not {type(wire).__name__}")
    return 0


cdef inline bint aims(list wires, int link, int32_t stream) noexcept:
    """Whether the link of that number should carry the stream; none has a number that was never given."""
    return 0 <= link < len(wires) and (<WireSet>wires[link]).in_target(stream)


cdef inline void copy_leg(LegTable legs, int64_t source, int64_t to) noexcept:
    legs.links[to], legs.turns[to], legs.widths[to] = legs.links[source], legs.turns[source], legs.widths[source]
    legs.proofs[to], legs.requests[to] = legs.proofs[source], legs.requests[source]
    legs.answers[to], legs.departures[to] = legs.answers[source], legs.departures[source]


cdef inline void clear_leg(LegTable legs, int64_t row) noexcept:
    legs.links[row], legs.widths[row] = NO_LINK, NOT_CARRIED
    legs.turns[row], legs.departures[row] = 0, 0
    legs.proofs[row], legs.requests[row], legs.answers[row] = 0, 0, 0


cdef inline void swap_legs(LegTable legs, int64_t row) noexcept:
    """The legs in that row and in the next."""
    cdef int64_t other = row + 1
    legs.links[row], legs.links[other] = legs.links[other], legs.links[row]
    legs.turns[row], legs.turns[other] = legs.turns[other], legs.turns[row]
    legs.widths[row], legs.widths[other] = legs.widths[other], legs.widths[row]
    legs.proofs[row], legs.proofs[other] = legs.proofs[other], legs.proofs[row]
    legs.requests[row], legs.requests[other] = legs.requests[other], legs.requests[row]
    legs.answers[row], legs.answers[other] = legs.answers[other], legs.answers[row]
    legs.departures[row], legs.departures[other] = legs.departures[other], legs.departures[row]


def settle_on(LegTable legs not None, int link, streams) -> None:
    """Make the leg on `link` home, where a stream has two."""
    cdef Ids ids
    cdef object _given = legs.checked(streams, &ids)
    cdef int64_t row
    cdef Py_ssize_t i
    for i in range(ids.count):
        row = row_on(legs.links, link, ids.at[i])
        if row >= 0 and row & 1:
            swap_legs(legs, row - 1)


def detach(LegTable legs not None, int link, streams) -> None:
    """Take away the leg on `link`; the other one, if there is one, is home then."""
    cdef Ids ids
    cdef object _given = legs.checked(streams, &ids)
    cdef int64_t row
    cdef Py_ssize_t i
    for i in range(ids.count):
        row = row_on(legs.links, link, ids.at[i])
        if row < 0:
            continue
        if row & 1 == 0:
            copy_leg(legs, row + 1, row)
        clear_leg(legs, row | 1)


def undecided(LegTable legs not None, int link, WireSet wire not None, streams, cnp.ndarray states not None,
              uint8_t closed, uint8_t proof) -> tuple:
    """(those that go on waiting for `link`, the others), int32, in the order given; the same object if one is all.

    They have another leg beside the one there, `wire` is to carry them, they are not in the state `closed`, and none of
    the flags in `proof` speaks for them on `link`. O(len(streams)).
    """
    cdef Ids ids
    cdef object given = legs.marked(streams, &ids)
    cdef const uint8_t* state = <const uint8_t*>cnp.PyArray_DATA(states)
    cdef int32_t stream
    cdef int64_t row
    cdef Py_ssize_t i
    if cnp.PyArray_ITEMSIZE(states) != 1 or cnp.PyArray_SIZE(states) < legs.room:
        raise TypeError("states are a column of bytes, one for each stream")
    for i in range(ids.count):
        stream = ids.at[i]
        row = row_on(legs.links, link, stream)
        legs.marks[i] = (row >= 0 and legs.links[2 * <int64_t>stream + 1] != NO_LINK and not legs.proofs[row] & proof
                         and state[stream] != closed and wire.in_target(stream))
    return legs.parted(given, ids)


def stirred(LegTable legs not None, int link, list wires not None, streams, uint8_t proof) -> np.ndarray:
    """All but those that wait for another link than `link`, int32, in the order given; the same object if that are all.

    These have a leg there, `wires` (by number of the link) say that it is to carry them, and none of the flags in
    `proof` speaks for them there. O(len(streams) + len(wires)).
    """
    cdef Ids ids
    cdef object given = legs.marked(streams, &ids)
    cdef int64_t row
    cdef Py_ssize_t i
    check_wires(wires)
    for i in range(ids.count):
        row = 2 * <int64_t>ids.at[i]
        row += legs.links[row] == link
        legs.marks[i] = (legs.links[row] == NO_LINK or legs.proofs[row] & proof != 0
                         or not aims(wires, legs.links[row], ids.at[i]))
    return legs.picked(given, ids)


def ended(LegTable legs not None, list wires not None, int32_t first, Py_ssize_t most, int64_t late) -> tuple:
    """(rows, next): legs that no wire carries nor is to, and that left theirs at `late` or before, of streams with two.

    Looks at `most` such streams from the id `first` on; `next` is where to go on, 0 = at the start. O(streams known).
    """
    cdef list rows = []
    cdef int32_t stream = max(first, 0)
    cdef Py_ssize_t looked = 0
    cdef int64_t row
    check_wires(wires)
    while stream < legs.room and looked < most:
        if legs.links[2 * <int64_t>stream + 1] != NO_LINK:
            looked += 1
            for row in range(2 * <int64_t>stream, 2 * <int64_t>stream + 2):
                if legs.widths[row] >= 0 or legs.departures[row] > late:
                    continue
                if not aims(wires, legs.links[row], stream):
                    rows.append(row)
        stream += 1
    return rows, stream if stream < legs.room else 0
