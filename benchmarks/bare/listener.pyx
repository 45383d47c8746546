# cython: language_level=3, boundscheck=False, wraparound=False
"""The least a client can do with a frame: count it and its bytes."""

from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport


cdef class CountingListener(WSListener):
    """Calls `done()` once `expected` binary frames have come."""

    cdef readonly Py_ssize_t frames, size
    cdef Py_ssize_t expected
    cdef object done

    def __init__(self, Py_ssize_t expected, done):
        self.expected = expected
        self.done = done

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        if frame.msg_type != WSMsgType.BINARY:
            return
        self.frames += 1
        self.size += frame.payload_size
        if self.frames == self.expected:
            self.done()
