# cython: language_level=3
"""What happens to many streams at once: a look-up of each in a table of what follows.

The columns are numpy's and the tables are the caller's; here are the loops alone, since a handful of numpy calls on
twenty streams costs more than all that is done with them. Ids are checked (IndexError) before anything is changed.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids

cnp.import_array()

cdef enum:
    EVENTS_AT_MOST = 64
    STATES = 256                  # that a byte can name

NO_IDS = np.empty(0, np.int32)
NO_IDS.flags.writeable = False


cdef inline uint8_t* bytes_of(cnp.ndarray array) noexcept:
    return <uint8_t*>cnp.PyArray_DATA(array)


cdef inline int32_t* ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef int check_within(const int32_t* ids, Py_ssize_t count, Py_ssize_t room) except -1:
    cdef Py_ssize_t i
    for i in range(count):
        if ids[i] < 0 or ids[i] >= room:
            raise IndexError(f"a stream id must be 0 to {room - 1} here, not {ids[i]}")
    return 0


cdef object exact(object ids, Py_ssize_t count):
    """The first `count` of these ids, without what lies behind."""
    if count == 0:
        return NO_IDS
    return ids if count == cnp.PyArray_DIM(<cnp.ndarray>ids, 0) else ids[:count]


def largest(streams) -> int:
    """The greatest id, -1 where there is none."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t i
    cdef int32_t most = -1
    for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
        most = max(most, id[i])
    return most


def step(cnp.ndarray follows not None, int event, uint8_t keep, uint8_t late, cnp.ndarray values not None,
         cnp.ndarray since not None, cnp.ndarray counts not None, streams, int64_t now) -> tuple:
    """Let `event` happen to the state axis of streams: (moved, valid, number of late ones), in the order given.

    `follows` (states, events), uint8: what follows, `keep` where nothing does, `late` where the event came too late.
    `values` (uint8) and `since` (int64) are the columns, `counts` (states, events), int64, how often each pair came.
    `moved`: whose state is another now. `valid`: all that were not late; the same object as `streams` if all are.
    """
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
    cdef Py_ssize_t events = cnp.PyArray_DIM(follows, 1)
    cdef Py_ssize_t i, first = 0, moves = 0, lates = 0
    cdef uint8_t* value = bytes_of(values)
    cdef const uint8_t* table = bytes_of(follows)
    cdef int64_t* at = <int64_t*>cnp.PyArray_DATA(since)
    cdef int64_t* pairs = <int64_t*>cnp.PyArray_DATA(counts)
    cdef uint8_t old = 0, new = 0
    check_within(id, count, min(cnp.PyArray_SIZE(values), cnp.PyArray_SIZE(since)))
    if cnp.PyArray_ITEMSIZE(since) != 8 or cnp.PyArray_ITEMSIZE(counts) != 8:
        raise TypeError("times and counts are columns of int64")
    if not 0 <= event < events or cnp.PyArray_SIZE(counts) < cnp.PyArray_SIZE(follows):
        raise IndexError(f"an event must be 0 to {events - 1}, not {event}, with a count for each pair")
    for i in range(count):
        if value[id[i]] >= cnp.PyArray_DIM(follows, 0):
            raise IndexError(f"stream {id[i]} is in state {value[id[i]]}, which the table does not have")
    cdef object moved = new_ids(count), valid
    cdef int32_t* out = ids_of(moved)
    for i in range(count):
        if i == 0 or value[id[i]] != old:             # most are in one state: they are counted together
            if i:
                pairs[old * events + event] += i - first
            old, first = value[id[i]], i
            new = table[old * events + event]
        lates += new == late
        if new != late and new != keep:
            value[id[i]] = new
            at[id[i]] = now
            out[moves] = id[i]
            moves += 1
    if count:
        pairs[old * events + event] += count - first
    if not lates:
        return exact(moved, moves), given, 0
    valid = without_late(table, event, events, late, value, moved, moves, id, count)
    return exact(moved, moves), valid, lates


cdef object without_late(const uint8_t* table, int event, Py_ssize_t events, uint8_t late, const uint8_t* value,
                         object moved, Py_ssize_t moves, const int32_t* id, Py_ssize_t count):
    """Those that were not late, in order: the moved ones, and those whose state, unchanged, was not late."""
    cdef object valid = new_ids(count)
    cdef const int32_t* gone = ids_of(moved)
    cdef int32_t* out = ids_of(valid)
    cdef Py_ssize_t i, at = 0, kept = 0
    for i in range(count):
        if at < moves and gone[at] == id[i]:
            at += 1
        elif table[value[id[i]] * events + event] == late:
            continue
        out[kept] = id[i]
        kept += 1
    return exact(valid, kept)


