/* SPDX-License-Identifier: MIT */
/*
 * The types and small macros that every hypervisor file uses.
 *
 * Frame numbers are one-member structs, so that a machine frame number (mfn) cannot be passed where a guest's
 * pseudo-physical frame number (pfn) is meant. Machine addresses are plain uint64_t named `maddr`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* Machine frame number: a real 4 KiB frame of RAM (or of anything else on the bus). */
typedef struct {
    uint64_t n;
} mfn_t;
/* Pseudo-physical frame number: a domain's own contiguous numbering of its frames. */
typedef struct {
    uint64_t n;
} pfn_t;

#define MFN(x) ((mfn_t){(uint64_t)(x)})
#define PFN(x) ((pfn_t){(uint64_t)(x)})
#define INVALID_MFN MFN(~0ull)
#define INVALID_PFN PFN(~0ull)
#define mfn_equal(a, b) ((a).n == (b).n)
#define mfn_valid_number(a) ((a).n != ~0ull)
#define maddr_to_mfn(maddr) MFN((uint64_t)(maddr) >> PAGE_SHIFT)
#define mfn_to_maddr(mfn) ((mfn).n << PAGE_SHIFT)

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define min(a, b)                                                                                                      \
    ({                                                                                                                 \
        __typeof__(a) min_a = (a);                                                                                     \
        __typeof__(b) min_b = (b);                                                                                     \
        min_a < min_b ? min_a : min_b;                                                                                 \
    })
#define max(a, b)                                                                                                      \
    ({                                                                                                                 \
        __typeof__(a) max_a = (a);                                                                                     \
        __typeof__(b) max_b = (b);                                                                                     \
        max_a > max_b ? max_a : max_b;                                                                                 \
    })
#define ROUND_UP(x, to) (((x) + ((to)-1)) & ~((__typeof__(x))(to)-1))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define must_check __attribute__((warn_unused_result))
#define noreturn_fn __attribute__((noreturn))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define aligned_to(n) __attribute__((aligned(n)))
#define section_init __attribute__((section(".init.text"), cold))
#define unused_arg __attribute__((unused))

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
/* Stops the compiler from moving memory accesses across; x86 keeps stores in order by itself. */
#define compiler_barrier() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
/* Loads among themselves, stores among themselves: x86 keeps their order. */
#define smp_rmb() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define smp_wmb() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* At most this many processors: a set of them is one word. */
#define MAX_CPUS 64
typedef uint64_t cpumask_t;
#define cpu_bit(id) (1ull << (id))
