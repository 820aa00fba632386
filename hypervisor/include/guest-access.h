/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the running guest's memory by its own addresses.
 *
 * Each access refuses hypervisor addresses and survives page faults. Rule: copy once, check the copy, act; never
 * read the same guest memory twice. Context: hypercall or trap of the current vCPU, its page table loaded.
 * May fault, so: never with a spinlock held that is taken with interrupts disabled.
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

/* Whether [va, va+bytes) is canonical and lies wholly outside the hypervisor's slots. */
static inline bool guest_range_ok(uint64_t va, uint64_t bytes)
{
    uint64_t end = va + bytes;

    if (end < va)
        return false;
    return end <= 0x0000800000000000ul || va >= HV_VIRT_END;
}

/* Copy; the number of bytes NOT copied is returned, 0 when all is well. Does not check the range. x86: traps/guest-copy.S. */
size_t guest_copy_raw(void *to, const void *from, size_t bytes);

/* 0 or -EFAULT. `from`/`to` on the guest's side is a guest virtual address. */
static inline int must_check copy_from_guest(void *to, uint64_t from, size_t bytes)
{
    if (unlikely(!guest_range_ok(from, bytes)) || unlikely(guest_copy_raw(to, (const void *)from, bytes) != 0))
        return -14; /* -EFAULT */
    return 0;
}

static inline int must_check copy_to_guest(uint64_t to, const void *from, size_t bytes)
{
    if (unlikely(!guest_range_ok(to, bytes)) || unlikely(guest_copy_raw((void *)to, from, bytes) != 0))
        return -14; /* -EFAULT */
    return 0;
}
