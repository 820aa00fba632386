// SPDX-License-Identifier: MIT
/* Machines, domains and vCPUs of the host harness; links with the scheduler core. Contract: host.h. */
#include "host.h"

#include "../../hypervisor/sched/run-queue.h"
#include "alloc.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void host_machine_start(uint32_t cpu_total, const char *sched_name)
{
    cpu_count = cpu_total;
    cpu_online_mask = cpu_total == MAX_CPUS ? ~0ull : cpu_bit(cpu_total) - 1;
    memset(cpus, 0, sizeof(cpus));
    memset(&sched_machine, 0, sizeof(sched_machine));
    memset(sched_fault_counts, 0, sizeof(sched_fault_counts));
    host_now_ns = 0;
    host_heap_budget = UINT64_MAX;
    host_log_clear();
    snprintf(boot_options.sched, sizeof(boot_options.sched), "%s", sched_name != NULL ? sched_name : "");
    for (uint32_t cpu = 0; cpu < cpu_total; cpu++) {
        cpus[cpu].id = cpu;
        cpus[cpu].online = true;
    }
    host_on_cpu(0);
    sched_init();
    for (uint32_t cpu = cpu_total; cpu-- > 0;) {
        host_on_cpu(cpu);
        sched_init_cpu();
    }
    host_settle();
}

void host_machine_stop(void)
{
    if (!list_empty(&sched_all_vcpus) || !list_empty(&sched_all_domains)) {
        fprintf(stderr, "host: the core still knows vCPUs or domains\n");
        abort();
    }
    host_settle();
    if (sched_use("fallback") != 0)
        abort();
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        timer_cancel(&run_queues[cpu].slice_timer);
        timer_cancel(&run_queues[cpu].watchdog_timer);
        free(cpus[cpu].idle);
    }
    heap_free(run_queues);
    run_queues = NULL;
}

struct domain *host_domain_create(domid_t id)
{
    struct domain *d = calloc(1, sizeof(*d));

    if (d == NULL)
        abort();
    d->id = id;
    if (sched_domain_init(d) != 0)
        abort();
    return d;
}

struct vcpu *host_vcpu_create(struct domain *d)
{
    struct vcpu *v = calloc(1, sizeof(*v));

    if (v == NULL || d->vcpu_max == DOMAIN_MAX_VCPUS)
        abort();
    v->domain = d;
    v->id = d->vcpu_max;
    v->time.runstate.state = RUNSTATE_offline;
    v->time.runstate.state_entry_time = host_now_ns;
    if (sched_vcpu_init(v) != 0)
        abort();
    d->vcpus[d->vcpu_max++] = v;
    return v;
}

void host_vcpu_start(struct vcpu *v)
{
    vcpu_set_down(v, false);
    vcpu_unpause(v);
}

void host_vcpu_destroy(struct vcpu *v)
{
    if (v == NULL)
        return;
    vcpu_pause(v);
    if (!host_threads)
        host_settle();
    sched_vcpu_destroy(v);
    v->domain->vcpus[v->id] = NULL;
    free(v);
}

void host_domain_destroy(struct domain *d)
{
    for (uint32_t id = 0; id < d->vcpu_max; id++)
        host_vcpu_destroy(d->vcpus[id]);
    sched_domain_destroy(d);
    free(d);
}