def turn(cnp.ndarray follows not None, int event, uint8_t doubt, uint8_t good, cnp.ndarray values not None,
         streams) -> tuple:
    """Let `event` happen to the data axis of streams: (those that became `doubt`, those that were and are `good`)."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
    cdef Py_ssize_t events = cnp.PyArray_DIM(follows, 1)
    cdef Py_ssize_t i, doubts = 0, goods = 0
    cdef uint8_t* value = bytes_of(values)
    cdef const uint8_t* table = bytes_of(follows)
    cdef uint8_t old, new
    check_within(id, count, cnp.PyArray_SIZE(values))
    if not 0 <= event < events:
        raise IndexError(f"an event must be 0 to {events - 1}, not {event}")
    for i in range(count):
        if value[id[i]] >= cnp.PyArray_DIM(follows, 0):
            raise IndexError(f"stream {id[i]} has data state {value[id[i]]}, which the table does not have")
        new = table[value[id[i]] * events + event]
        doubts += new == doubt and value[id[i]] != new
        goods += new == good and value[id[i]] == doubt
    cdef object doubted = new_ids(doubts) if doubts else NO_IDS
    cdef object recovered = new_ids(goods) if goods else NO_IDS
    cdef int32_t* worse = ids_of(doubted)
    cdef int32_t* better = ids_of(recovered)
    doubts = goods = 0
    for i in range(count):
        old = value[id[i]]
        new = table[old * events + event]
        if new == old:
            continue
        value[id[i]] = new
        if new == doubt:
            worse[doubts] = id[i]
            doubts += 1
        elif new == good and old == doubt:
            better[goods] = id[i]
            goods += 1
    return doubted, recovered


def chosen(cnp.ndarray values not None, streams, *wanted) -> np.ndarray:
    """Those of `streams` whose value (uint8) is one of `wanted`; the same object if all are."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
    cdef const uint8_t* value = bytes_of(values)
    cdef Py_ssize_t i, found = 0
    cdef bint is_wanted[STATES]
    check_within(id, count, cnp.PyArray_SIZE(values))
    for i in range(STATES):
        is_wanted[i] = False
    for one in wanted:
        is_wanted[<uint8_t>one] = True
    for i in range(count):
        found += is_wanted[value[id[i]]]
    if found == count:
        return given
    if not found:
        return NO_IDS
    cdef object some = new_ids(found)
    cdef int32_t* out = ids_of(some)
    for i in range(count):
        if is_wanted[value[id[i]]]:
            out[0] = id[i]
            out += 1
    return some


def split(cnp.ndarray marks not None, streams) -> tuple:
    """(those that are marked, those that are not); `marks` is a bool column over stream ids."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
    cdef const uint8_t* mark = bytes_of(marks)
    cdef Py_ssize_t i, found = 0
    check_within(id, count, cnp.PyArray_SIZE(marks))
    for i in range(count):
        found += mark[id[i]] != 0
    if found == 0 or found == count:
        return (given, NO_IDS) if found else (NO_IDS, given)
    cdef object yes = new_ids(found), no = new_ids(count - found)
    cdef int32_t* yes_out = ids_of(yes)
    cdef int32_t* no_out = ids_of(no)
    for i in range(count):
        if mark[id[i]]:
            yes_out[0] = id[i]
            yes_out += 1
        else:
            no_out[0] = id[i]
            no_out += 1
    return yes, no


def fill(cnp.ndarray column not None, streams, uint8_t value) -> None:
    """Set a column of bytes or bools where these streams stand."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
    cdef uint8_t* cell = bytes_of(column)
    cdef Py_ssize_t i
    if cnp.PyArray_ITEMSIZE(column) != 1:
        raise TypeError("a column of bytes or bools is needed")
    check_within(id, count, cnp.PyArray_SIZE(column))
    for i in range(count):
        cell[id[i]] = value


def clear(streams, *columns) -> None:
    """Set every one of these columns (of numbers or bools) to 0 where these streams stand."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), size, i
    cdef cnp.ndarray column
    cdef uint8_t* cell
    for column in columns:
        check_within(id, count, cnp.PyArray_SIZE(column))
        if not cnp.PyArray_ISCARRAY(column):
            raise TypeError("a column is a contiguous array that can be written to")
    for column in columns:
        cell, size = bytes_of(column), cnp.PyArray_ITEMSIZE(column)
        for i in range(count):
            memset(cell + id[i] * size, 0, <size_t>size)


def mark(cnp.ndarray marks not None, streams) -> np.ndarray:
    """Mark these (distinct) streams in a bool column; those that were not marked before, in order."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
    cdef uint8_t* flag = bytes_of(marks)
    cdef object fresh = NO_IDS
    check_within(id, count, cnp.PyArray_SIZE(marks))
    for i in range(count):
        found += flag[id[i]] == 0
    if found == count:
        fresh = given
    elif found:
        fresh = new_ids(found)
    found = 0
    for i in range(count):
        if flag[id[i]] == 0:
            flag[id[i]] = 1
            if fresh is not given:
                ids_of(fresh)[found] = id[i]
                found += 1
    return fresh


