# cython: language_level=3
"""Sliding logs of sends, and when rolling windows have room for another.

Each log keeps its latest sends: when each left, and by when it had certainly arrived. A window of `amount` in so much
time has room again when the amount-th last send left long enough ago by the planned length and had arrived long enough
ago by the venue's. Times are monotonic nanoseconds. A call costs O(windows); `used`, and the least even gap after each
send, O(sends kept). Not safe to use from two threads at once: whoever shares a log has a lock.
"""

cimport cython
from cpython.mem cimport PyMem_Free
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove

from subcore._arrays cimport new_block

cdef enum:
    NOT_KNOWN = -1
    WINDOWS_AT_MOST = 8
    SENDS_AT_MOST = 1 << 20


@cython.final
cdef class SendLog:
    """Times of the latest sends, oldest first. `under_way`: so long a send may take to arrive, if no answer tells."""

    cdef int64_t* sent
    cdef int64_t* arrived
    cdef Py_ssize_t count, keep, settled     # sends before `settled` have their final time of arrival
    cdef int64_t under_way
    cdef int64_t even                        # the gap that can be kept up, once somebody asked
    cdef int64_t even_usable, even_planned_ns    # ... of which window: rules that differ may share a log

    def __cinit__(self, int64_t under_way):
        self.under_way, self.even = under_way, NOT_KNOWN
        self.make_room(1)

    def __dealloc__(self):
        PyMem_Free(self.sent)
        PyMem_Free(self.arrived)

    def __len__(self) -> int:
        return self.count

    cdef int make_room(self, Py_ssize_t keep) except -1:
        if keep > SENDS_AT_MOST:
            raise MemoryError(f"no memory for {keep} sends: at most {SENDS_AT_MOST} are remembered")
        cdef size_t size = 2 * keep * sizeof(int64_t)
        cdef int64_t* sent = <int64_t*>new_block(size, "times of sends")
        cdef int64_t* arrived
        try:
            arrived = <int64_t*>new_block(size, "times of sends")
        except MemoryError:
            PyMem_Free(sent)
            raise
        if self.count:
            memcpy(sent, self.sent, self.count * sizeof(int64_t))
            memcpy(arrived, self.arrived, self.count * sizeof(int64_t))
        PyMem_Free(self.sent)
        PyMem_Free(self.arrived)
        self.sent, self.arrived, self.keep = sent, arrived, keep
        return 0

    def reserve(self, Py_ssize_t amount) -> None:
        """Remember at least the last `amount` sends. MemoryError: as before."""
        if amount > self.keep:
            self.make_room(amount)

    cdef void append(self, int64_t now) noexcept:
        """A send leaves now."""
        cdef Py_ssize_t cut
        if self.count == 2 * self.keep:
            cut = self.count - self.keep
            memmove(self.sent, self.sent + cut, self.keep * sizeof(int64_t))
            memmove(self.arrived, self.arrived + cut, self.keep * sizeof(int64_t))
            self.count, self.settled = self.keep, max(<Py_ssize_t>0, self.settled - cut)
        self.sent[self.count], self.arrived[self.count] = now, now + self.under_way
        self.count += 1
        self.even = NOT_KNOWN

    def clear(self) -> None:
        """Forget every send."""
        self.count = self.settled = 0
        self.even = NOT_KNOWN

    def settle(self, int64_t sent_at, int64_t now) -> None:
        """One that left at `sent_at` has arrived by now, and with it all that left before; what left later may still be
        under way, and so may others of that moment."""
        cdef Py_ssize_t end = self.settled, i
        while end < self.count and self.sent[end] < sent_at:
            end += 1
        if end < self.count and self.sent[end] == sent_at:
            end += 1
        for i in range(self.settled, end):
            self.arrived[i] = min(self.arrived[i], now)
        self.settled = end


cdef struct Rolling:
    int64_t amount
    int64_t usable               # by ordinary sends
    int64_t wire_ns
    int64_t planned_ns


