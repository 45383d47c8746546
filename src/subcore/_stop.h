/* StopIteration with a value, at the least cost: what Python 3.12 and later take the result of `await` from. */
#ifndef SUBCORE_STOP_H
#define SUBCORE_STOP_H

#include <Python.h>

/* Leave StopIteration(item) set. `kept` (owned, NULL at first) is the one raised last time, and is raised again where
 * nobody else has it: to make one costs more than all else of a step. It holds the item until it is emptied. */
static inline void subcore_stop(PyObject **kept, PyObject *item) {
#if PY_VERSION_HEX >= 0x030C0000
    PyStopIterationObject *stop = (PyStopIterationObject *)*kept;
    if (stop == NULL || Py_REFCNT(stop) != 1) {
        PyObject *made = PyObject_CallNoArgs(PyExc_StopIteration);
        if (made == NULL) {
            return;
        }
        Py_XSETREF(*kept, made);
        stop = (PyStopIterationObject *)made;
    }
    Py_CLEAR(stop->traceback);
    Py_CLEAR(stop->context);
    Py_XSETREF(stop->value, Py_NewRef(item));
    PyErr_SetRaisedException(Py_NewRef((PyObject *)stop));
#else
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, item);
    (void)kept;
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
#endif
}

/* Let go of the item. */
static inline void subcore_empty_stop(PyObject *kept) {
    if (kept != NULL && Py_REFCNT(kept) == 1) {
        Py_CLEAR(((PyStopIterationObject *)kept)->value);
    }
}

#endif
