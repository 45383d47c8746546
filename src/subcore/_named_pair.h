/* Named tuples made without calling Python: Cython would call their Python-level __new__. */
#ifndef SUBCORE_NAMED_PAIR_H
#define SUBCORE_NAMED_PAIR_H

#include <Python.h>

/* A named tuple of two floats: what its Python-level __new__ does, at half the cost. */
static PyObject *subcore_named_pair(PyObject *type, double first, double second) {
    PyObject *made = NULL;
    PyObject *pair = PyTuple_New(2);
    PyObject *arguments = PyTuple_New(1);
    PyObject *x = PyFloat_FromDouble(first);
    PyObject *y = PyFloat_FromDouble(second);
    if (pair != NULL && arguments != NULL && x != NULL && y != NULL) {
        PyTuple_SET_ITEM(pair, 0, x);
        PyTuple_SET_ITEM(pair, 1, y);
        PyTuple_SET_ITEM(arguments, 0, pair);
        made = PyTuple_Type.tp_new((PyTypeObject *)type, arguments, NULL);
        Py_DECREF(arguments);
        return made;
    }
    Py_XDECREF(pair);
    Py_XDECREF(arguments);
    Py_XDECREF(x);
    Py_XDECREF(y);
    return NULL;
}

#endif
