/* SPDX-License-Identifier: MIT */
/* Copy and fill by string instructions: words first, then the rest. Direction flag clear, as the ABI and our entry code have it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline void string_copy(void *to, const void *from, size_t n)
{
    size_t words = n / 8;

    n &= 7;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}

static inline void string_fill(void *to, uint8_t byte, size_t n)
{
    size_t words = n / 8;

    n &= 7;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(byte * 0x0101010101010101ull) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
}
