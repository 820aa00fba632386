/* SPDX-License-Identifier: MIT */
/*
 * The block core, as the rest of the hypervisor sees it. Contracts inside of it: block/block-internal.h.
 */
#pragma once

#include "types.h"

#include <hv/list.h>

struct domain;

/* A domain in the line of turns, zeroed when it begins. block/block.c alone looks into it, under its lock. */
struct block_line {
    struct list_node link; /* all domains that have a VBD in line */
    struct list_node vbds; /* those, in order */
};

/* Boot CPU, once, before the drivers look for devices. */
void block_init(void);
/*
 * All VBDs of a domain that ends: nothing more is taken, what is queued is dropped, what the devices have is waited for by calling again. True: none is left, and no frame of d is in a device.
 * Context: its vCPUs do not run; no lock held. Called by domain_destroy before its grants and memory go; false: call again later (a device answers in its time, or is reset after its time limit).
 */
bool block_domain_destroy(struct domain *d);
/* Each frame of d that the core holds through a grant, for the audit: rings, and data of requests under way. write: with the writable type. */
void block_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg);
/* What the core keeps for d's VBDs. */
uint64_t block_domain_bytes(const struct domain *d);
