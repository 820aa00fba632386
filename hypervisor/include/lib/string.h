/* SPDX-License-Identifier: MIT */
/* The freestanding subset of <string.h>; lib/string.c. Standard meaning. */
#pragma once

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strstr(const char *haystack, const char *needle);
/* Always terminates `to` (size > 0); returns the length of `from`. */
size_t strlcpy(char *to, const char *from, size_t size);
