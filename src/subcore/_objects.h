/* What Cython has no words for: a freelist for final classes that have a base class (its own serves base classes
 * only), and properties made from a table instead of one function each.
 *
 * The freelist is for types without garbage collection, and is used under the GIL.
 */
#ifndef SUBCORE_OBJECTS_H
#define SUBCORE_OBJECTS_H

#include <Python.h>
#include <string.h>

#define SUBCORE_POOL_STEP 32  /* sizes of objects are rounded up to it */
#define SUBCORE_POOL_COUNT 32
#define SUBCORE_POOL_ROOM 64  /* objects kept of one size */

typedef struct {
    int count;
    void *items[SUBCORE_POOL_ROOM];
} subcore_pool;

static subcore_pool subcore_pools[SUBCORE_POOL_COUNT];

static inline Py_ssize_t subcore_pool_of(PyTypeObject *type) {
    return (type->tp_basicsize + SUBCORE_POOL_STEP - 1) / SUBCORE_POOL_STEP;
}

static PyObject *subcore_pooled_alloc(PyTypeObject *type, Py_ssize_t items) {
    Py_ssize_t step = subcore_pool_of(type);
    subcore_pool *pool = &subcore_pools[step];
    void *made;
    (void)items;
    if (pool->count) {
        made = pool->items[--pool->count];
    } else {
        made = PyObject_Malloc((size_t)(step * SUBCORE_POOL_STEP));
        if (made == NULL) {
            return PyErr_NoMemory();
        }
    }
    memset(made, 0, (size_t)type->tp_basicsize);
    return PyObject_Init((PyObject *)made, type);
}

static void subcore_pooled_free(void *made) {
    subcore_pool *pool = &subcore_pools[subcore_pool_of(Py_TYPE((PyObject *)made))];
    if (pool->count < SUBCORE_POOL_ROOM) {
        pool->items[pool->count++] = made;
    } else {
        PyObject_Free(made);
    }
}

/* Let a type without subclasses keep dropped objects for reuse. Types too large for it stay as they are. */
static int subcore_pool_type(PyObject *type) {
    PyTypeObject *pooled = (PyTypeObject *)type;
    if (PyType_IS_GC(pooled) || pooled->tp_itemsize != 0) {
        PyErr_Format(PyExc_SystemError, "%s cannot be pooled", pooled->tp_name);
        return -1;
    }
    if (subcore_pool_of(pooled) < SUBCORE_POOL_COUNT) {
        pooled->tp_alloc = subcore_pooled_alloc;
        pooled->tp_free = subcore_pooled_free;
    }
    return 0;
}

/* A read-only property of an extension type; `definition` and what it points to must live as long as the type. */
static int subcore_add_property(PyObject *type, PyGetSetDef *definition, const char *name, getter get, const char *doc,
                                const void *closure) {
    PyObject *property;
    int failed;
    definition->name = name;
    definition->get = get;
    definition->set = NULL;
    definition->doc = doc;
    definition->closure = (void *)closure;
    property = PyDescr_NewGetSet((PyTypeObject *)type, definition);
    if (property == NULL) {
        return -1;
    }
    failed = PyDict_SetItemString(((PyTypeObject *)type)->tp_dict, name, property);
    Py_DECREF(property);
    PyType_Modified((PyTypeObject *)type);
    return failed;
}

#endif
