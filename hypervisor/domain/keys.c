/* SPDX-License-Identifier: MIT */
/* Console keys: 'q' lists domains and vCPUs, 'a' audits all frame counts. */
#include "domain-internal.h"

#include "alloc.h"
#include "console.h"
#include "cpu.h"
#include "log.h"

static const char *vcpu_state(const struct vcpu *v)
{
    uint32_t blockers = READ_ONCE(v->sched.blockers);

    if (blockers & SCHED_DOWN)
        return "down";
    if (blockers & SCHED_PAUSED)
        return "paused";
    if (blockers & SCHED_BLOCKED)
        return v->polling ? "polling" : "blocked";
    return v->time.runstate.state == RUNSTATE_running ? "running" : "runnable";
}

static void list_vcpu(const struct vcpu *v)
{
    log_info("  v%u: %s, pCPU %u, %s, ran %lu ms, %lu hypercalls, %lu faults, %lu emulated updates%s%s", v->id, vcpu_state(v),
             v->cpu, v->in_kernel ? "kernel" : "user", (unsigned long)(vcpu_virtual_now_ns(v) / NS_PER_MS),
             (unsigned long)v->hypercalls, (unsigned long)v->faults, (unsigned long)v->pt_emulations,
             v->info != NULL && v->info->evtchn_upcall_pending ? ", event pending" : "",
             v->info != NULL && v->info->evtchn_upcall_mask ? ", masked" : "");
}

/* One that is dying may lose its vCPUs at any moment. */
static void list_vcpus(struct domain *d)
{
    struct vcpu *v;

    if (!domain_memory_enter(d))
        return;
    for_each_vcpu(d, v)
        list_vcpu(v);
    domain_memory_leave(d);
}

static void key_list(char key)
{
    struct domain *d;
    uint32_t id = 0;

    (void)key;
    log_info("scheduler %s, %lu frames free", sched_active_name(), (unsigned long)frames_free_count());
    while ((d = domain_find_from(id)) != NULL) {
        id = d->id + 1u;
        log_info("d%u %s: %lu of at most %lu frames, %u references, %lu events%s%s%s", d->id, d->name,
                 (unsigned long)d->frame_count, (unsigned long)d->frame_max, d->refs, (unsigned long)d->events.sent,
                 d->privileged ? ", privileged" : "", d->crashed ? ", crashed" : d->shut_down ? ", shut down" : "",
                 d->dying ? ", dying" : "");
        list_vcpus(d);
        domain_put(d);
    }
}

static void key_audit(char key)
{
    (void)key;
    domain_audit_request();
}

void domain_keys_init(void)
{
    console_register_key('q', key_list, "list domains and vCPUs");
    console_register_key('a', key_audit, "audit all frame counts");
}
