/* The two passes of Pillow's bilinear resize of 8-bit RGB to 256x256, to the same bits; without Python.

   The algorithm is that of Pillow's `Image.resize(..., Image.Resampling.BILINEAR)`, called once an axis: a triangle as
   wide as the reduction (of at least one pixel), sampled at the pixels' centres; coefficients normalised in double and
   rounded to 22 fractional bits; integer sums from there on; 8-bit pixels between the two passes.

   All arithmetic on pixels is in integers, modulo 2**32, so each path below has the same bits. Pixels have four bytes,
   as in Pillow's memory; the fourth goes through like a colour and means nothing. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 256,                  /* of the result, in pixels */
    PIXEL = 4,                   /* bytes a pixel */
    ROW = SIDE * PIXEL,          /* bytes a row between the passes, and of the result */
    ROWS = 4,                    /* that the horizontal pass takes at a time; they share the coefficients' loads */
    PRECISION_BITS = 32 - 8 - 2, /* fractional bits of a coefficient: Pillow's PRECISION_BITS */
    ROUNDING = 1 << (PRECISION_BITS - 1),
    HALF_BITS = PRECISION_BITS / 2, /* of a coefficient, in its low half */
    PATHS = 3                       /* at most */
};

/* What each of the 256 results takes from one axis of the picture: `taps` coefficients, from start[i] on. Beyond end[i]
   they are zero; `taps` is a multiple of what a path takes at a time. */
typedef struct {
    size_t taps;
    size_t *start, *end;
    int16_t *low, *high; /* coefficient == low + (high << HALF_BITS); neither is negative */
} Axis;

typedef void Horizontal(const Axis *axis, const uint8_t *const *rows, uint8_t *const *out);
typedef void Vertical(const Axis *axis, size_t y, const uint8_t *const *rows, uint8_t *out);

typedef struct {
    const char *name;
    size_t taps; /* that the horizontal pass takes at a time; even, as the vertical pass takes two */
    Horizontal *horizontal;
    Vertical *vertical;
} Path;

/* ---- the paths ---- */

/* Four sums, one a channel, in plain C as gcc and clang extend it: any CPU's vectors, or four numbers. */
typedef uint32_t Sums __attribute__((vector_size(4 * PIXEL)));

static inline uint8_t level(uint32_t sum)
{
    /* As in Pillow the sum is a signed number; only for pictures millions of pixels long it can be negative. */
    const int32_t value = (int32_t)(sum + ROUNDING) >> PRECISION_BITS;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static inline uint32_t coefficient(const Axis *axis, size_t index)
{
    return (uint32_t)axis->low[index] + ((uint32_t)axis->high[index] << HALF_BITS);
}

static void horizontal_c(const Axis *axis, const uint8_t *const *rows, uint8_t *const *out)
{
    for (size_t x = 0; x < SIDE; x++) {
        Sums sums[ROWS] = {{0}};
        for (size_t tap = 0; tap < axis->taps; tap++) {
            const uint32_t factor = coefficient(axis, x * axis->taps + tap);
            for (int row = 0; row < ROWS; row++) {
                const uint8_t *pixel = rows[row] + (axis->start[x] + tap) * PIXEL;
                sums[row] += factor * (Sums){pixel[0], pixel[1], pixel[2], pixel[3]};
            }
        }
        for (int row = 0; row < ROWS; row++)
            for (size_t channel = 0; channel < PIXEL; channel++)
                out[row][x * PIXEL + channel] = level(sums[row][channel]);
    }
}

static void vertical_c(const Axis *axis, size_t y, const uint8_t *const *rows, uint8_t *out)
{
    uint32_t sums[ROW] = {0};
    for (size_t tap = 0; tap < axis->taps; tap++) {
        const uint32_t factor = coefficient(axis, y * axis->taps + tap);
        for (size_t x = 0; x < ROW; x++)
            sums[x] += factor * rows[tap][x];
    }
    for (size_t x = 0; x < ROW; x++)
        out[x] = level(sums[x]);
}

#ifdef __x86_64__
#include <immintrin.h>

/* Shuffle two pixels a lane of 128 bits into pairs of 16-bit numbers, red and red, green and green ...; -1 is a zero. */
static const int8_t INTERLEAVE[32] = {0, -1, 4,  -1, 1, -1, 5,  -1, 2,  -1, 6,  -1, 3,  -1, 7,  -1,
                                      8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1};
/* Shuffle the coefficients of four pixels to where INTERLEAVE brings the pixels. */
static const int8_t SPREAD[32] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
                                  4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7};

