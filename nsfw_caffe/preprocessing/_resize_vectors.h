/* The two passes in vectors of WIDTH bits; _resize_passes.h includes this once a width.

   A coefficient takes 23 bits, and x86 has no fast 32-bit multiply-add, so it comes in two halves of at most 12 bits,
   low and high: one `madd` multiplies the bytes of two pixels by their halves and adds the pair. Sums wrap modulo
   2**32, so joining the halves at the end gives the very sum of whole coefficients.

   AVX-512 is left out: it was measured 14 % faster at 12 megapixels, where the decode takes ten times as long, and
   slower at 1 megapixel and below, where it multiplies more zeros. */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define V(operation) JOIN(PREFIX, operation)
#define VECTOR JOIN(JOIN(__m, WIDTH), i)
#define LOAD(address) JOIN(V(loadu_si), WIDTH)((const void *)(address))
#define STORE(address, vector) JOIN(V(storeu_si), WIDTH)((void *)(address), vector)
#define ADD_PRODUCTS(sum, pairs, taps) sum = V(add_epi32)(sum, V(madd_epi16)(pairs, taps))
#define LEVEL(mm, low, high)                                                                                           \
    mm(srai_epi32)(mm(add_epi32)(mm(add_epi32)(low, mm(slli_epi32)(high, HALF_BITS)), mm(set1_epi32)(ROUNDING)),       \
                   PRECISION_BITS)

TARGET static void JOIN(horizontal_, WIDTH)(const Axis *axis, const uint8_t *const *rows, uint8_t *const *out)
{
    const VECTOR zero = V(set1_epi32)(0), interleave = LOAD(INTERLEAVE);
    for (size_t x = 0; x < SIDE; x++) {
        const int16_t *low = axis->low + x * axis->taps, *high = axis->high + x * axis->taps;
        const size_t start = axis->start[x] * PIXEL;
        VECTOR lows[ROWS] = {zero, zero, zero, zero}, highs[ROWS] = {zero, zero, zero, zero};
        for (size_t tap = 0; tap < axis->taps; tap += WIDTH / 64) {
            const VECTOR low_taps = LOAD_TAPS(low + tap), high_taps = LOAD_TAPS(high + tap);
            for (int row = 0; row < ROWS; row++) {
                const VECTOR pairs = V(shuffle_epi8)(LOAD_PIXELS(rows[row] + start + tap * PIXEL), interleave);
                ADD_PRODUCTS(lows[row], pairs, low_taps);
                ADD_PRODUCTS(highs[row], pairs, high_taps);
            }
        }
        __m128i levels[ROWS];
        for (int row = 0; row < ROWS; row++)
            levels[row] = LEVEL(MM, FOLD(lows[row]), FOLD(highs[row]));
        const __m128i bytes =
            _mm_packus_epi16(_mm_packs_epi32(levels[0], levels[1]), _mm_packs_epi32(levels[2], levels[3]));
        uint8_t pixels[ROWS * PIXEL];
        _mm_storeu_si128((void *)pixels, bytes);
        for (int row = 0; row < ROWS; row++)
            memcpy(out[row] + x * PIXEL, pixels + row * PIXEL, PIXEL);
    }
}

TARGET static void JOIN(vertical_, WIDTH)(const Axis *axis, size_t y, const uint8_t *const *rows, uint8_t *out)
{
    const VECTOR zero = V(set1_epi32)(0);
    const int16_t *low = axis->low + y * axis->taps, *high = axis->high + y * axis->taps;
    for (size_t x = 0; x < ROW; x += WIDTH / 8) {
        VECTOR lows[4] = {zero, zero, zero, zero}, highs[4] = {zero, zero, zero, zero};
        for (size_t tap = 0; tap < axis->taps; tap += 2) {
            const VECTOR even = LOAD(rows[tap] + x), odd = LOAD(rows[tap + 1] + x);
            const VECTOR left = V(unpacklo_epi8)(even, odd), right = V(unpackhi_epi8)(even, odd);
            const VECTOR pairs[4] = {V(unpacklo_epi8)(left, zero), V(unpackhi_epi8)(left, zero),
                                     V(unpacklo_epi8)(right, zero), V(unpackhi_epi8)(right, zero)};
            const VECTOR low_taps = V(set1_epi32)(load_pair(low + tap));
            const VECTOR high_taps = V(set1_epi32)(load_pair(high + tap));
            for (int part = 0; part < 4; part++) {
                ADD_PRODUCTS(lows[part], pairs[part], low_taps);
                ADD_PRODUCTS(highs[part], pairs[part], high_taps);
            }
        }
        /* Unpacking and packing work in the same 128-bit lanes, so the bytes come back into their order. */
        const VECTOR first = V(packs_epi32)(LEVEL(V, lows[0], highs[0]), LEVEL(V, lows[1], highs[1]));
        const VECTOR second = V(packs_epi32)(LEVEL(V, lows[2], highs[2]), LEVEL(V, lows[3], highs[3]));
        STORE(out + x, V(packus_epi16)(first, second));
    }
}

#undef PREFIX
#undef WIDTH
#undef TARGET
#undef LOAD_TAPS
#undef LOAD_PIXELS
#undef FOLD
