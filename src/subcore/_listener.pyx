"""Glue to picows: frames become whole messages, each with the time it was received.

picows hands over whatever the peer sent, goes on with the rest of a read after the connection was ended in the middle
of it, and loses that rest if a BaseException escapes. So the judgement, the end and the exceptions are kept here.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy
from picows.picows cimport WSFrame, WSListener, WSMsgType, WSTransport

import picows

from subcore._receiver cimport Receiver

PICOWS_FROM = (2, 3, 1)
PICOWS_BELOW = (2, 4)


def check_picows(version):
    """ImportError unless this picows is one that the struct layouts compiled in here belong to."""
    numbers = tuple([int(part) if part.isdigit() else 0 for part in version.split(".")[:3]])
    if not PICOWS_FROM <= numbers < PICOWS_BELOW:
        raise ImportError(
            f"subcore needs picows >=2.3.1,<2.4, but {version} is installed (another version's memory layout would "
            f"crash the process): pip install 'picows>=2.3.1,<2.4'"
        )


check_picows(picows.__version__)

cdef extern from "_clock.h" nogil:
    ctypedef int clockid_t
    clockid_t CLOCK_REALTIME
    clockid_t CLOCK_MONOTONIC
    void subcore_find_clock() noexcept
    int64_t subcore_time_ns(clockid_t clock) noexcept

subcore_find_clock()

cdef enum:
    PROTOCOL_ERROR = 1002
    NO_CODE = 1005
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    KEPT_ROOM = 65536             # bytes of assembly that a finished message leaves behind
    PING_BYTES = 8

cdef const char* NOTHING = ""

DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
DEFAULT_MAX_FRAGMENTS = 1024


def ping_payload():
    """What to send in a ping so that its pong tells the round trip: the monotonic time, 8 bytes."""
    cdef int64_t now = subcore_time_ns(CLOCK_MONOTONIC)
    return (<char*>&now)[:PING_BYTES]


cdef class FeedListener(WSListener):
    """Takes one connection's frames; whole data messages, text or binary, go to `receiver` as of `link`.

    Plain callables, each optional, are told the rest, on the loop's thread: `on_connected()`,
    `on_disconnected(reason)`, `on_close(code, reason)` for a close frame (1005 = it had no code; nobody has answered
    it), `on_fault(code, reason)` when the peer broke the protocol (close with `code`), `on_pong(rtt_ns)` (-1: not of
    our ping), `on_fatal(exception)` for KeyboardInterrupt and SystemExit, to be raised outside picows. After a close
    frame, a fault or `stop()` nothing is handed on; frames that still come are counted.
    """

    def __init__(self, Receiver receiver not None, int32_t link, *, on_connected=None, on_disconnected=None,
                 on_close=None, on_fault=None, on_pong=None, on_fatal=None,
                 max_message_bytes=DEFAULT_MAX_MESSAGE_BYTES, max_fragments=DEFAULT_MAX_FRAGMENTS):
        self.receiver = receiver
        self.link = link
        self.on_connected = on_connected
        self.on_disconnected = on_disconnected
        self.on_close = on_close
        self.on_fault = on_fault
        self.on_pong = on_pong
        self.on_fatal = on_fatal
        self.max_message_bytes = max_message_bytes
        self.max_fragments = max_fragments
        self.end_reason = ""

    def __dealloc__(self):
        PyMem_Free(self.message)

    def stop(self, str reason="stopped"):
        """Hand nothing on from now on, whatever the read under way still brings. Idempotent."""
        if not self.stopped:
            self.stopped = True
            self.end_reason = reason
            self.drop_message()

    @property
    def nbytes(self):
        """Bytes held for a message whose fragments are still coming."""
        return self.message_room

    # --- what picows calls; nothing may escape

    cpdef on_ws_connected(self, WSTransport transport):
        self.tell(self.on_connected, ())

    cpdef on_ws_disconnected(self, WSTransport transport):
        cdef str reason = self.end_reason or describe_end(transport)
        self.stop(reason)
        self.tell(self.on_disconnected, (reason,))

    cpdef pause_writing(self):
        self.writing_paused = True

    cpdef resume_writing(self):
        self.writing_paused = False

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int64_t receive_time_ns = subcore_time_ns(CLOCK_REALTIME)
        if self.frames_now == 0:
            self.clock_offset = subcore_time_ns(CLOCK_MONOTONIC) - receive_time_ns
        self.frames_now += 1
        if self.frames_now > self.most_frames:
            self.most_frames = self.frames_now
        if frame.last_in_buffer:
            self.frames_now = 0
        if self.stopped:
            self.late_frames += 1
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.fault(PROTOCOL_ERROR, "a frame has reserved bits set, which no agreed extension uses")
        elif frame.msg_type == WSMsgType.BINARY or frame.msg_type == WSMsgType.TEXT:
            if frame.fin and self.fragments == 0:
                self.frames += 1
                self.bytes += <size_t>frame.payload_size
                self.last_receive_ns = receive_time_ns + self.clock_offset
                self.hand_on(frame.payload_ptr, frame.payload_size, receive_time_ns)
            else:
                self.data_frame(frame, receive_time_ns)
        elif frame.msg_type == WSMsgType.CONTINUATION:
            self.data_frame(frame, receive_time_ns)
        elif frame.msg_type == WSMsgType.PONG:
            self.pong_frame(frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            self.close_frame(frame)

    # --- messages in fragments

    cdef void data_frame(self, WSFrame frame, int64_t receive_time_ns) noexcept:
        """A frame that is not a whole message by itself."""
        self.frames += 1
        self.bytes += <size_t>frame.payload_size
        self.last_receive_ns = receive_time_ns + self.clock_offset
        if frame.msg_type == WSMsgType.CONTINUATION and self.fragments == 0:
            self.fault(PROTOCOL_ERROR, "a continuation frame came without a message to continue")
        elif frame.msg_type != WSMsgType.CONTINUATION and self.fragments:
            self.fault(PROTOCOL_ERROR, "a new message began before the last one was complete")
        elif self.fragments == self.max_fragments:
            self.fault(TOO_BIG, f"a message came in more than {self.max_fragments} fragments")
        elif frame.payload_size > self.max_message_bytes - self.message_size:
            self.fault(TOO_BIG, f"a message is longer than {self.max_message_bytes} bytes")
        elif not self.append(frame.payload_ptr, frame.payload_size):
            self.fault(TOO_BIG, f"no memory for a message of {self.message_size + frame.payload_size} bytes")
        else:
            self.fragments += 1
            if frame.fin:
                self.add_last(receive_time_ns)

    cdef void add_last(self, int64_t receive_time_ns) noexcept:
        """The message is whole, and was received now. It is taken out first: a handler may stop this listener."""
        cdef char* message = self.message
        cdef Py_ssize_t size = self.message_size
        cdef Py_ssize_t room = self.message_room
        self.message = NULL
        self.drop_message()
        self.hand_on(NOTHING if message == NULL else <const char*>message, size, receive_time_ns)
        if room <= KEPT_ROOM and self.message == NULL and not self.stopped:
            self.message, self.message_room = message, room
        else:
            PyMem_Free(message)

    cdef bint append(self, const char* data, Py_ssize_t size) noexcept:
        cdef Py_ssize_t room = self.message_size + size
        cdef char* message
        if room > self.message_room:
            room = min(room + room // 2, self.max_message_bytes)
            message = <char*>PyMem_Realloc(self.message, <size_t>max(room, 1))
            if message == NULL:
                return False
            self.message, self.message_room = message, room
        if size:
            memcpy(self.message + self.message_size, data, <size_t>size)
        self.message_size += size
        return True

    cdef void drop_message(self) noexcept:
        PyMem_Free(self.message)
        self.message = NULL
        self.message_size = self.message_room = self.fragments = 0

    cdef void hand_on(self, const char* data, Py_ssize_t size, int64_t receive_time_ns) noexcept:
        self.messages += 1
        self.receiver.on_payload(self.link, data, size, receive_time_ns, receive_time_ns + self.clock_offset)
        if self.receiver.fatal is not None:
            self.be_fatal(self.receiver.take_fatal())

    # --- the protocol's own frames

    cdef void pong_frame(self, WSFrame frame) noexcept:
        cdef int64_t sent, now = subcore_time_ns(CLOCK_MONOTONIC)
        cdef int64_t rtt = -1
        if frame.payload_size == PING_BYTES:
            memcpy(&sent, frame.payload_ptr, PING_BYTES)
            if 0 < sent <= now:
                rtt = now - sent
        self.tell(self.on_pong, (rtt,))

    cdef void close_frame(self, WSFrame frame) noexcept:
        cdef const uint8_t* data = <const uint8_t*>frame.payload_ptr
        cdef int code = NO_CODE
        cdef str reason = ""
        if frame.payload_size == 1:
            self.fault(PROTOCOL_ERROR, "a close frame has half a code")
            return
        if frame.payload_size >= 2:
            code = data[0] << 8 | data[1]
            if not is_close_code(code):
                self.fault(PROTOCOL_ERROR, f"a close frame has the code {code}, which may not be sent")
                return
            try:
                reason = PyUnicode_DecodeUTF8(frame.payload_ptr + 2, frame.payload_size - 2, NULL)
            except UnicodeDecodeError:
                self.fault(INVALID_TEXT, "the reason in a close frame is not UTF-8")
                return
        self.stop(f"the venue closed the connection ({code}{' ' if reason else ''}{reason})")
        self.tell(self.on_close, (code, reason))

    cdef void fault(self, int code, str reason) noexcept:
        self.stop(f"the venue broke the WebSocket protocol: {reason}")
        self.tell(self.on_fault, (code, self.end_reason))

    cdef void tell(self, object callback, tuple arguments) noexcept:
        """An exception of a callback is unraisable; one that asks the process to end is handed on."""
        if callback is None:
            return
        try:
            callback(*arguments)
        except (KeyboardInterrupt, SystemExit) as error:
            self.be_fatal(error)

    cdef void be_fatal(self, object error) noexcept:
        """With nobody to hand it to it is unraisable: still seen, and picows still goes on."""
        if self.on_fatal is None:
            raise error
        self.on_fatal(error)


cdef bint is_close_code(int code) noexcept nogil:
    """RFC 6455, section 7.4: codes that an endpoint may send."""
    return 1000 <= code <= 1014 and not 1004 <= code <= 1006 or 3000 <= code <= 4999


cdef str describe_end(WSTransport transport):
    """Why picows itself ended the connection, if it did."""
    if transport is not None and transport.close_handshake is not None:
        sent = transport.close_handshake.sent
        if sent is not None and sent.code in (PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG):
            return f"the venue broke the WebSocket protocol: {sent.reason or sent.code}"
    return "the connection ended without a close frame"
