/* SPDX-License-Identifier: MIT */
/*
 * Building domains out of boot modules: Domain0 from the first, DomUs from the third on. domain/build-*.c.
 */
#pragma once

#include "domain.h"
#include "types.h"

/* One domain to build. All bytes are in the hypervisor's reach and stay in place while it is built. */
struct build_source {
    const void *kernel;
    uint64_t kernel_bytes;
    const void *ramdisk; /* NULL: none */
    uint64_t ramdisk_bytes;
    const char *command_line;
    uint64_t frames; /* memory */
    uint32_t flags;  /* SIF_* of start_info that say what the domain is */
    bool any_ram;    /* memory that nothing was put in may hold what the RAM held (mm.h: domain_frames_populate_unzeroed) */
    bool rings;      /* with xenstore and console pages, their ports and grants 0 and 1 (a DomU) */
    /* Called once all bytes are copied, before the plain rest of the memory is taken: may give the module's RAM to the allocator. NULL: nothing. */
    void (*copied)(void);
};

/* The kernel is understood and will fit: NULL, else one sentence why not. */
const char *build_check(const struct build_source *source);
/*
 * Fill d (created, no memory yet): memory, page tables, start_info, vCPU 0 at the kernel's entry; further vCPUs are there, down. Not started (domain_unpause).
 * NULL, else one sentence why not; then the caller destroys d. Context: no lock, interrupts enabled.
 */
const char *must_check build_domain(struct domain *d, const struct build_source *source);

/* Domain0 from modules 1 (kernel) and 2 (ramdisk), published, not started. 0 or -errno with one line logged. Boot CPU, once. */
int must_check build_domain0(void);
/* DomUs from the other modules; each bad one is reported and left out. After build_domain0. */
void build_boot_domains(void);
/* Let all of them run. */
void build_start_domains(void);
