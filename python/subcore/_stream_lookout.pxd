# cython: language_level=3
"""C face of looking ahead to all that delivering a frame of a stream touches."""

from libc.stdint cimport int32_t, uint32_t

from subcore._ledger cimport Ledger
from subcore._lookout cimport Lookout
from subcore._meter cimport Meter
from subcore._route cimport Router

cdef class StreamLookout(Lookout):
    cdef Ledger ledger
    cdef Meter meter
    cdef Router router
    cdef uint32_t stream_tag
    cdef int32_t stream           # the likely one, from step 3 on; whoever reads it sets it to -1 before each record

    # Once the stream is known to be this one: its last event, which this frame's may be written over.
    cdef void expect_event(self) noexcept nogil