static inline int32_t load_pair(const int16_t *taps)
{
    int32_t pair;
    memcpy(&pair, taps, sizeof pair);
    return pair;
}

static inline int64_t load_four(const int16_t *taps)
{
    int64_t four;
    memcpy(&four, taps, sizeof four);
    return four;
}

#define MM(operation) _mm_##operation

#define WIDTH 128
#define PREFIX _mm_
#define TARGET __attribute__((target("sse4.1")))
#define LOAD_TAPS(taps) _mm_set1_epi32(load_pair(taps))
#define LOAD_PIXELS(pixels) _mm_loadl_epi64((const void *)(pixels))
#define FOLD(sum) sum
#include "_resize_vectors.h"

#define WIDTH 256
#define PREFIX _mm256_
#define TARGET __attribute__((target("avx2")))
#define LOAD_TAPS(taps) _mm256_shuffle_epi8(_mm256_set1_epi64x(load_four(taps)), LOAD(SPREAD))
#define LOAD_PIXELS(pixels) _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(pixels)))
#define FOLD(sum) _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1))
#include "_resize_vectors.h"
#endif

/* Write the paths that this CPU can take to `paths`, the fastest first, and return how many they are. */
static int find_paths(Path paths[PATHS])
{
    int count = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        paths[count++] = (Path){"avx2", 4, horizontal_256, vertical_256};
    if (__builtin_cpu_supports("sse4.1"))
        paths[count++] = (Path){"sse4.1", 2, horizontal_128, vertical_128};
#endif
    paths[count++] = (Path){"c", 2, horizontal_c, vertical_c};
    return count;
}

/* ---- coefficients ---- */

static void free_axis(Axis *axis)
{
    free(axis->start);
    free(axis->end);
    free(axis->low);
    free(axis->high);
}

/* Compute the coefficients of a window that begins at `first`; `weights` is room for them as doubles. */
static void compute_window(size_t first, size_t count, double center, double support, double *weights, int16_t *low,
                           int16_t *high)
{
    const double inverse = 1 / support;
    double sum = 0;
    for (size_t tap = 0; tap < count; tap++) {
        const double distance = fabs(((double)(first + tap) - center + 0.5) * inverse);
        weights[tap] = distance < 1 ? 1 - distance : 0;
        sum += weights[tap];
    }
    for (size_t tap = 0; tap < count; tap++) {
        const double weight = sum != 0 ? weights[tap] / sum : 0;
        const int value = (int)(0.5 + weight * (1 << PRECISION_BITS));
        low[tap] = (int16_t)(value & ((1 << HALF_BITS) - 1));
        high[tap] = (int16_t)(value >> HALF_BITS);
    }
}

/* Compute the coefficients for an axis of `size`, each step in Pillow's order; false if there is no memory. Where the
   axis is long enough, each padded window lies within it, so that nothing beyond a row's end is read. */
static bool make_axis(Axis *axis, size_t size, size_t multiple)
{
    const double scale = (double)(float)size / SIDE; /* a float: Pillow's box is of floats */
    const double support = scale < 1 ? 1 : scale;
    size_t longest = 0;
    *axis = (Axis){.start = calloc(SIDE, sizeof(size_t)), .end = calloc(SIDE, sizeof(size_t))};
    if (!axis->start || !axis->end)
        return false;
    for (size_t i = 0; i < SIDE; i++) {
        const double center = ((double)i + 0.5) * scale;
        const double first = center - support + 0.5, last = center + support + 0.5;
        axis->start[i] = first < 0 ? 0 : (size_t)first;
        axis->end[i] = last > (double)size ? size : (size_t)last;
        const size_t count = axis->end[i] - axis->start[i];
        longest = count > longest ? count : longest;
    }
    axis->taps = (longest + multiple - 1) / multiple * multiple;
    axis->low = calloc(SIDE, axis->taps * sizeof(int16_t));
    axis->high = calloc(SIDE, axis->taps * sizeof(int16_t));
    double *weights = calloc(longest, sizeof(double));
    const bool enough = axis->low && axis->high && weights;
    for (size_t i = 0; i < SIDE && enough; i++) {
        const size_t past = axis->start[i] + axis->taps;
        const size_t shift = past > size && axis->taps <= size ? past - size : 0;
        const size_t offset = i * axis->taps + shift;
        compute_window(axis->start[i], axis->end[i] - axis->start[i], ((double)i + 0.5) * scale, support, weights,
                       axis->low + offset, axis->high + offset);
        axis->start[i] -= shift;
    }
    free(weights);
    return enough;
}

