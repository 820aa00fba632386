// SPDX-License-Identifier: MIT
/*
 * A CPU-bound guest, for measuring shares: every vCPU spins and reports its running time (runstate) each report_ms=N (500) of real time, until the machine ends.
 * report=0: spins and says nothing. role=tick: mostly asleep, wakes each period_us=N (10000) and works work_us=N (20).
 * role=idle: Domain0's part, asleep for seconds=N (12) and then the end; with until=N the end comes with the N-th other domain's.
 */
#include "mini.h"

static uint64_t period_ns, weight;
static bool reports;

static void report(void)
{
    unsigned int id = this_vcpu()->id;
    struct vcpu_runstate_info state = {0};

    vcpu_op(VCPUOP_get_runstate_info, id, &state);
    print("[t] spin weight=%lu vcpu=%u real=%lu virtual=%lu\n", (unsigned long)weight, id, (unsigned long)now_ns(),
          (unsigned long)state.time[RUNSTATE_running]);
}

static void spin(void *unused)
{
    (void)unused;
    for (uint64_t next = now_ns();;) {
        if (now_ns() < next)
            continue;
        if (reports)
            report();
        next += period_ns;
    }
}

/* Wakes for a little work again and again: what a domain that waits for its events does. */
static void tick(uint64_t each_ns, uint64_t work_ns)
{
    int port = bind_virq(VIRQ_TIMER, 0);

    vcpu_op(VCPUOP_stop_periodic_timer, 0, 0);
    port_unmask(port);
    events_mask();
    for (uint64_t next = now_ns() + each_ns;; next += each_ns) {
        struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = next};
        uint64_t end;

        port_forget(port);
        vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
        /* Masked while it looks: an upcall between the look and the block would take the wake-up with it. */
        while (now_ns() < next) {
            sched_op(SCHEDOP_block, 0); /* unmasks upcalls */
            events_mask();
        }
        for (end = now_ns() + work_ns; now_ns() < end;)
            barrier();
        if (now_ns() > next + each_ns)
            next = now_ns();
    }
}

/* Blocked, so as to take no share; `ends` deaths of other domains end it early. */
static void sleep_ns(uint64_t ns, unsigned int ends)
{
    int deaths = bind_virq(VIRQ_DOM_EXC, 0);
    struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = now_ns() + ns};
    int port = bind_virq(VIRQ_TIMER, 0);

    vcpu_op(VCPUOP_stop_periodic_timer, 0, 0);
    port_forget(port);
    port_unmask(port);
    events_mask();
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    port_forget(deaths);
    port_unmask(deaths);
    while (port_count[port] == 0 && (ends == 0 || port_count[deaths] < ends * 2)) /* each is told twice: ended, destroyed */ {
        sched_op(SCHEDOP_block, 0);
        events_mask();
    }
}

void kernel_main(void)
{
    char role[16] = "";

    weight = arg_number("weight", 1);
    reports = arg_number("report", 1) != 0;
    period_ns = arg_number("report_ms", 500) * 1000000;
    arg_string("role", role, sizeof(role));
    if (strcmp(role, "tick") == 0)
        tick(arg_number("period_us", 10000) * 1000, arg_number("work_us", 20) * 1000);
    if (strcmp(role, "idle") == 0) {
        sleep_ns(arg_number("seconds", 12) * 1000000000ul, (unsigned int)arg_number("until", 0));
        finish();
    }
    for (unsigned int i = 1; i < vcpu_count; i++)
        if (vcpu_start(i) == 0)
            vcpu_do(i, spin, NULL);
    spin(NULL);
}
