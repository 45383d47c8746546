# cython: language_level=3
"""C face of what takes the payloads of links: the feed, or a Python subclass that only listens."""

from libc.stdint cimport int32_t, int64_t

cdef class Receiver:
    # One whole message. The bytes are valid only during the call and not NUL-terminated. Both times in nanoseconds:
    # receive_time_ns since 1970 UTC, now_ns on the monotonic clock. Never raises.
    cdef void on_payload(self, int32_t link, const char* data, Py_ssize_t size, int64_t receive_time_ns,
                         int64_t now_ns) noexcept
    # KeyboardInterrupt or SystemExit that came out of what the payload set off, once; else None.
    cdef object take_fatal(self)
    cdef object fatal
