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

/*
 * Boot modules (build-domain0.c, build-boot-domain.c). A module whose bytes have been copied is given to the frame allocator, once.
 */
struct boot_module;
const void *boot_module_bytes(const struct boot_module *m);
uint64_t boot_module_size(const struct boot_module *m);
void boot_module_release(struct boot_module *m);
/* What follows the first word of a module's string. */
const char *boot_module_arguments(const struct boot_module *m);
/* The first module that is a DomU: behind Domain0's kernel and its ramdisk, if it has one. */
uint32_t boot_module_first_domain(void);
/* Frames that build_boot_domains will want, so that Domain0 leaves them. */
uint64_t boot_domains_frames(void);

/* Have the boot CPU's idle vCPU audit all frames, soon. Context: any. */
void domain_audit_request(void);
/* Boot, once: the console keys about domains (keys.c). */
void domain_keys_init(void);
