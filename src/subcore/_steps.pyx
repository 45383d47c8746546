"""What holds the event loop outside of fan-outs: the steps of async handlers, and hooks; both are marked, steps timed.

A step is what runs between two waits of a call: time on the loop, which nobody else has meanwhile. What a call waits
for costs nobody anything, and is not counted.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t

from types import CoroutineType, GeneratorType

from subcore._calls cimport CallMark, RouteCalls

from _awaiting cimport PYGEN_RETURN, PySendResult, TypeObject, release, send_on


cdef object steps_of(object made):
    """What `await` would drive."""
    if isinstance(made, (CoroutineType, GeneratorType)):
        return made
    if not hasattr(made, "__await__"):
        raise TypeError(f"an async handler gave {type(made).__name__}, which can't be awaited")
    return made.__await__()


@cython.final
cdef class CallSteps(CallMark):
    """The calls of one async handler, one at a time: `await steps.call(handler, event)`, which gives nothing back.

    Each step is marked in the router and timed for the component, exactly, by the router's clock. Cancellation and
    exceptions are as if the handler itself was awaited. Belongs to the loop's thread. 0.1 us a step.
    """

    cdef RouteCalls router
    cdef object handler           # of a call that has not begun
    cdef object event
    cdef object steps             # of the call under way
    cdef readonly int64_t calls   # so far, the one under way included
    cdef readonly int64_t held_calls
    cdef readonly int64_t held_ns

    def __cinit__(self, RouteCalls router not None, int32_t component, names not None):
        self.router = router
        self.component = component
        self.names = names
        self.sink_id = -1
        self.is_its_own = True

    def use_sink(self, sink_id):
        """One of the sinks whose events it is called with; -1 = there is none any more."""
        self.sink_id = sink_id

    def leave(self):
        """From now on nothing is counted for the component, whose id may be another's soon."""
        self.is_its_own = False

    def let_go(self):
        """The loop could run something else: `held_calls`, calls in a row that never waited, and `held_ns`, for how
        long they ran, begin anew. A step that waits does so, too."""
        self.held_calls = self.held_ns = 0

    def call(self, handler, event):
        """One call; to be awaited at once."""
        self.handler, self.event = handler, event
        return self

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """As a coroutine's. The interpreter goes another way, see `send_quickly`."""
        cdef PyObject* result = NULL
        cdef int waits = self.step(&result)
        given = <object>result
        release(result)           # the reference is `given`'s now
        if not waits:
            raise StopIteration(given)
        return given

    def throw(self, error, *more):
        """Into the call under way, which may go on."""
        cdef CallMark before
        cdef int64_t began
        cdef bint waits = False
        self.check()
        before = self.router.swap_mark(self)
        began = self.router.clock.precise()
        try:
            if not hasattr(self.steps, "throw"):
                raise error
            given = self.steps.throw(error, *more)
            waits = True
            return given
        finally:
            self.end(before, began, waits)

    def close(self):
        """The call is given up."""
        steps, self.steps, self.handler, self.event = self.steps, None, None, None
        if hasattr(steps, "close"):
            steps.close()

    cdef int step(self, PyObject** result) except -1:
        """1: it waits, 0: it returned."""
        cdef CallMark before
        cdef int64_t began
        cdef int waits = 0
        self.check()
        before = self.router.swap_mark(self)
        began = self.router.clock.precise()
        try:
            if self.steps is None:
                self.begin()
            waits = send_on(self.steps, None, result)
        finally:
            self.end(before, began, waits)
        return waits

    cdef int check(self) except -1:
        if self.router is None:   # the garbage collector took a whole program apart
            raise RuntimeError("the manager of this call is gone")
        return 0

    cdef int begin(self) except -1:
        handler, event = self.handler, self.event
        self.handler = self.event = None
        self.calls += 1
        self.steps = steps_of(handler(event))
        return 0

    cdef int end(self, CallMark before, int64_t began, bint waits) except -1:
        cdef int64_t ns = self.router.clock.precise() - began
        self.router.mark = before
        self.router.judge_mark(self, ns)
        if waits:
            self.let_go()
        else:
            self.steps = None
            self.held_calls += 1
            self.held_ns += ns
        return 0


# The same function seen as one that leaves its exception set.
ctypedef int (*StepCall)(CallSteps, PyObject**) noexcept


cdef int step_of(CallSteps calls, PyObject** result) except -1:
    return calls.step(result)


cdef PySendResult send_quickly(PyObject* self, PyObject* value, PyObject** result) noexcept:
    """What `await` calls: no StopIteration is made."""
    return <PySendResult>(<StepCall>step_of)(<CallSteps>self, result)


cdef PyObject* next_quickly(PyObject* self) noexcept:
    """What `await` calls from Python 3.12 on."""
    cdef PyObject* given = NULL
    if send_quickly(self, NULL, &given) != PYGEN_RETURN:
        return given
    release(given)
    return NULL


(<TypeObject*>CallSteps).tp_as_async.am_send = send_quickly
(<TypeObject*>CallSteps).tp_iternext = next_quickly


@cython.final
cdef class Hook(CallMark):
    """`with Hook(router, component, names): ...` marks that a hook is called, so that it is named where it holds the
    loop. Its time is nobody's call. May stand inside a handler, a step or another hook. Raises nothing."""

    cdef RouteCalls router
    cdef CallMark before
    cdef int64_t began

    def __cinit__(self, RouteCalls router not None, int32_t component, names not None):
        self.router = router
        self.component = component
        self.names = names
        self.sink_id = -1

    def __enter__(self):
        self.before = self.router.swap_mark(self)
        self.began = self.router.clock.precise()

    def __exit__(self, *_):
        cdef int64_t ns = self.router.clock.precise() - self.began
        self.router.mark, self.before = self.before, None
        self.router.judge_mark(self, ns)
