/* SPDX-License-Identifier: MIT */
/* Between the files of domain/. */
#pragma once

#include "domain.h"
#include "vcpu.h"

/* v starts in its kernel at `entry`: flat selectors, everything else zero (the ABI's state at the start of day). v has a base and has never run. */
void vcpu_set_boot_state(struct vcpu *v, uint64_t entry, uint64_t stack, uint64_t start_info);

/* VCPUOP_initialise: all of the context is checked before anything is taken. v is down and not initialised. 0 or -errno. May preempt. */
int must_check vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c);

/* VCPUOP_register_vcpu_info. 0 or -errno. */
int must_check vcpu_register_info(struct vcpu *v, uint64_t mfn, uint32_t offset);

/* Give back what v holds of its domain: page-table bases, descriptor frames, the vcpu_info page. v does not run. May preempt. */
void vcpu_drop_memory(struct vcpu *v);

/* domain/boot-words.c: what stands before the command line in a boot module's string. */
struct boot_words {
    char name[DOMAIN_NAME_MAX];
    uint64_t memory_bytes, memory_max_bytes; /* 0: not given */
    uint32_t vcpus;
};
