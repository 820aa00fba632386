// SPDX-License-Identifier: MIT
/*
 * memcpy, memmove, memset and memcmp. The string instructions move eight bytes each step, which under emulation and on old machines alike is
 * the fewest instructions without vector registers (those belong to the guest). Hosted builds take libc's.
 */
#include "lib/string.h"
#include "types.h"

void *memcpy(void *to, const void *from, size_t n)
{
    void *ret = to;
    size_t words = n / 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    n &= 7;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
    return ret;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((uintptr_t)to - (uintptr_t)from >= n)
        return memcpy(to, from, n);

    /* `to` lies inside [from, from+n): from the end downwards. */
    char *last_to = (char *)to + n - 1;
    const char *last_from = (const char *)from + n - 1;

    __asm__ volatile("std; rep movsb; cld" : "+D"(last_to), "+S"(last_from), "+c"(n)::"memory");
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    void *ret = to;
    uint64_t pattern = 0x0101010101010101ul * (uint8_t)byte;
    size_t words = n / 8;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    n &= 7;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(pattern) : "memory");
    return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (; n > 0; n--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}
