/* SPDX-License-Identifier: MIT */
/*
 * Ticket spinlocks: fair, so no CPU starves; four bytes.
 *
 * A lock that any interrupt handler takes must be taken with spin_lock_irqsave everywhere. Holding any spinlock
 * forbids preempt_point() and vCPU switches. The order between locks is in docs/locking.md.
 */
#pragma once

#include "types.h"
#include "x86/cpu-asm.h"

struct spinlock {
    uint16_t next;    /* ticket handed to the next comer */
    uint16_t serving; /* ticket that holds the lock */
};
#define SPINLOCK_INIT ((struct spinlock){0, 0})

static inline void spin_lock(struct spinlock *lock)
{
    uint16_t mine = __atomic_fetch_add(&lock->next, 1, __ATOMIC_ACQUIRE);

    while (unlikely(__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != mine))
        cpu_relax();
}

static inline bool spin_trylock(struct spinlock *lock)
{
    uint16_t serving = __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
    uint16_t expected = serving;

    return __atomic_compare_exchange_n(&lock->next, &expected, (uint16_t)(serving + 1), false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, (uint16_t)(lock->serving + 1), __ATOMIC_RELEASE);
}

static inline bool spin_is_locked(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) != __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
}

/* Returns the former rflags, to hand to spin_unlock_irqrestore. */
static inline uint64_t must_check spin_lock_irqsave(struct spinlock *lock)
{
    uint64_t flags = irq_save();

    spin_lock(lock);
    return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    spin_unlock(lock);
    irq_restore(flags);
}

#define lock_assert_held(lock) ASSERT(spin_is_locked(lock))
