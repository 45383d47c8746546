/* What Cython cannot say without cost: weak references across Python versions, calls whose failure is looked at later. */
#ifndef SUBCORE_CALL_H
#define SUBCORE_CALL_H

#include <Python.h>

/* A new reference to what a weak reference points to, or NULL (no exception) when it is gone. */
static inline PyObject *subcore_weak_get(PyObject *reference) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *object = NULL;
    if (PyWeakref_GetRef(reference, &object) < 0) {
        PyErr_Clear();
    }
    return object;
#else
    PyObject *object = PyWeakref_GetObject(reference);
    if (object == NULL) {
        PyErr_Clear();
        return NULL;
    }
    if (object == Py_None) {
        return NULL;
    }
    Py_INCREF(object);
    return object;
#endif
}

/* Call with one or two arguments; the spare slot in front lets bound methods be called without a copy.
 * The result is dropped. -1 with an exception set on failure. */
static inline int subcore_call_one(PyObject *callable, PyObject *argument) {
    PyObject *slots[2] = {NULL, argument};
    PyObject *result = PyObject_Vectorcall(callable, slots + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

static inline int subcore_call_two(PyObject *callable, PyObject *self, PyObject *argument) {
    PyObject *slots[3] = {NULL, self, argument};
    PyObject *result = PyObject_Vectorcall(callable, slots + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

/* Call a strategy's method for records of a kind, 1 to 6: an extension object holds its table of methods behind its
 * head, and the methods stand in it in the order of the kinds. -1 with an exception set on failure. */
static inline int subcore_call_strategy(PyObject *strategy, const void *record, unsigned kind) {
    typedef int (*method)(PyObject *, const void *);
    const method *methods = *(const method *const *)(strategy + 1);
    return kind - 1 < 6 ? methods[kind - 1](strategy, record) : 0;
}

/* -1: the exception that a call above left set. */
static inline int subcore_left_error(void) { return -1; }

#endif
