/* SPDX-License-Identifier: MIT */
/*
 * Memory and strings. The compiler calls memcpy and memset by itself, so they are here even where unused.
 * Large copies and fills use the string instructions, which are the fastest there is on any processor with ERMS.
 */
#include "lib/string.h"

#include "x86/string-asm.h"

#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n)
{
    string_copy(to, from, n);
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    string_fill(to, (uint8_t)byte, n);
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    char *t = to;
    const char *f = from;

    if (t <= f || t >= f + n) {
        string_copy(to, from, n);
        return to;
    }
    while (n-- > 0)
        t[n] = f[n];
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;

    for (; n > 0; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0')
        n++;
    return n;
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n] != '\0')
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++)
        if (*a != *b || *a == '\0')
            return (unsigned char)*a - (unsigned char)*b;
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s;
        if (*s == '\0')
            return NULL;
    }
}

char *strstr(const char *haystack, const char *needle)
{
    size_t n = strlen(needle);

    for (; *haystack != '\0' || n == 0; haystack++)
        if (strncmp(haystack, needle, n) == 0)
            return (char *)(uintptr_t)haystack;
    return NULL;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t n = strlen(from);

    if (size > 0) {
        size_t copied = n < size ? n : size - 1;

        memcpy(to, from, copied);
        to[copied] = '\0';
    }
    return n;
}
