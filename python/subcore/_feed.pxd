# cython: language_level=3
"""C face of the hot path: bytes -> scan -> meter -> route."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from subcore._frame cimport Payload
from subcore._intern cimport Interner
from subcore._ledger cimport Ledger
from subcore._meter cimport Meter
from subcore._receiver cimport Receiver
from subcore._route cimport Router
from subcore._scan cimport Scanner
from subcore._stream_lookout cimport StreamLookout

cdef class Feed(Receiver):
    cdef readonly str venue
    cdef readonly Scanner scanner
    cdef readonly Interner interner
    cdef readonly Ledger ledger
    cdef readonly Meter meter
    cdef readonly Router router
    cdef readonly uint64_t frames
    cdef readonly uint64_t bytes
    cdef readonly uint64_t events             # accepted records, whoever wanted them
    cdef readonly uint64_t controls
    cdef readonly uint64_t repeats            # snapshots that said nothing new; not delivered
    cdef readonly uint64_t duplicates         # frames of streams with two carriers that the other one had brought
    cdef readonly uint64_t unknown_symbols    # of records
    cdef readonly uint64_t unknown_streams    # late frames: nobody wants that stream any more
    cdef readonly uint64_t format_mismatches  # records in another format than the one asked for
    cdef readonly uint64_t bad                # frames refused, whole or from some element on
    cdef readonly uint64_t deferred           # frames that came while one was being delivered
    cdef readonly uint64_t foreseen           # records whose stream was known before their frame was scanned
    cdef public int32_t expected_format       # place in the schema's formats, -1 = any
    cdef public uint64_t whole_channels       # bit n: channel n has a stream of all symbols beside those of one
    cdef public object recorder
    cdef public object on_control
    cdef public object on_evidence
    cdef public object on_gap
    cdef public object on_fatal
    cdef StreamLookout lookout
    cdef tuple channels
    cdef object sample                        # deque of the last BadFrames
    cdef object waiting                       # deque of deferred frames
    cdef bint busy
    cdef bint has_deferred
    cdef bint proved

    cdef void take(self, int32_t link, const Payload* payload, int64_t receive_time_ns) noexcept
    cdef void take_record(self, int32_t link, const Payload* payload, Py_ssize_t size) noexcept
    cdef void take_for_whole(self, int32_t link, const Payload* payload) noexcept
    cdef int32_t stream_of_record(self) noexcept nogil
    cdef void take_control(self, int32_t link, const Payload* payload) noexcept
    cdef void keep_bad(self, int32_t link, const Payload* payload, int64_t receive_time_ns, int state) noexcept
    cdef void defer(self, int32_t link, const char* data, Py_ssize_t size, int64_t receive_time_ns) noexcept
    cdef void finish(self) noexcept
    cdef void end_alone(self) noexcept
    cdef void take_deferred(self) noexcept
    cdef void tell(self, object callback, tuple arguments) noexcept
