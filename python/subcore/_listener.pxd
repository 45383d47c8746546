# cython: language_level=3
"""C face of the listener that turns picows frames into whole messages."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from picows.picows cimport WSFrame, WSListener, WSTransport

from subcore._receiver cimport Receiver

cdef class FeedListener(WSListener):
    cdef Receiver receiver
    cdef readonly int32_t link
    cdef readonly Py_ssize_t max_message_bytes
    cdef readonly Py_ssize_t max_fragments
    cdef readonly uint64_t frames             # data frames, control frames of the protocol not counted
    cdef readonly uint64_t messages           # whole messages handed on
    cdef readonly uint64_t bytes              # payload of the data frames
    cdef readonly uint64_t late_frames        # came after the end: the rest of the read that brought it
    cdef readonly uint64_t most_frames        # the most frames that one event-loop callback handled
    cdef readonly int64_t last_receive_ns     # of the last data frame, monotonic; 0 = none yet
    cdef readonly bint stopped
    cdef readonly bint writing_paused         # the peer reads slower than we write
    cdef readonly str end_reason              # why it stopped; "" while it runs
    cdef object on_connected
    cdef object on_disconnected
    cdef object on_close
    cdef object on_fault
    cdef object on_pong
    cdef object on_fatal
    cdef uint64_t frames_now                  # of the callback under way
    cdef int64_t clock_offset                 # monotonic - real time, as of the callback's first frame
    cdef char* message                        # fragments so far
    cdef Py_ssize_t message_size
    cdef Py_ssize_t message_room
    cdef Py_ssize_t fragments                 # 0 = no message is under way

    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
    cpdef pause_writing(self)
    cpdef resume_writing(self)

    cdef void data_frame(self, WSFrame frame, int64_t receive_time_ns) noexcept
    cdef void add_last(self, int64_t receive_time_ns) noexcept
    cdef bint append(self, const char* data, Py_ssize_t size) noexcept
    cdef void drop_message(self) noexcept
    cdef void hand_on(self, const char* data, Py_ssize_t size, int64_t receive_time_ns) noexcept
    cdef void pong_frame(self, WSFrame frame) noexcept
    cdef void close_frame(self, WSFrame frame) noexcept
    cdef void fault(self, int code, str reason) noexcept
    cdef void tell(self, object callback, tuple arguments) noexcept
    cdef void be_fatal(self, object error) noexcept
