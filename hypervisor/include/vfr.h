/* SPDX-License-Identifier: MIT */
/*
 * The virtual firewall-router, as the rest of the hypervisor sees it. Contracts inside of it: vfr/vfr-internal.h.
 */
#pragma once

#include "types.h"

struct domain;

/* Boot CPU, once, before the drivers look for cards. */
void vfr_init(void);
/* This CPU has nothing else to do: what waits so that guests get the CPU need not wait. Context: the idle loop, interrupts off. */
void vfr_cpu_idle(void);
/*
 * All VIFs of a domain that ends: nothing more is taken or delivered, frames that a card has are waited for by calling again. True: none is left, and no frame of d is in a device.
 * Context, and when: as block_domain_destroy (block.h).
 */
bool vfr_domain_destroy(struct domain *d);
/* Each frame of d that the router holds through a grant, for the audit: rings, and data of frames in a card. write: with the writable type. */
void vfr_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg);
/* What the router keeps for d's VIFs. */
uint64_t vfr_domain_bytes(const struct domain *d);
