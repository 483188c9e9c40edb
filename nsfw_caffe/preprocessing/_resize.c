/* Pillow's bilinear resize of 8-bit RGB to 256x256, vectorised: the Python module around _resize_passes.h.

   setup.py builds it with the limited API of Python 3.11, the first that has the buffer protocol: one build is for that
   version and all later ones. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <limits.h>

#include "_resize_passes.h"

/* The structures of the Arrow C data interface (arrow.apache.org/docs/format/CDataInterface.html). */
typedef struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
} ArrowSchema;

typedef struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
} ArrowArray;

/* Fill `strip` from what `Image.__arrow_c_array__` gives: a list of four bytes for each pixel. */
static bool strip_of_arrow(PyObject *item, size_t width, Strip *strip)
{
    PyObject *schema_capsule, *array_capsule;
    if (!PyArg_ParseTuple(item, "OO:an Arrow strip", &schema_capsule, &array_capsule))
        return false;
    const ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, "arrow_schema");
    const ArrowArray *array = schema ? PyCapsule_GetPointer(array_capsule, "arrow_array") : NULL;
    if (!array)
        return false;
    if (!schema->release || !array->release || strcmp(schema->format, "+w:4") || schema->n_children != 1 ||
        strcmp(schema->children[0]->format, "C") || array->n_children != 1 || array->offset != 0 ||
        array->children[0]->n_buffers != 2 || array->children[0]->offset != 0 || array->length < 0 ||
        array->children[0]->length < array->length * PIXEL || array->length % (int64_t)width) {
        PyErr_SetString(PyExc_ValueError, "an Arrow strip must be whole rows of pixels of four bytes");
        return false;
    }
    *strip = (Strip){array->children[0]->buffers[1], (size_t)array->length / width, PIXEL, (Py_ssize_t)width * PIXEL,
                     PIXEL, 1};
    return true;
}

static bool strip_of_buffer(const Py_buffer *view, size_t width, Strip *strip)
{
    if (view->ndim != 3 || view->itemsize != 1 || (view->format && strcmp(view->format, "B")) ||
        view->shape[1] != (Py_ssize_t)width || view->shape[2] < 3 || view->shape[2] > PIXEL) {
        PyErr_SetString(PyExc_ValueError, "a strip must be uint8, of shape (rows, width, 3 or 4)");
        return false;
    }
    *strip = (Strip){view->buf, (size_t)view->shape[0], (size_t)view->shape[2], view->strides[0], view->strides[1],
                     view->strides[2]};
    return true;
}

/* Take the next strip, an Arrow array or a buffer; false with an exception if it is of another kind or too long. */
static bool take(Resize *resize, PyObject *item)
{
    Py_buffer view = {0};
    Strip strip;
    bool good = PyTuple_Check(item) ? strip_of_arrow(item, resize->width, &strip)
                                    : PyObject_GetBuffer(item, &view, PyBUF_RECORDS_RO) == 0 &&
                                          strip_of_buffer(&view, resize->width, &strip);
    if (good && strip.rows > resize->height - resize->received) {
        PyErr_SetString(PyExc_ValueError, "the strips have more rows than the picture");
        good = false;
    }
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        add_strip(resize, &strip);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return good;
}

static bool take_all(Resize *resize, PyObject *strips)
{
    PyObject *iterator = PyObject_GetIter(strips), *item;
    bool good = iterator != NULL;
    while (good && (item = PyIter_Next(iterator))) {
        good = take(resize, item);
        Py_DECREF(item);
    }
    Py_XDECREF(iterator);
    good = good && !PyErr_Occurred();
    if (good && resize->received < resize->height) {
        PyErr_SetString(PyExc_ValueError, "the strips have fewer rows than the picture");
        good = false;
    }
    return good;
}

static PyObject *resize(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"strips", "width", "height", "path", NULL};
    PyObject *strips;
    Py_ssize_t width, height;
    const char *name = NULL;
    Path paths[PATHS];
    int path = 0;
    const int count = find_paths(paths);
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "Onn|z", names, &strips, &width, &height, &name))
        return NULL;
    if (width < 1 || height < 1 || width > INT_MAX / PIXEL || height > INT_MAX / PIXEL)
        return PyErr_Format(PyExc_ValueError, "a picture of %zdx%zd pixels cannot be resized", width, height);
    while (name && path < count && strcmp(name, paths[path].name))
        path++;
    if (path == count)
        return PyErr_Format(PyExc_ValueError, "path '%s' is none of this CPU's", name);
    PyObject *result = PyBytes_FromStringAndSize(NULL, SIDE * ROW);
    if (!result)
        return NULL;
    Resize state;
    bool good = begin_resize(&state, paths[path], (size_t)width, (size_t)height, (uint8_t *)PyBytes_AsString(result));
    if (!good)
        PyErr_NoMemory();
    good = good && take_all(&state, strips);
    end_resize(&state);
    if (!good)
        Py_CLEAR(result);
    return result;
}

static int execute(PyObject *module)
{
    Path paths[PATHS];
    const int count = find_paths(paths);
    PyObject *names = PyTuple_New(count);
    for (int i = 0; names && i < count; i++) {
        PyObject *name = PyUnicode_FromString(paths[i].name);
        if (!name || PyTuple_SetItem(names, i, name))
            Py_CLEAR(names);
    }
    const int failed = !names || PyModule_AddObjectRef(module, "PATHS", names);
    Py_XDECREF(names);
    return failed ? -1 : 0;
}

static PyMethodDef methods[] = {
    {"resize", (PyCFunction)(void (*)(void))resize, METH_VARARGS | METH_KEYWORDS,
     "Resize a picture, given as strips of rows, to 256x256 pixels of four bytes; see _resize.pyi."},
    {0}};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0}};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "nsfw_caffe.preprocessing._resize", .m_methods = methods,
                                 .m_slots = slots};

PyMODINIT_FUNC PyInit__resize(void)
{
    return PyModuleDef_Init(&definition);
}
