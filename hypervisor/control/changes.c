/* SPDX-License-Identifier: MIT */
/*
 * The record of changes: a ring of the last ones, and the virtual IRQ that tells Domain0 to look. Operation COLLET_OP_CHANGES.
 *
 * Who records a change may hold a run queue's lock, and raising an event takes one; so the IRQ waits for a softirq, which also makes one of many.
 * Contract: changes.h, <collet/control.h>. Tests: test-changes.c. Page: docs/concepts/control.md.
 */
#include "changes.h"

#include "control-internal.h"

#include "cpu.h"
#include "domain.h"
#include "event.h"
#include "guest-access.h"
#include "lib/string.h"
#include "spinlock.h"
#include "time.h"

#include <hv/errno.h>

#define READ_MAX 256u /* records at a time, so that the caller's timers are not kept waiting */

static struct spinlock changes_lock; /* protects all below; any context */
static struct collet_change kept[COLLET_CHANGES_KEPT]; /* number n is at (n - 1) % COLLET_CHANGES_KEPT */
static uint64_t last_number;

static bool announcing; /* the softirq is registered; never false again */

static void announce(void)
{
    event_raise_global_virq(COLLET_VIRQ_CHANGES);
}

void changes_init(void)
{
    softirq_register(SOFTIRQ_CHANGES, announce);
    announcing = true;
}

void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    uint64_t flags = spin_lock_irqsave(&changes_lock);
    struct collet_change *c = &kept[last_number % COLLET_CHANGES_KEPT];

    memset(c, 0, sizeof(*c));
    c->number = ++last_number;
    c->time_ns = clock_now_ns();
    c->value = value;
    c->kind = kind;
    c->domid = d != NULL ? d->id : ~0u;
    if (text == NULL && d != NULL)
        text = d->name;
    if (text != NULL)
        strlcpy(c->text, text, sizeof(c->text));
    spin_unlock_irqrestore(&changes_lock, flags);
    if (announcing)
        softirq_raise(SOFTIRQ_CHANGES);
}

bool change_read(uint64_t from, struct collet_change *change)
{
    uint64_t flags = spin_lock_irqsave(&changes_lock);
    uint64_t oldest = last_number > COLLET_CHANGES_KEPT ? last_number - COLLET_CHANGES_KEPT + 1 : 1;
    uint64_t number = max(from, oldest);
    bool found = number <= last_number;

    if (found)
        *change = kept[(number - 1) % COLLET_CHANGES_KEPT];
    spin_unlock_irqrestore(&changes_lock, flags);
    return found;
}

uint64_t change_last(void)
{
    uint64_t flags = spin_lock_irqsave(&changes_lock);
    uint64_t last = last_number;

    spin_unlock_irqrestore(&changes_lock, flags);
    return last;
}

/* Records that follow `after`, one behind the other without a gap: so `lost` is what was gone before the first. */
static int copy_changes(struct collet_changes *op)
{
    uint32_t room = min(op->count, READ_MAX), written = 0;
    uint64_t wanted = op->after + 1;
    struct collet_change c;

    op->lost = 0;
    while (written < room && change_read(wanted, &c)) {
        if (written == 0)
            op->lost = c.number - wanted;
        else if (c.number != wanted)
            break; /* overwritten while we copied: the next call tells */
        if (copy_to_guest(op->buffer + written * sizeof(c), &c, sizeof(c)) != 0)
            return -EFAULT;
        wanted = c.number + 1;
        written++;
    }
    op->count = written;
    return 0;
}

long control_changes(uint64_t arg, size_t bytes)
{
    struct collet_changes op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0)
        return -EINVAL;
    if (op.after == ~0ull)
        op.count = 0;
    rc = copy_changes(&op);
    if (rc != 0)
        return rc;
    op.last = change_last();
    return control_copy_out(arg, bytes, &op, sizeof(op));
}
