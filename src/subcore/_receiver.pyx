"""What takes the payloads of links."""

from libc.stdint cimport int32_t, int64_t


cdef class Receiver:
    """Base class. A Python subclass overrides `on_message`; an exception in it is unraisable, not the link's end."""

    cdef void on_payload(self, int32_t link, const char* data, Py_ssize_t size, int64_t receive_time_ns,
                         int64_t now_ns) noexcept:
        try:
            self.on_message(link, data[:size], receive_time_ns, now_ns)
        except (KeyboardInterrupt, SystemExit) as error:
            self.fatal = error

    cdef object take_fatal(self):
        fatal, self.fatal = self.fatal, None
        return fatal

    def on_message(self, link, payload, receive_time_ns, now_ns):
        """One whole message of a link as bytes; times in nanoseconds, since 1970 UTC and on the monotonic clock."""
        raise NotImplementedError