def alike(values) -> bool:
    """Whether these (int32 or int64) are all the same."""
    cdef cnp.ndarray column = values
    cdef Py_ssize_t count = cnp.PyArray_SIZE(column), i
    cdef const int32_t* few = ids_of(column)
    cdef const int64_t* many = <const int64_t*>cnp.PyArray_DATA(column)
    cdef bint same = True
    if not cnp.PyArray_ISCARRAY_RO(column) or cnp.PyArray_TYPE(column) not in (cnp.NPY_INT32, cnp.NPY_INT64):
        raise TypeError("a contiguous column of int32 or int64 is needed")
    for i in range(1, count):
        same &= few[i] == few[0] if cnp.PyArray_ITEMSIZE(column) == 4 else many[i] == many[0]
    return same


def without(streams, left, right) -> np.ndarray:
    """What is in `left` and not in `right`, where both are parts of `streams` in its order; O(len(streams))."""
    cdef object given = int32_vector(streams, "streams")
    cdef object first = int32_vector(left, "left")
    cdef object second = int32_vector(right, "right")
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>first, 0)
    cdef Py_ssize_t gone = cnp.PyArray_DIM(<cnp.ndarray>second, 0)
    cdef Py_ssize_t i, at = 0, past = 0, found = 0
    if not count or not gone:
        return first
    cdef object rest = new_ids(count)
    cdef int32_t stream
    for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
        stream = ids_of(given)[i]
        if past < gone and ids_of(second)[past] == stream:
            past += 1
            at += at < count and ids_of(first)[at] == stream
        elif at < count and ids_of(first)[at] == stream:
            ids_of(rest)[found] = stream
            found += 1
            at += 1
    if at < count or past < gone:
        raise ValueError("left and right must be parts of streams, in its order")
    return exact(rest, found)


def places(cnp.ndarray column not None, streams) -> np.ndarray:
    """What an int32 column over stream ids says of each, less what is negative; ids beyond the column say nothing."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), room = cnp.PyArray_SIZE(column), found = 0, i
    cdef const int32_t* place = ids_of(column)
    cdef object there = new_ids(count)
    if cnp.PyArray_TYPE(column) != cnp.NPY_INT32:
        raise TypeError("a column of int32 is needed")
    for i in range(count):
        if 0 <= id[i] < room and place[id[i]] >= 0:
            ids_of(there)[found] = place[id[i]]
            found += 1
    return exact(there, found)


def unset(cnp.ndarray times not None, rows) -> np.ndarray:
    """Those of `rows` (int32) at which an int64 column is 0."""
    cdef object given = int32_vector(rows, "rows")
    cdef const int32_t* row = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
    cdef const int64_t* time = <const int64_t*>cnp.PyArray_DATA(times)
    if cnp.PyArray_TYPE(times) != cnp.NPY_INT64:
        raise TypeError("a column of int64 is needed")
    check_within(row, count, cnp.PyArray_SIZE(times))
    cdef object there = new_ids(count)
    for i in range(count):
        if time[row[i]] == 0:
            ids_of(there)[found] = row[i]
            found += 1
    return given if found == count else exact(there, found)


def stamp(cnp.ndarray times not None, cnp.ndarray column not None, streams, int64_t now) -> None:
    """Set an int64 column to `now` where it is 0, at the places that an int32 column over stream ids says of each
    stream; what is negative there, and ids beyond it, say nothing. IndexError for a place there is not."""
    cdef object given = int32_vector(streams, "streams")
    cdef const int32_t* id = ids_of(given)
    cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), room = cnp.PyArray_SIZE(column), i
    cdef Py_ssize_t rows = cnp.PyArray_SIZE(times)
    cdef const int32_t* place = ids_of(column)
    cdef int64_t* time = <int64_t*>cnp.PyArray_DATA(times)
    if cnp.PyArray_TYPE(column) != cnp.NPY_INT32 or cnp.PyArray_TYPE(times) != cnp.NPY_INT64:
        raise TypeError("a column of int32 and one of int64 are needed")
    for i in range(count):
        if 0 <= id[i] < room and place[id[i]] >= rows:
            raise IndexError(f"place {place[id[i]]} of {rows}")
    for i in range(count):
        if 0 <= id[i] < room and place[id[i]] >= 0 and time[place[id[i]]] == 0:
            time[place[id[i]]] = now