/* ---- one picture ---- */

/* Rows of a picture in memory; strides are in bytes. */
typedef struct {
    const uint8_t *data;
    size_t rows, channels;
    ptrdiff_t row_stride, pixel_stride, channel_stride;
} Strip;

/* A resize under way. Each row of the picture goes through the horizontal pass into the ring; a row of the result is
   made as soon as the last row that it takes has come. */
typedef struct {
    Path path;
    Axis across, down;
    size_t width, height;
    size_t received, finished; /* rows of the picture, rows of the result */
    size_t ring_rows;
    uint8_t *ring;          /* rows between the passes; row number n in place n % ring_rows */
    uint8_t *scratch;       /* ROWS rows of the picture, brought into the form that the horizontal pass reads */
    const uint8_t **window; /* the rows that a row of the result takes */
    uint8_t *result;        /* SIDE rows */
} Resize;

static void end_resize(Resize *resize)
{
    free_axis(&resize->across);
    free_axis(&resize->down);
    free(resize->ring);
    free(resize->scratch);
    free(resize->window);
}

/* Get everything ready; false if there is no memory. */
static bool begin_resize(Resize *resize, Path path, size_t width, size_t height, uint8_t *result)
{
    *resize = (Resize){.path = path, .width = width, .height = height, .result = result};
    if (!make_axis(&resize->across, width, path.taps) || !make_axis(&resize->down, height, path.taps))
        return false;
    /* Room for a window, of which all but the last row may still be needed, and the rows that come next. */
    resize->ring_rows = resize->down.taps + ROWS;
    resize->ring = calloc(resize->ring_rows, ROW);
    resize->scratch = calloc(ROWS, (width + resize->across.taps) * PIXEL);
    resize->window = calloc(resize->down.taps, sizeof *resize->window);
    return resize->ring && resize->scratch && resize->window;
}

/* Return row number `row` of the strip in the form that the horizontal pass reads: itself, or copied to `room`. */
static const uint8_t *row_of(const Resize *resize, const Strip *strip, size_t row, uint8_t *room)
{
    const uint8_t *pixels = strip->data + (ptrdiff_t)row * strip->row_stride;
    const bool dense = strip->channel_stride == 1 && strip->pixel_stride == (ptrdiff_t)strip->channels;
    const size_t width = resize->width;
    if (dense && strip->channels == PIXEL && resize->across.taps <= width)
        return pixels;
    if (dense && strip->channels == PIXEL) {
        memcpy(room, pixels, width * PIXEL);
    } else if (dense) {
        /* Four bytes at a time: each pixel with the next one's first byte. */
        for (size_t x = 0; x + 1 < width; x++)
            memcpy(room + x * PIXEL, pixels + x * 3, PIXEL);
        memcpy(room + (width - 1) * PIXEL, pixels + (width - 1) * 3, 3);
    } else {
        for (size_t x = 0; x < width; x++)
            for (size_t channel = 0; channel < strip->channels; channel++)
                room[x * PIXEL + channel] =
                    pixels[(ptrdiff_t)x * strip->pixel_stride + (ptrdiff_t)channel * strip->channel_stride];
    }
    return room;
}

static void finish_rows(Resize *resize)
{
    const Axis *down = &resize->down;
    while (resize->finished < SIDE && down->end[resize->finished] <= resize->received) {
        const size_t y = resize->finished++;
        for (size_t tap = 0; tap < down->taps; tap++)
            resize->window[tap] = resize->ring + (down->start[y] + tap) % resize->ring_rows * ROW;
        resize->path.vertical(down, y, resize->window, resize->result + y * ROW);
    }
}

static void add_strip(Resize *resize, const Strip *strip)
{
    const size_t room = (resize->width + resize->across.taps) * PIXEL;
    for (size_t top = 0; top < strip->rows; top += ROWS) {
        const size_t count = strip->rows - top < ROWS ? strip->rows - top : ROWS;
        const uint8_t *rows[ROWS];
        uint8_t *out[ROWS];
        for (size_t i = 0; i < ROWS; i++) {
            /* The last row stands in for those that are missing. */
            const size_t row = i < count ? i : count - 1;
            rows[i] = row_of(resize, strip, top + row, resize->scratch + row * room);
            out[i] = resize->ring + (resize->received + row) % resize->ring_rows * ROW;
        }
        resize->path.horizontal(&resize->across, rows, out);
        resize->received += count;
        finish_rows(resize);
    }
}
