/* SPDX-License-Identifier: MIT */
/*
 * The record of changes that Domain0 watches instead of polling: a ring of the last COLLET_CHANGES_KEPT records, and a virtual IRQ for each new one.
 * The structures are <collet/control.h>'s (COLLET_OP_CHANGES); control/changes.c. Page: docs/concepts/control.md.
 */
#pragma once

#include "types.h"

#include <collet/control.h>

struct domain;

/* Boot CPU, once, after sched_init(). Records made earlier are kept, but raise nothing. */
void changes_init(void);

/*
 * Something has changed. d: whose; its name becomes the text unless text is given. NULL: nobody's. Text that is too long is cut.
 * The virtual IRQ is raised soon afterwards, by a softirq of this pCPU. Cannot fail, takes no lock that anybody holds while calling it.
 * Context: any, interrupts on or off, any lock held.
 */
void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text);

/*
 * For readers. The first record from number `from` on that is still kept, copied: true; false if there is none yet.
 * change_last: number of the newest, 0 if none. Context: any.
 */
bool change_read(uint64_t from, struct collet_change *change);
uint64_t change_last(void);
