# cython: language_level=3
"""Legs of many streams at once, in one pass each: what links carry them and what is known of them there.

Every call costs O(streams given), `by_link` as often as there are links in them, and checks their ids first
(IndexError, nothing changed). A stream without a leg on the link in question is passed over.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

cimport numpy as cnp
import numpy as np

from subcore._arrays cimport int32_vector, new_ids
from subcore._leg_table cimport NO_LINK, NOT_CARRIED, Ids, LegTable, new_column, row_on

cnp.import_array()


cdef inline int32_t* ids_of(object array) noexcept:
    return <int32_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline int64_t* times_of(object array) noexcept:
    return <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>array)


cdef int check_link(int link) except -1:
    if link != <int16_t>link:
        raise OverflowError(f"the number of a link must fit 16 bits, not {link}")
    return 0


cdef class LegColumns(LegTable):
    """What is asked of legs, and what happens to them."""

    def on(self, int link, streams) -> tuple:
        """Those of `streams` that have a leg on `link` (the same object if all), and the rows of these legs, int64."""
        cdef Ids ids
        cdef object given = self.checked(streams, &ids)
        cdef object rows = new_column(ids.count, cnp.NPY_INT64), there
        cdef int64_t* row = times_of(rows)
        cdef Py_ssize_t found = 0, i
        for i in range(ids.count):
            row[found] = row_on(self.links, link, ids.at[i])
            found += row[found] >= 0
        if found == ids.count:
            return given, rows
        there = new_ids(found)
        for i in range(found):
            ids_of(there)[i] = <int32_t>(row[i] >> 1)
        return there, rows[:found]

    def rows(self, int link, streams) -> np.ndarray:
        """Rows of the legs on `link`, int64; each of `streams` must have one there."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object rows = new_column(ids.count, cnp.NPY_INT64)
        cdef int64_t* row = times_of(rows)
        cdef Py_ssize_t i
        for i in range(ids.count):
            row[i] = 2 * <int64_t>ids.at[i]
            row[i] += self.links[row[i]] != link
        return rows

    def home(self, streams) -> np.ndarray:
        """The home link of each, int16, NO_LINK = none yet."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object homes = new_column(ids.count, cnp.NPY_INT16)
        cdef int16_t* home = <int16_t*>cnp.PyArray_DATA(<cnp.ndarray>homes)
        cdef Py_ssize_t i
        for i in range(ids.count):
            home[i] = self.links[2 * <int64_t>ids.at[i]]
        return homes

    def other_link(self, int link, streams) -> np.ndarray:
        """The link of each one's leg that is not on `link`, int16, NO_LINK = none."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object others = new_column(ids.count, cnp.NPY_INT16)
        cdef int16_t* other = <int16_t*>cnp.PyArray_DATA(<cnp.ndarray>others)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            other[i] = self.links[row + (self.links[row] == link)]
        return others

    def has_other(self, streams) -> np.ndarray:
        """Which have a second leg, bool."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object flags = new_column(ids.count, cnp.NPY_BOOL)
        cdef uint8_t* flag = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>flags)
        cdef Py_ssize_t i
        for i in range(ids.count):
            flag[i] = self.links[2 * <int64_t>ids.at[i] + 1] != NO_LINK
        return flags

    def doubled(self, streams) -> np.ndarray:
        """Those that have a second leg, int32, in the order given."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        for i in range(ids.count):
            self.marks[i] = self.links[2 * <int64_t>ids.at[i] + 1] != NO_LINK
        return self.picked(given, ids)

    def on_wire(self, streams) -> np.ndarray:
        """Which are carried by some link now, bool."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object flags = new_column(ids.count, cnp.NPY_BOOL)
        cdef uint8_t* flag = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>flags)
        cdef Py_ssize_t i
        for i in range(ids.count):
            flag[i] = self.is_carried(ids.at[i])
        return flags

    def carried(self, streams) -> tuple:
        """(those that some link carries now, the others), int32, in the order given."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        for i in range(ids.count):
            self.marks[i] = self.is_carried(ids.at[i])
        return self.parted(given, ids)

    def were_carried(self, streams) -> tuple:
        """(those that some link carries now or carried ever, the others), int32, in the order given."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            self.marks[i] = (self.is_carried(ids.at[i])
                             or self.departures[row] != 0 or self.departures[row + 1] != 0)
        return self.parted(given, ids)

    cdef inline bint is_carried(self, int64_t stream) noexcept:
        return self.widths[2 * stream] >= 0 or self.widths[2 * stream + 1] >= 0

    def last_left(self, streams) -> np.ndarray:
        """When each last left a wire, int64, 0 = never."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object times = new_column(ids.count, cnp.NPY_INT64)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            times_of(times)[i] = max(self.departures[row], self.departures[row + 1])
        return times

    def in_force(self, streams) -> np.ndarray:
        """What speaks for each on links that carry it now, uint8."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object found = new_column(ids.count, cnp.NPY_UINT8)
        cdef uint8_t* out = <uint8_t*>cnp.PyArray_DATA(<cnp.ndarray>found)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            out[i] = self.proofs[row] if self.widths[row] >= 0 else 0
            if self.widths[row + 1] >= 0:
                out[i] |= self.proofs[row + 1]
        return found

    def by_link(self, streams, bint home_only=False) -> list:
        """[(link, those that have a leg there, int32)], by number of the link: one stream comes for each of its legs.

        `home_only`: for its home alone.
        """
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        cdef int first = NO_LINK
        cdef bint is_one = True
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            if i == 0:
                first = self.links[row]
            is_one &= self.links[row] == first and (home_only or self.links[row + 1] == NO_LINK)
        if is_one:
            return [] if first == NO_LINK else [(first, given)]
        return self.apart(given, ids, home_only)

    cdef list apart(self, object given, Ids ids, bint home_only):
        cdef Py_ssize_t i
        cdef int64_t row
        cdef int16_t link
        cdef set links = set()
        cdef list parts = []
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            links.add(self.links[row])
            if not home_only:
                links.add(self.links[row + 1])
        links.discard(NO_LINK)
        for link in sorted(links):
            for i in range(ids.count):
                row = 2 * <int64_t>ids.at[i]
                self.marks[i] = self.links[row] == link or (not home_only and self.links[row + 1] == link)
            parts.append((link, self.picked(given, ids)))
        return parts

    def settle_free(self, int link, streams) -> np.ndarray:
        """Make `link` the home of those that have none; those that have one elsewhere, and no leg on `link`, int32."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        check_link(link)
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            self.marks[i] = False
            if row_on(self.links, link, ids.at[i]) >= 0:
                continue
            if self.links[row] == NO_LINK:
                self.links[row] = <int16_t>link
            else:
                self.marks[i] = True
        return self.picked(given, ids)

    def enter(self, int link, streams, int64_t when) -> np.ndarray:
        """These come into the link's target at that time: those that have no leg get one there, as their home.

        Returns, int32 and in order, those for which that is not all, and which are left as they were: who has a leg
        elsewhere, or is carried by that very wire.
        """
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        check_link(link)
        for i in range(ids.count):
            row = 2 * <int64_t>ids.at[i]
            self.marks[i] = self.links[row + 1] != NO_LINK or (self.links[row] != NO_LINK and self.links[row] != link)
            self.marks[i] |= self.widths[row] >= 0
            if not self.marks[i]:
                self.links[row] = <int16_t>link
                self.turns[row] = when
        return self.picked(given, ids)

    def turn(self, int link, streams, int64_t when) -> bool:
        """These came into the link's target, or left it, at that time; whether the wire there carries some of them."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        cdef bint carries = False
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                self.turns[row] = when
                carries |= self.widths[row] >= 0
        return carries

    def turned_since(self, int link, streams, int64_t least) -> np.ndarray:
        """When each came into the link's target or left it, int64, at least `least`."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object times = new_column(ids.count, cnp.NPY_INT64)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            times_of(times)[i] = max(least, self.turns[row]) if row >= 0 else least
        return times

    def first_turned(self, int link, streams, int64_t most) -> int:
        """The earliest time at which one of these came into the link's target or left it, at most `most`."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                most = min(most, self.turns[row])
        return most

    def put_in_force(self, int link, streams, widths) -> None:
        """The wire of the link carries these, as wide as said (int32, one for each)."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef object wide = int32_vector(widths, "widths")
        cdef Py_ssize_t i
        cdef int64_t row
        if cnp.PyArray_DIM(<cnp.ndarray>wide, 0) != ids.count:
            raise ValueError("one width for each stream")
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                self.widths[row] = ids_of(wide)[i]

    def put_asked(self, int link, streams, int32_t request) -> None:
        """A request of the link added these: nothing speaks for them there yet."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                self.requests[row] = request
                self.proofs[row] = 0

    def put_left(self, int link, streams, int64_t when) -> None:
        """These left the wire of the link."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                self.widths[row] = NOT_CARRIED
                self.departures[row] = when

    def put_off(self, int link, streams) -> None:
        """The wire of the link does not carry these, and nothing speaks for them there; when they left is not noted."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            if row >= 0:
                self.widths[row] = NOT_CARRIED
                self.proofs[row] = 0

    def put_evidence(self, streams, uint8_t flags=0) -> None:
        """What speaks for these, on both legs of each."""
        cdef Ids ids
        cdef object _given = self.checked(streams, &ids)
        cdef Py_ssize_t i
        for i in range(ids.count):
            self.proofs[2 * <int64_t>ids.at[i]] = self.proofs[2 * <int64_t>ids.at[i] + 1] = flags

    def late(self, int link, streams, int64_t since) -> tuple:
        """(those that left the wire of the link since then, the others), int32, in the order given."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            self.marks[i] = row >= 0 and self.departures[row] > 0 and self.departures[row] >= since
        return self.parted(given, ids)

    def mute(self, int link, streams, int32_t request) -> np.ndarray:
        """Those on `link` that were carried over by a request and have not been heard after it, int32."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            self.marks[i] = row >= 0 and self.answers[row] < request and self.requests[row] != request
        return self.picked(given, ids)

    def heard(self, int link, streams, int32_t carries_all, uint8_t flags) -> tuple:
        """Data came on `link` for these: (those it carries, in order; the requests it answers, ascending).

        What answers is the stream's own request, or a later one that stated all, `carries_all`; it is noted, and
        `flags` speak for the stream from now on.
        """
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int32_t asked, last = -1
        cdef int64_t row
        cdef set requests = set()
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            self.marks[i] = row >= 0 and self.widths[row] >= 0
            if not self.marks[i]:
                continue
            asked = max(self.requests[row], carries_all)
            self.answers[row] = asked
            self.proofs[row] |= flags
            if asked != last:
                last = asked
                requests.add(asked)
        return self.picked(given, ids), sorted(requests)

    def pending(self, int link, streams, uint8_t proof) -> np.ndarray:
        """Those that the wire of `link` carries and for which none of the flags in `proof` speaks there, int32."""
        cdef Ids ids
        cdef object given = self.marked(streams, &ids)
        cdef Py_ssize_t i
        cdef int64_t row
        for i in range(ids.count):
            row = row_on(self.links, link, ids.at[i])
            self.marks[i] = row >= 0 and self.widths[row] >= 0 and not self.proofs[row] & proof
        return self.picked(given, ids)
