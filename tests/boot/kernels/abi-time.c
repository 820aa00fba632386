// SPDX-License-Identifier: MIT
/* System time, wall clock, single-shot and periodic timers, runstate. */
#include "abi.h"
#include "mini.h"

static void clocks(void)
{
    uint64_t before = now_ns(), after;
    bool forward = true;

    for (int i = 0; i < 20000; i++) {
        after = now_ns();
        forward = forward && after >= before;
        before = after;
    }
    check("system-time-monotonic", forward);
    check("wallclock-version-even", (shared_info->wc_version & 1) == 0);
    check("wallclock-plausible", shared_info->wc_sec > 1500000000u && shared_info->wc_nsec < 1000000000u);
}

static void shots(void)
{
    int port = bind_virq(VIRQ_TIMER, 0);
    struct vcpu_set_singleshot_timer shot = {0};
    struct vcpu_set_periodic_timer period = {.period_ns = 2000000};
    uint64_t start;

    port_unmask(port);
    events_mask();
    expect("stop-periodic", vcpu_op(VCPUOP_stop_periodic_timer, 0, 0), 0);
    port_forget(port);
    start = now_ns();
    shot.timeout_abs_ns = start + 5000000;
    expect("singleshot", vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot), 0);
    check("singleshot-fires", port_wait(port, 0, 2000000000) && now_ns() - start >= 5000000);
    port_forget(port);
    check("singleshot-once", !port_wait(port, 0, 8000000));
    shot.timeout_abs_ns = 1;
    expect("singleshot-past", vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot), 0);
    check("singleshot-past-fires", port_wait(port, 0, 2000000000));
    port_forget(port);
    shot.timeout_abs_ns = now_ns() + 300000000; /* long enough not to be overtaken on a busy machine */
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    expect("singleshot-stop", vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0), 0);
    check("singleshot-stopped", !port_wait(port, 0, 400000000));
    port_forget(port);
    expect("set-timer-op", set_timer_op(now_ns() + 2000000), 0);
    check("set-timer-op-fires", port_wait(port, 0, 2000000000));
    port_forget(port);
    expect("set-timer-op-zero", set_timer_op(0), 0);
    port_forget(port);
    expect("periodic", vcpu_op(VCPUOP_set_periodic_timer, 0, &period), 0);
    check("periodic-fires-again", port_wait(port, 4, 2000000000));
    expect("periodic-stop", vcpu_op(VCPUOP_stop_periodic_timer, 0, 0), 0);
    pause_ns(5000000);
    port_wait(port, 1000000, 1000000);
    port_forget(port);
    check("periodic-stopped", !port_wait(port, 0, 10000000));
    period.period_ns = 1000;
    expect_error("periodic-too-short", vcpu_op(VCPUOP_set_periodic_timer, 0, &period));
    port_close(port);
}

static void runstate(void)
{
    static struct vcpu_runstate_info area, answer;
    struct vcpu_register_runstate_memory_area reg = {0};
    uint64_t sum;

    set_xen_guest_handle(reg.addr.h, &area);
    expect("runstate-register", vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0);
    expect("runstate-get", vcpu_op(VCPUOP_get_runstate_info, 0, &answer), 0);
    expect("runstate-running", answer.state, RUNSTATE_running);
    check("runstate-area-filled", area.state == RUNSTATE_running && area.time[RUNSTATE_running] > 0);
    sum = answer.time[0] + answer.time[1] + answer.time[2] + answer.time[3];
    pause_ns(3000000);
    vcpu_op(VCPUOP_get_runstate_info, 0, &answer);
    check("runstate-advances", answer.time[0] + answer.time[1] + answer.time[2] + answer.time[3] >= sum + 2900000);
    expect_error("runstate-no-vcpu", vcpu_op(VCPUOP_get_runstate_info, 4711, &answer));
    expect("vcpu-is-up", vcpu_op(VCPUOP_is_up, 0, 0), 1);
    expect("vcpu-absent-is-enoent", vcpu_op(VCPUOP_is_up, 4711, 0), X_ENOENT);
    reg.addr.p = 0;
    vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
}

void abi_time(void)
{
    clocks();
    shots();
    runstate();
}
