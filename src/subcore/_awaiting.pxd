# cython: language_level=3
"""Python's C face of what is awaited and iterated: slots of a type, filled by hand. No .pxd that is shipped uses it."""

from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN              # 0, as the two others are 1 and -1
        PYGEN_ERROR
        PYGEN_NEXT

    ctypedef PySendResult (*SendFunction "sendfunc")(PyObject*, PyObject*, PyObject**) noexcept

    ctypedef struct AsyncMethods "PyAsyncMethods":
        SendFunction am_send

    ctypedef PyObject* (*NextFunction "iternextfunc")(PyObject*) noexcept

    ctypedef struct TypeObject "PyTypeObject":
        AsyncMethods* tp_as_async
        NextFunction tp_iternext

    void release "Py_XDECREF"(PyObject* object) noexcept
    # One and the same: the caller's own exception goes on, or the result says that there is one.
    int send_on "PyIter_Send"(object iterator, object value, PyObject** result) except -1
    PySendResult PyIter_Send(PyObject* iterator, PyObject* value, PyObject** result) noexcept
