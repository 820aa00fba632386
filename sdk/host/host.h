/* SPDX-License-Identifier: MIT */
/*
 * The host harness: pCPUs, clock, timers, softirqs, memory and log of the hypervisor, as an ordinary program with invented time.
 *
 * One thread may play all pCPUs in turn (host_on_cpu), which makes every run repeatable; or each thread one. There are no guest registers and no stacks:
 * vcpu_switch only notes who is current and returns, so code after a block goes on at once - the caller plays the guest and asks
 * current_vcpu() who it is now. Every function here is weak, and lies in a library: a test that brings its own gets its own.
 */
#pragma once

#include "../../hypervisor/include/cpu.h"
#include "../../hypervisor/include/domain.h"
#include "../../hypervisor/include/sched.h"
#include "../../hypervisor/include/vcpu.h"

/* A machine of so many pCPUs, time 0, no vCPU, the options at their defaults. Forgets an earlier one. Then sched_init() as told by boot_options. */
void host_machine_start(uint32_t cpu_total, const char *sched_name);
/* Frees what is left, and checks that the core has forgotten everything. */
void host_machine_stop(void);

void host_on_cpu(uint32_t cpu); /* this thread plays that pCPU from now on */

extern uint64_t host_now_ns; /* what clock_now_ns() says */
extern bool host_threads;    /* several threads play: spinning is allowed */

/* Softirqs of all pCPUs until none is pending. */
void host_settle(void);
uint64_t host_timer_next(void); /* deadline of the earliest timer, UINT64_MAX if none */
void host_timers_expire(void);  /* run the handlers of all that are due, each on its pCPU; then settle */
/* Let time pass up to then, firing what is due on the way. */
void host_run_until(uint64_t ns);
void host_clock_skip(uint64_t ns); /* the machine stands still for so long: time passes, nothing runs */

struct domain *host_domain_create(domid_t id);
struct vcpu *host_vcpu_create(struct domain *d); /* its next vCPU; paused and down, as the core makes it */
void host_vcpu_start(struct vcpu *v);            /* up and unpaused */
void host_vcpu_destroy(struct vcpu *v);
void host_domain_destroy(struct domain *d); /* and its vCPUs */

/* What the log said: the last lines, newest last, each ended by a newline. */
const char *host_log_text(void);
void host_log_clear(void);
extern bool host_log_echo; /* to stderr as well */

/* Memory: the next so many allocations succeed, then one fails. UINT64_MAX: none fails. */
extern uint64_t host_heap_budget;
extern int64_t host_heap_live; /* objects */
