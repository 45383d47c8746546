# cython: language_level=3
"""A component's interests as cells of an open-addressing table: 8 bytes each, the topic and its class in one key.

It stays beside the sources: no .pxd that is shipped needs it.
"""

from libc.stdint cimport int32_t, uint32_t

from _slots cimport subcore_home, subcore_may_move, subcore_next, subcore_spread
from subcore._ledger cimport ComponentRow, Interest

cdef enum:
    CLASS_BITS = 2
    CLASS_MASK = 3


cdef inline int32_t topic_in(const Interest* cell) noexcept nogil:
    return <int32_t>(cell.key >> CLASS_BITS) - 1


cdef inline int class_in(const Interest* cell) noexcept nogil:
    return <int>(cell.key & CLASS_MASK)


cdef inline uint32_t key_for(int32_t topic, int cls) noexcept nogil:
    return ((<uint32_t>topic + 1) << CLASS_BITS) | <uint32_t>cls


cdef inline uint32_t most_in(uint32_t cell_count) noexcept nogil:
    """Interests that a table holds before it must grow: a load of 7/8, at least one cell empty."""
    if cell_count == 0:
        return 0
    return cell_count - cell_count // 8 - 1


cdef inline uint32_t cells_for(uint32_t interests) noexcept nogil:
    return interests + interests // 5 + 2


cdef inline uint32_t place_of(const ComponentRow* row, int32_t topic) noexcept nogil:
    """Where the cell is that holds a topic, or the empty one where it would go. The table must not be empty."""
    cdef uint32_t wanted = <uint32_t>topic + 1
    cdef uint32_t at = subcore_home(subcore_spread(<uint32_t>topic), row.cell_count)
    while row.cells[at].key != 0 and row.cells[at].key >> CLASS_BITS != wanted:
        at = subcore_next(at, row.cell_count)
    return at


cdef inline Interest* cell_of(const ComponentRow* row, int32_t topic) noexcept nogil:
    return &row.cells[place_of(row, topic)]


cdef inline void empty_cell(ComponentRow* row, uint32_t hole) noexcept nogil:
    """Empty a cell; later cells of its run move back, so no tombstone stays."""
    cdef uint32_t at = subcore_next(hole, row.cell_count)
    cdef uint32_t home
    while row.cells[at].key != 0:
        home = subcore_home(subcore_spread(<uint32_t>topic_in(&row.cells[at])), row.cell_count)
        if subcore_may_move(hole, home, at):
            row.cells[hole] = row.cells[at]
            hole = at
        at = subcore_next(at, row.cell_count)
    row.cells[hole].key = 0
