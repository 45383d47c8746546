# cython: language_level=3
"""Legs of many streams at once, in one pass each: what links carry them and what is known of them there.

A leg is a row: 2 * stream is the home of a stream, 2 * stream + 1 its other carrier. Every call costs O(streams given)
and checks their ids first (IndexError, nothing changed). A stream without a leg on the link in question is passed over.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids

cnp.import_array()

cdef enum:
    NO_LINK = -1
    NOT_CARRIED = -1

NO_IDS = np.empty(0, np.int32)
NO_IDS.flags.writeable = False

KINDS = {
    "link": np.dtype(np.int16), "turned": np.dtype(np.int64), "width": np.dtype(np.int32),
    "evidence": np.dtype(np.uint8), "generation": np.dtype(np.int32), "request": np.dtype(np.int32),
    "answered": np.dtype(np.int32), "left": np.dtype(np.int64),
}


cdef inline int32_t* ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef object flags_for(Py_ssize_t count):
    cdef cnp.npy_intp size = count
    return cnp.PyArray_SimpleNew(1, &size, cnp.NPY_BOOL)


cdef object rows_for(Py_ssize_t count):
    cdef cnp.npy_intp size = count
    return cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT64)


cdef object exact(object ids, Py_ssize_t count):
    """The first `count` of these ids, without what lies behind."""
    if count == 0:
        return NO_IDS
    return ids if count == cnp.PyArray_DIM(<cnp.ndarray>ids, 0) else ids[:count]


cdef class LegColumns:
    """The columns, and the loops over them. `take` puts columns in place; nothing else may."""

    cdef readonly object link, turned, width, evidence, generation, request, answered, left
    cdef int16_t* links           # the same columns, by pointer
    cdef int64_t* turns
    cdef int32_t* widths
    cdef uint8_t* proofs
    cdef int32_t* generations
    cdef int32_t* requests
    cdef int32_t* answers
    cdef int64_t* departures
    cdef int32_t room             # streams

    def __cinit__(self, *args):
        self.take({name: np.empty(0, kind) for name, kind in KINDS.items()})

    def take(self, columns) -> None:
        """These are the columns from now on: one for each name of KINDS, all of one length, writeable."""
        for name, kind in KINDS.items():
            column = columns[name]
            if column.dtype != kind or column.shape != columns["link"].shape or not column.flags.carray:
                raise TypeError(f"{name} must be a column of {kind}, as long as the others")
        self.link, self.turned, self.width = columns["link"], columns["turned"], columns["width"]
        self.evidence, self.generation = columns["evidence"], columns["generation"]
        self.request, self.answered, self.left = columns["request"], columns["answered"], columns["left"]
        self.links = <int16_t*>cnp.PyArray_DATA(<cnp.ndarray>self.link)
        self.turns = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>self.turned)
        self.widths = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>self.width)
        self.proofs = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>self.evidence)
        self.generations = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>self.generation)
        self.requests = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>self.request)
        self.answers = <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>self.answered)
        self.departures = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>self.left)
        self.room = <int32_t>(cnp.PyArray_DIM(<cnp.ndarray>self.link, 0) // 2)

    cdef object checked(self, object streams):
        cdef object given = int32_vector(streams, "streams")
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t i
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            if id[i] < 0 or id[i] >= self.room:
                raise IndexError(f"a stream id must be 0 to {self.room - 1} here, not {id[i]}")
        return given

    cdef inline int64_t row_on(self, int link, int64_t stream) noexcept:
        """The leg of a stream on a link, -1 where it has none there."""
        if self.links[2 * stream] == link:
            return 2 * stream
        return 2 * stream + 1 if self.links[2 * stream + 1] == link else -1

    def on(self, int link, streams) -> tuple:
        """Those of `streams` that have a leg on `link` (the same object if all), and the rows of these legs, int64."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
        cdef object rows = rows_for(count)
        cdef int64_t* row = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>rows)
        for i in range(count):
            row[found] = self.row_on(link, id[i])
            found += row[found] >= 0
        if found == count:
            return given, rows
        there = new_ids(found)
        for i in range(found):
            ids_of(there)[i] = <int32_t>(row[i] >> 1)
        return there, rows[:found]

    def rows(self, int link, streams) -> np.ndarray:
        """Rows of the legs on `link`, int64; each of `streams` must have one there."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef object rows = rows_for(count)
        cdef int64_t* row = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>rows)
        for i in range(count):
            row[i] = 2 * <int64_t>id[i]
            row[i] += self.links[row[i]] != link
        return rows

    def home(self, streams) -> np.ndarray:
        """The home link of each, int16, NO_LINK = none yet."""
        cdef object given = self.checked(streams)
        cdef cnp.npy_intp size = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
        cdef object homes = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT16)
        cdef int16_t* home = <int16_t*>cnp.PyArray_DATA(<cnp.ndarray>homes)
        cdef Py_ssize_t i
        for i in range(size):
            home[i] = self.links[2 * <int64_t>ids_of(given)[i]]
        return homes

    def other_link(self, int link, streams) -> np.ndarray:
        """The link of each one's leg that is not on `link`, int16, NO_LINK = none."""
        cdef object given = self.checked(streams)
        cdef cnp.npy_intp size = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
        cdef object others = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT16)
        cdef int16_t* other = <int16_t*>cnp.PyArray_DATA(<cnp.ndarray>others)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(size):
            row = 2 * <int64_t>ids_of(given)[i]
            other[i] = self.links[row + (self.links[row] == link)]
        return others

    def has_other(self, streams) -> np.ndarray:
        """Which have a second leg, bool."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef object flags = flags_for(count)
        cdef uint8_t* flag = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>flags)
        for i in range(count):
            flag[i] = self.links[2 * <int64_t>ids_of(given)[i] + 1] != NO_LINK
        return flags

    def doubled(self, streams) -> np.ndarray:
        """Those that have a second leg, int32, in the order given."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
        for i in range(count):
            found += self.links[2 * <int64_t>id[i] + 1] != NO_LINK
        if not found:
            return NO_IDS
        if found == count:
            return given
        twice = new_ids(count)
        found = 0
        for i in range(count):
            if self.links[2 * <int64_t>id[i] + 1] != NO_LINK:
                ids_of(twice)[found] = id[i]
                found += 1
        return twice[:found]

    def on_wire(self, streams) -> np.ndarray:
        """Which are carried by some link now, bool."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef object flags = flags_for(count)
        cdef uint8_t* flag = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>flags)
        cdef int64_t row
        for i in range(count):
            row = 2 * <int64_t>ids_of(given)[i]
            flag[i] = self.widths[row] >= 0 or self.widths[row + 1] >= 0
        return flags

    def carried(self, streams) -> tuple:
        """(those that some link carries now, the others), int32, in the order given."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, left = 0, i
        cdef int64_t row
        for i in range(count):
            row = 2 * <int64_t>id[i]
            found += self.widths[row] >= 0 or self.widths[row + 1] >= 0
        if found == 0 or found == count:
            return (given, NO_IDS) if found else (NO_IDS, given)
        yes, no = new_ids(found), new_ids(count - found)
        found = 0
        for i in range(count):
            row = 2 * <int64_t>id[i]
            if self.widths[row] >= 0 or self.widths[row + 1] >= 0:
                ids_of(yes)[found] = id[i]
                found += 1
            else:
                ids_of(no)[left] = id[i]
                left += 1
        return yes, no

    def were_carried(self, streams) -> tuple:
        """(those that some link carries now or carried ever, the others), int32, in the order given."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, left = 0, i
        for i in range(count):
            found += self.was_carried(id[i])
        if found == 0 or found == count:
            return (given, NO_IDS) if found else (NO_IDS, given)
        yes, no = new_ids(found), new_ids(count - found)
        found = 0
        for i in range(count):
            if self.was_carried(id[i]):
                ids_of(yes)[found] = id[i]
                found += 1
            else:
                ids_of(no)[left] = id[i]
                left += 1
        return yes, no

    cdef inline bint was_carried(self, int64_t stream) noexcept:
        cdef int64_t row = 2 * stream
        return (self.widths[row] >= 0 or self.widths[row + 1] >= 0
                or self.departures[row] != 0 or self.departures[row + 1] != 0)

    def last_left(self, streams) -> np.ndarray:
        """When each last left a wire, int64, 0 = never."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef object times = rows_for(count)
        cdef int64_t* time = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>times)
        cdef int64_t row
        for i in range(count):
            row = 2 * <int64_t>ids_of(given)[i]
            time[i] = max(self.departures[row], self.departures[row + 1])
        return times

    def in_force(self, streams) -> np.ndarray:
        """What speaks for each on links that carry it now, uint8."""
        cdef object given = self.checked(streams)
        cdef cnp.npy_intp size = cnp.PyArray_DIM(<cnp.ndarray>given, 0)
        cdef object found = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_UINT8)
        cdef uint8_t* out = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>found)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(size):
            row = 2 * <int64_t>ids_of(given)[i]
            out[i] = self.proofs[row] if self.widths[row] >= 0 else 0
            if self.widths[row + 1] >= 0:
                out[i] |= self.proofs[row + 1]
        return found

    def by_link(self, streams, bint home_only=False) -> list:
        """[(link, those that have a leg there, int32)], by number of the link: one stream comes for each of its legs.

        `home_only`: for its home alone.
        """
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef int64_t row
        cdef int first = NO_LINK
        cdef bint is_one = True
        for i in range(count):
            row = 2 * <int64_t>id[i]
            if i == 0:
                first = self.links[row]
            is_one &= self.links[row] == first and (home_only or self.links[row + 1] == NO_LINK)
        if is_one:
            return [] if first == NO_LINK else [(first, given)]
        return self.apart(given, home_only)

    cdef list apart(self, object given, bint home_only):
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found, i
        cdef int64_t row
        cdef int16_t link
        cdef set links = set()
        cdef list parts = []
        for i in range(count):
            row = 2 * <int64_t>id[i]
            links.add(self.links[row])
            if not home_only:
                links.add(self.links[row + 1])
        links.discard(NO_LINK)
        for link in sorted(links):
            part, found = new_ids(count), 0
            for i in range(count):
                row = 2 * <int64_t>id[i]
                if self.links[row] == link or (not home_only and self.links[row + 1] == link):
                    ids_of(part)[found] = id[i]
                    found += 1
            parts.append((link, exact(part, found)))
        return parts

    def settle_free(self, int link, streams) -> np.ndarray:
        """Make `link` the home of those that have none; those that have one elsewhere, and no leg on `link`, int32."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), left = 0, i
        cdef object taken = None
        cdef int64_t row
        if link != <int16_t>link:
            raise OverflowError(f"the number of a link must fit 16 bits, not {link}")
        for i in range(count):
            row = 2 * <int64_t>id[i]
            if self.row_on(link, id[i]) >= 0:
                continue
            if self.links[row] == NO_LINK:
                self.links[row] = <int16_t>link
                continue
            if taken is None:
                taken = new_ids(count - i)
            ids_of(taken)[left] = id[i]
            left += 1
        return exact(taken, left) if left else NO_IDS

    def turn(self, int link, streams, int64_t when) -> bool:
        """These came into the link's target, or left it, at that time; whether the wire there carries some of them."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        cdef bint carries = False
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                self.turns[row] = when
                carries |= self.widths[row] >= 0
        return carries

    def turned_since(self, int link, streams, int64_t least) -> np.ndarray:
        """When each came into the link's target or left it, int64, at least `least`."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef object times = rows_for(count)
        cdef int64_t* time = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>times)
        cdef int64_t row
        for i in range(count):
            row = self.row_on(link, ids_of(given)[i])
            time[i] = max(least, self.turns[row]) if row >= 0 else least
        return times

    def first_turned(self, int link, streams, int64_t most) -> int:
        """The earliest time at which one of these came into the link's target or left it, at most `most`."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                most = min(most, self.turns[row])
        return most

    def put_in_force(self, int link, streams, widths) -> None:
        """The wire of the link carries these, as wide as said (int32, one for each)."""
        cdef object given = self.checked(streams)
        cdef object wide = int32_vector(widths, "widths")
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), i
        cdef int64_t row
        if cnp.PyArray_DIM(<cnp.ndarray>wide, 0) != count:
            raise ValueError("one width for each stream")
        for i in range(count):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                self.widths[row] = ids_of(wide)[i]

    def put_asked(self, int link, streams, int32_t request, int32_t generation) -> None:
        """A request of the link added these: nothing speaks for them there yet."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                self.requests[row] = request
                self.generations[row] = generation
                self.proofs[row] = 0

    def put_left(self, int link, streams, int64_t when) -> None:
        """These left the wire of the link."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                self.widths[row] = NOT_CARRIED
                self.departures[row] = when

    def put_off(self, int link, streams) -> None:
        """The wire of the link does not carry these, and nothing speaks for them there; when they left is not noted."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = self.row_on(link, ids_of(given)[i])
            if row >= 0:
                self.widths[row] = NOT_CARRIED
                self.proofs[row] = 0

    def put_evidence(self, streams, uint8_t flags=0) -> None:
        """What speaks for these, on both legs of each."""
        cdef object given = self.checked(streams)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(cnp.PyArray_DIM(<cnp.ndarray>given, 0)):
            row = 2 * <int64_t>ids_of(given)[i]
            self.proofs[row] = self.proofs[row + 1] = flags

    def late(self, int link, streams, int64_t since) -> tuple:
        """(those that left the wire of the link since then, the others), int32, in the order given."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), lates = 0, rest = 0, i
        cdef int64_t row
        for i in range(count):
            row = self.row_on(link, id[i])
            lates += row >= 0 and self.departures[row] > 0 and self.departures[row] >= since
        if lates == 0 or lates == count:
            return (given, NO_IDS) if lates else (NO_IDS, given)
        yes, no = new_ids(lates), new_ids(count - lates)
        lates = 0
        for i in range(count):
            row = self.row_on(link, id[i])
            if row >= 0 and self.departures[row] > 0 and self.departures[row] >= since:
                ids_of(yes)[lates] = id[i]
                lates += 1
            else:
                ids_of(no)[rest] = id[i]
                rest += 1
        return yes, no

    def mute(self, int link, streams, int32_t request) -> np.ndarray:
        """Those on `link` that were carried over by a request and have not been heard after it, int32."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
        cdef object silent = new_ids(count)
        cdef int64_t row
        for i in range(count):
            row = self.row_on(link, id[i])
            if row >= 0 and self.answers[row] < request and self.requests[row] != request:
                ids_of(silent)[found] = id[i]
                found += 1
        return exact(silent, found)

    def heard(self, int link, streams, int32_t carries_all, uint8_t flags) -> tuple:
        """Data came on `link` for these: (those it carries, in order; the requests it answers, ascending).

        What answers is the stream's own request, or a later one that stated all, `carries_all`; it is noted, and
        `flags` speak for the stream from now on.
        """
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
        cdef object there = new_ids(count)
        cdef int32_t asked, last = -1
        cdef int64_t row
        cdef set requests = set()
        for i in range(count):
            row = self.row_on(link, id[i])
            if row < 0 or self.widths[row] < 0:
                continue
            asked = max(self.requests[row], carries_all)
            self.answers[row] = asked
            self.proofs[row] |= flags
            if asked != last:
                last = asked
                requests.add(asked)
            ids_of(there)[found] = id[i]
            found += 1
        return given if found == count else exact(there, found), sorted(requests)

    def pending(self, int link, streams, uint8_t proof) -> np.ndarray:
        """Those that the wire of `link` carries and for which none of the flags in `proof` speaks there, int32."""
        cdef object given = self.checked(streams)
        cdef const int32_t* id = ids_of(given)
        cdef Py_ssize_t count = cnp.PyArray_DIM(<cnp.ndarray>given, 0), found = 0, i
        if not count:
            return given
        cdef object unproven = new_ids(count)
        cdef int64_t row
        for i in range(count):
            row = self.row_on(link, id[i])
            if row >= 0 and self.widths[row] >= 0 and not self.proofs[row] & proof:
                ids_of(unproven)[found] = id[i]
                found += 1
        return exact(unproven, found)
