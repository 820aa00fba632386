// SPDX-License-Identifier: MIT
/*
 * The freestanding subset of <string.h> that needs no machine; lib/x86-memory.c has the rest. Contract: lib/string.h.
 */
#include "lib/string.h"

size_t strlen(const char *s)
{
    const char *end = s;

    while (*end != '\0')
        end++;
    return (size_t)(end - s);
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
    for (; *a == *b && *a != '\0'; a++, b++)
        ;
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0; n--, a++, b++) {
        if (*a != *b || *a == '\0')
            return (unsigned char)*a - (unsigned char)*b;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++) {
        if (*s == '\0')
            return NULL;
    }
    return (char *)s;
}

char *strstr(const char *haystack, const char *needle)
{
    size_t n = strlen(needle);

    for (; strncmp(haystack, needle, n) != 0; haystack++) {
        if (*haystack == '\0')
            return NULL;
    }
    return (char *)haystack;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t length = strlen(from);
    size_t n = length < size ? length : size - 1;

    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
    to[n] = '\0';
    return length;
}
