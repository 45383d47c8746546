# cython: language_level=3
"""C face of the delays from receiving an event to handing it over, by component."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    DELAY_STEPS = 32              # of an octave: half of one is at most 1/64 of its values
    DELAY_OCTAVES = 33            # the first is all below 1,024 ns; the last ends at 2^42 ns, 73 min
    DELAY_SHIFT = 10
    TAKEN_EVERY = 8               # events taken, on average, of which one is measured

cdef struct DelayCounts:
    uint64_t count
    uint64_t sum_ns
    int64_t worst_ns
    uint64_t* octaves[DELAY_OCTAVES]      # each made with its first value

cdef struct DelayRow:
    DelayCounts life
    DelayCounts newer             # life, as it was at the last turn, and at the one before
    DelayCounts older

cdef class DelayTable:
    cdef DelayRow** rows          # each made with its first value
    cdef int32_t room
    cdef object read
    cdef uint32_t until           # events taken until one is measured
    cdef uint32_t chance
    cdef public uint32_t every    # events taken that one measured stands for
    cdef readonly Py_ssize_t nbytes

    cdef int64_t wall_ns(self) noexcept
    # A delay that stands for `weight` events. Without memory it is not counted; one below 0 counts as 0.
    cdef void add(self, int32_t component, int64_t ns, uint32_t weight) noexcept
    # An event is handed over now; events are. Other things than events are passed over.
    cdef void took(self, int32_t component, object event) noexcept
    cdef void took_list(self, int32_t component, list events) noexcept

    cdef uint32_t gap(self) noexcept
    cdef void note(self, int32_t component, int64_t now_ns, object item) noexcept
    cdef DelayRow* row_of(self, int32_t component) noexcept
    cdef bint copy_counts(self, DelayCounts* into, const DelayCounts* source) noexcept
    cdef void free_counts(self, DelayCounts* counts) noexcept
    cpdef forget(self, int32_t component)