@cython.final
cdef class Rule:
    """One limit, ready to be judged against a log.

    `windows`: 1 to 8 of (amount, usable by ordinary sends, length, planned length). `gap`: least distance of two sends.
    `burst`: so many ordinary ones may follow each other freely, 0 = any number; then they are spread evenly over the
    longest window, until a burst is `calm` times older than spreading it would have taken. ValueError: no such rule.
    """

    cdef Rolling windows[WINDOWS_AT_MOST]
    cdef int count, longest
    cdef int64_t gap_ns, even_ns, calm_ns
    cdef Py_ssize_t burst
    cdef readonly Py_ssize_t amount          # sends that a log must keep

    def __cinit__(self, windows, *, int64_t gap, Py_ssize_t burst, int64_t calm):
        cdef Rolling* longest
        windows = tuple(windows)
        if gap < 0 or burst < 0 or calm < 0:
            raise ValueError(f"no limit: gap {gap}, burst {burst} and calm {calm} must be at least 0")
        if not 1 <= len(windows) <= WINDOWS_AT_MOST:
            raise ValueError(f"a limit has 1 to {WINDOWS_AT_MOST} windows, not {len(windows)}")
        for amount, usable, wire_ns, planned_ns in windows:
            if not 1 <= usable <= amount or wire_ns < 1 or planned_ns < 1:
                raise ValueError(f"no window: {usable} of {amount} in {wire_ns} ns, planned over {planned_ns}")
            self.windows[self.count] = Rolling(amount, usable, wire_ns, planned_ns)
            if planned_ns > self.windows[self.longest].planned_ns:
                self.longest = self.count
            self.amount = max(self.amount, <Py_ssize_t>amount)
            self.count += 1
        longest = &self.windows[self.longest]
        self.gap_ns, self.burst = gap, burst
        self.even_ns = (longest.planned_ns + longest.usable - 1) // longest.usable
        self.calm_ns = calm * burst * self.even_ns

    cdef int64_t free_from(self, SendLog log, int64_t now, bint repair) noexcept:
        """The first moment, at least `now`, at which one more send keeps every window."""
        cdef int64_t when, amount
        cdef const Rolling* window
        cdef int i
        if not log.count:
            return now
        when = log.sent[log.count - 1] + self.gap_ns
        for i in range(self.count):
            window = &self.windows[i]
            amount = window.amount if repair else window.usable
            if log.count >= amount:
                when = max(when, log.sent[log.count - amount] + window.planned_ns,
                           log.arrived[log.count - amount] + window.wire_ns)
        if self.burst and not repair:
            when = max(when, self.spread(log, now))
        return max(when, now)

    cdef int64_t spread(self, SendLog log, int64_t now) noexcept:
        """Not before this: so evenly that no later send has to wait longer, unless a burst is due."""
        cdef int64_t calm
        cdef const Rolling* longest = &self.windows[self.longest]
        if log.count < self.burst:
            return now
        calm = log.sent[log.count - self.burst] + self.calm_ns
        if calm <= now:
            return now
        if (
            log.even == NOT_KNOWN
            or log.even_usable != longest.usable
            or log.even_planned_ns != longest.planned_ns
        ):
            log.even = self.even_gap(log)
            log.even_usable, log.even_planned_ns = longest.usable, longest.planned_ns
        return min(calm, log.sent[log.count - 1] + log.even)

    cdef int64_t even_gap(self, SendLog log) noexcept:
        """The least gap that can be kept up: what is in the longest window makes room only as it leaves it."""
        cdef const Rolling* window = &self.windows[self.longest]
        cdef int64_t last = log.sent[log.count - 1], gap = self.even_ns, nth
        cdef Py_ssize_t first = log.count, i
        while first and log.sent[first - 1] > last - window.planned_ns:
            first -= 1
        nth = window.usable - (log.count - first)
        for i in range(first, log.count):
            nth += 1
            if nth > 0:
                gap = max(gap, (log.sent[i] + window.planned_ns - last) // nth)
        return gap

    def used(self, SendLog log not None, int64_t now) -> list:
        """For each window, the sends that are in it: one more is allowed while they are fewer than its amount."""
        cdef list counts = []
        cdef const Rolling* window
        cdef Py_ssize_t i, found
        cdef int k
        for k in range(self.count):
            window, found = &self.windows[k], 0
            for i in range(log.count):
                found += log.sent[i] + window.planned_ns > now or log.arrived[i] + window.wire_ns > now
            counts.append(found)
        return counts


def next_allowed(list uses not None, bint narrowed, int64_t now, bint repair) -> int:
    """The first moment, at least `now`, at which every use has room for one more send.

    A use is (Rule, SendLog, whether it counts only while `narrowed`); `repair`: may take what is kept for repairs.
    """
    cdef int64_t when = now
    for rule, log, only_narrowed in uses:
        if narrowed or not only_narrowed:
            when = max(when, (<Rule?>rule).free_from(<SendLog?>log, now, repair))
    return when


def note(list uses not None, int64_t now) -> None:
    """One leaves now: it is in every log of `uses`, narrowed or not, and once in one that several of them share."""
    cdef list noted = []
    for _, log, _ in uses:
        if log not in noted:
            (<SendLog?>log).append(now)
            noted.append(log)
