/* SPDX-License-Identifier: MIT */
/*
 * 128-bit division, which the compiler calls by these names and libgcc is not there to answer. Used at boot only (clock calibration).
 */
#include <stdint.h>

unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d);
__int128 __divti3(__int128 n, __int128 d);

unsigned __int128 __udivti3(unsigned __int128 n, unsigned __int128 d)
{
    unsigned __int128 quotient = 0, rest = 0;
    int bit;

    for (bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (n >> bit & 1);
        if (rest >= d) {
            rest -= d;
            quotient |= (unsigned __int128)1 << bit;
        }
    }
    return quotient;
}

__int128 __divti3(__int128 n, __int128 d)
{
    unsigned __int128 q = __udivti3(n < 0 ? -(unsigned __int128)n : (unsigned __int128)n,
                                    d < 0 ? -(unsigned __int128)d : (unsigned __int128)d);

    return (n < 0) != (d < 0) ? -(__int128)q : (__int128)q;
}
