// SPDX-License-Identifier: MIT
/* The life of a child as Domain0 makes and watches it (control.h): what is told of it, when, and that it is true. Foreign mappings. Schedulers. */
#include "control.h"

static int exc_port, change_port;
static uint64_t last_seen;

static void watch(void)
{
    struct collet_changes c = {.after = ~0ul};

    exc_port = bind_virq(VIRQ_DOM_EXC, 0);
    change_port = bind_virq(COLLET_VIRQ_CHANGES, 0);
    port_forget(exc_port);
    port_unmask(exc_port);
    port_forget(change_port);
    port_unmask(change_port);
    control(COLLET_OP_CHANGES, &c);
    last_seen = c.last;
}

static void unwatch(void)
{
    port_close(exc_port);
    port_close(change_port);
}

/* The next record must come within two seconds, and be this. */
static void told(const char *name, uint32_t kind, uint32_t domid, uint64_t value, const char *text)
{
    static struct collet_change record;
    struct collet_changes c;
    uint64_t until = now_ns() + 2000000000;

    do {
        c = (struct collet_changes){.after = last_seen, .buffer = (uint64_t)&record, .count = 1};
        if (control(COLLET_OP_CHANGES, &c) != 0)
            give_up("CHANGES\n");
    } while (c.count == 0 && now_ns() < until && sched_op(SCHEDOP_yield, 0) == 0);
    if (c.count == 1 && record.kind == kind && record.domid == domid && record.value == value && strcmp(record.text, text) == 0 &&
        record.number == last_seen + 1 && record.time_ns <= now_ns() + 1000000 && c.lost == 0) {
        check(name, true);
    } else {
        note("%s: %u records, kind %u domain %u value %lu text '%s' number %lu\n", name, c.count, record.kind, record.domid,
             (unsigned long)record.value, record.text, (unsigned long)record.number);
        check(name, false);
    }
    last_seen = record.number;
}

static bool wait_flags(uint32_t domid, uint32_t flags, struct collet_domain_info *info)
{
    uint64_t until = now_ns() + 2000000000;

    while (domain_info(domid, info) && !(info->flags & flags) && now_ns() < until)
        sched_op(SCHEDOP_yield, 0);
    return (info->flags & flags) != 0;
}

static void hello(void)
{
    struct child_orders orders = {.mode = {CHILD_HELLO, CHILD_STAY_DOWN}, .text = "[t] a child says hello\n", .reason = SHUTDOWN_reboot};
    struct collet_domain_info info;
    struct child c;

    orders.text_bytes = (uint32_t)strlen(orders.text);
    child_build(&c, "hello", 1, &orders);
    told("told-created", COLLET_CHANGE_DOMAIN_CREATED, c.domid, 0, "hello");
    expect("unpause", child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid), 0);
    told("told-unpaused", COLLET_CHANGE_DOMAIN_UNPAUSED, c.domid, 0, "hello");
    check("child-shuts-down", wait_flags(c.domid, COLLET_DOMAIN_SHUT_DOWN, &info));
    expect("shutdown-reason", info.shutdown_reason, SHUTDOWN_reboot);
    check("not-crashed", !(info.flags & COLLET_DOMAIN_CRASHED) && info.crash_text[0] == '\0');
    check("DOM_EXC-at-shutdown", port_wait(exc_port, 0, 2000000000));
    check("CHANGES-virq", port_wait(change_port, 0, 2000000000));
    told("told-shut-down", COLLET_CHANGE_DOMAIN_SHUT_DOWN, c.domid, SHUTDOWN_reboot, "hello");
    port_forget(exc_port);
    expect("destroy-shut-down", child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid), 0);
    told("told-destroyed", COLLET_CHANGE_DOMAIN_DESTROYED, c.domid, 0, "hello");
    check("DOM_EXC-at-destroy", port_wait(exc_port, 0, 2000000000));
    check("destroyed-is-gone", !domain_info(c.domid, &info));
}

static void crash(void)
{
    struct child_orders orders = {.mode = {CHILD_CRASH, CHILD_STAY_DOWN}};
    struct collet_domain_info info;
    struct child c;

    child_build(&c, "crash", 1, &orders);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    check("child-crashes", wait_flags(c.domid, COLLET_DOMAIN_CRASHED, &info));
    wait_flags(c.domid, COLLET_DOMAIN_SHUT_DOWN, &info);
    expect("crash-reason", info.shutdown_reason, SHUTDOWN_crash);
    check("crash-text", info.crash_text[0] != '\0');
    told("told-created-2", COLLET_CHANGE_DOMAIN_CREATED, c.domid, 0, "crash");
    told("told-unpaused-2", COLLET_CHANGE_DOMAIN_UNPAUSED, c.domid, 0, "crash");
    told("told-crashed", COLLET_CHANGE_DOMAIN_SHUT_DOWN, c.domid, SHUTDOWN_crash, "crash");
    expect("unpause-crashed", child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid), 0);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
    told("told-crashed-destroyed", COLLET_CHANGE_DOMAIN_DESTROYED, c.domid, 0, "crash");
}

static void figures(const struct child *c)
{
    struct collet_vcpu_info v[2];
    struct collet_vcpu_list list = {.domid = c->domid, .count = 2, .entry_bytes = sizeof(v[0]), .buffer = (uint64_t)v};
    struct collet_domain_pages p = {.domid = c->domid};
    struct collet_domain_info info;
    uint64_t sum = 0;

    if (!domain_info(c->domid, &info) || control(COLLET_OP_VCPU_LIST, &list) != 0 || control(COLLET_OP_DOMAIN_PAGES, &p) != 0)
        give_up("figures\n");
    expect("list-name", strcmp(info.name, "loop"), 0);
    check("list-flags", (info.flags & (COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_SHUT_DOWN | COLLET_DOMAIN_PRIVILEGED | COLLET_DOMAIN_DYING)) == 0);
    check("list-vcpus", info.vcpus_max == 2 && info.vcpus_online == 2);
    check("list-frames", info.frames == CHILD_PAGES && info.frames_max == 2 * CHILD_PAGES && info.frames_shared >= 2);
    check("list-hypervisor-bytes", info.hypervisor_bytes > 8192 && info.hypervisor_bytes < 256 * 1024);
    check("list-times", info.created_ns < now_ns() && info.runs_ns > 0);
    check("list-hypercalls", info.hypercalls >= 2);
    check("list-ports", info.ports == 3);
    expect("vcpus-listed", list.count, 2);
    check("vcpu-numbers", v[0].vcpu == 0 && v[1].vcpu == 1);
    check("vcpu-time-in-states", v[0].time_ns[0] > 0 && v[0].time_ns[0] + v[0].time_ns[1] + v[0].time_ns[2] + v[0].time_ns[3] <= now_ns() + 1000000);
    check("vcpu-dispatches", v[0].dispatches > 0 && v[1].dispatches > 0);
    for (unsigned int i = 0; i < COLLET_PAGES_TYPES; i++)
        sum += p.frames[i];
    expect("pages-sum", sum, info.frames + info.frames_shared);
    check("pages-tables", p.frames[COLLET_PAGES_L1] == 1 && p.frames[COLLET_PAGES_L2] == 1 && p.frames[COLLET_PAGES_L3] == 1 && p.frames[COLLET_PAGES_L4] == 1);
    check("pages-pinned", p.pinned == 1);
    check("pages-writable", p.frames[COLLET_PAGES_WRITABLE] >= 8);
}

static void pausing(void)
{
    struct child_orders orders = {.mode = {CHILD_LOOP, CHILD_MEMORY}};
    struct collet_domain_info info;
    bool stands = true, goes = true;
    struct child c;

    child_build(&c, "loop", 2, &orders);
    expect("view-orders", view_map(0, c.mfn[CHILD_ORDERS], c.domid, PTE_RO), 0);
    pause_ns(20000000);
    check("does-not-run-before-unpause", view_orders(0)->count[0] == 0);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    check("child-runs", view_counts(0, 0));
    check("child's-second-vcpu-runs", view_counts(0, 1));
    check("balloons", view_orders(0)->result >= 0);
    for (unsigned int i = 0; i < 50; i++) {
        uint64_t was[2];

        if (child_ref(COLLET_OP_DOMAIN_PAUSE, c.domid) != 0)
            check("pause", false);
        was[0] = view_orders(0)->count[0];
        was[1] = view_orders(0)->count[1];
        pause_ns(i == 0 ? 30000000 : 100000);
        stands = stands && view_orders(0)->count[0] == was[0] && view_orders(0)->count[1] == was[1];
        if (child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid) != 0 || child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid) != 0)
            check("unpause-again", false);
        goes = goes && view_counts(0, 0) && view_counts(0, 1);
    }
    check("paused-stands-still", stands);
    check("unpaused-goes-on", goes);
    child_ref(COLLET_OP_DOMAIN_PAUSE, c.domid);
    check("list-says-paused", domain_info(c.domid, &info) && (info.flags & COLLET_DOMAIN_PAUSED));
    view_unmap(0);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
}

/* More changes than are kept: the reader is told how many it has missed. */
static void overflow(void)
{
    static struct collet_change record[4];
    struct collet_changes c = {.after = ~0ul};
    struct collet_domain_memory_max m = {.frames_max = 100};
    struct child child;
    uint64_t before;

    child_create(&child, "changes", 1, 100);
    control(COLLET_OP_CHANGES, &c);
    before = c.last;
    m.domid = child.domid;
    for (unsigned int i = 1; i <= COLLET_CHANGES_KEPT + 76; i++) {
        m.frames_max = i;
        control(COLLET_OP_DOMAIN_MEMORY_MAX, &m);
    }
    c = (struct collet_changes){.after = before, .buffer = (uint64_t)record, .count = 4};
    expect("changes-after-an-overflow", control(COLLET_OP_CHANGES, &c), 0);
    check("changes-lost-are-told", c.lost == 76 && c.count == 4 && c.last == before + COLLET_CHANGES_KEPT + 76);
    check("changes-go-on-behind", record[0].number == before + 77 && record[0].value == 77 && record[3].number == before + 80 &&
                                      record[0].kind == COLLET_CHANGE_MEMORY_MAX && record[0].domid == child.domid);
    child_ref(COLLET_OP_DOMAIN_DESTROY, child.domid);
}

static void watched_figures(void)
{
    struct child_orders orders = {.mode = {CHILD_CONSOLE_IO, CHILD_LOOP}};
    struct child c;

    child_build(&c, "loop", 2, &orders);
    view_map(0, c.mfn[CHILD_ORDERS], c.domid, PTE_RO);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    view_counts(0, 0);
    view_counts(0, 1);
    pause_ns(20000000);
    figures(&c);
    view_unmap(0);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
}

void control_life(void)
{
    watch();
    hello();
    crash();
    unwatch();
    pausing();
    overflow();
    watched_figures();
}

/* ---- foreign mappings ---- */

void control_foreign(void)
{
    struct child_orders orders = {.mode = {CHILD_BLOCK, CHILD_STAY_DOWN}};
    struct mmu_update u;
    struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};
    struct collet_trace_start t = {.kinds = 1, .pages = 4};
    static uint64_t ring[8];
    struct collet_trace_info ti = {.count = 5, .mfns = (uint64_t)ring};
    struct child c;

    expect("foreign-create", child_create(&c, "foreign", 1, 100), 0);
    child_populate(&c);
    child_fill(&c, &orders);
    expect("foreign-readonly", view_map(0, c.mfn[CHILD_DATA], c.domid, PTE_RO), 0);
    expect("foreign-writable", view_map(1, c.mfn[CHILD_DATA], c.domid, PTE_PAGE), 0);
    *(volatile uint64_t *)region_va(&views, 1) = 0x1234567;
    expect("foreign-same-frame", *(volatile uint64_t *)region_va(&views, 0), 0x1234567);
    expect("foreign-l1-writable-while-building", view_map(2, c.mfn[CHILD_L1], c.domid, PTE_PAGE), 0);
    expect("writable-here-is-no-table-there", child_start(&c), X_EINVAL);
    view_unmap(2);
    expect("foreign-l1-readonly", view_map(2, c.mfn[CHILD_L1], c.domid, PTE_RO), 0);
    expect("readonly-here-is-a-table-there", child_start(&c), 0);
    expect_error("table-there-is-not-writable-here", view_map(3, c.mfn[CHILD_L1], c.domid, PTE_PAGE));
    expect_error("l4-there-is-not-writable-here", view_map(3, c.mfn[CHILD_L4], c.domid, PTE_PAGE));
    expect_error("readonly-view-not-upgraded", view_map(2, c.mfn[CHILD_L1], c.domid, PTE_PAGE));
    expect_error("as-our-own", view_map(3, c.mfn[CHILD_DATA], DOMID_SELF, PTE_RO));
    expect_error("ours-as-its", view_map(3, mfn_of(page_alloc()), c.domid, PTE_RO));
    expect_error("nobody's", view_map(3, c.mfn[CHILD_DATA], 30000, PTE_RO));
    u = (struct mmu_update){.ptr = maddr_of(&views.l2[1]), .val = c.mfn[CHILD_L1] << PAGE_SHIFT | PTE_TABLE};
    expect_error("foreign-frame-as-our-table", mmu_update(&u, 1, 0, c.domid));
    u = (struct mmu_update){.ptr = c.mfn[CHILD_L1] << PAGE_SHIFT, .val = 0};
    expect_error("foreign-table-written", mmu_update(&u, 1, 0, c.domid));
    u = (struct mmu_update){.ptr = c.mfn[CHILD_DATA] << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, .val = 5};
    expect_error("foreign-m2p", mmu_update(&u, 1, 0, c.domid));
    expect_error("foreign-m2p-as-ours", mmu_update(&u, 1, 0, DOMID_SELF));
    expect_error("its-tables-for-us", mmu_update(&u, 1, 0, DOMID_SELF | (c.domid + 1) << 16));
    op.arg1.mfn = c.mfn[CHILD_DATA];
    expect_error("foreign-pin", mmuext_op(&op, 1, 0, c.domid));
    op.cmd = MMUEXT_CLEAR_PAGE;
    expect_error("foreign-clear", mmuext_op(&op, 1, 0, c.domid));
    expect("otherdomain-va-mapping", hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, region_va(&views, 4), c.mfn[CHILD_DATA] << PAGE_SHIFT | PTE_RO, UVMF_INVLPG, c.domid), 0);
    expect("otherdomain-va-mapping-shows", *(volatile uint64_t *)region_va(&views, 4), 0x1234567);
    /* the hypervisor's own pages that may be looked at */
    expect_any("trace-start", control(COLLET_OP_TRACE_START, &t), 0, X_EBUSY);
    expect("trace-info", control(COLLET_OP_TRACE_INFO, &ti), 0);
    if (ti.count > 0) {
        expect("trace-frame-readonly", view_map(5, ring[0], DOMID_XEN, PTE_RO), 0);
        expect_error("trace-frame-writable", view_map(6, ring[0], DOMID_XEN, PTE_PAGE));
        expect_error("trace-frame-made-writable", view_map(5, ring[0], DOMID_XEN, PTE_PAGE));
        expect_error("trace-frame-as-ours", view_map(6, ring[0], DOMID_SELF, PTE_RO));
        expect_error("trace-frame-as-the-child's", view_map(6, ring[0], c.domid, PTE_RO));
        u = (struct mmu_update){.ptr = maddr_of(&views.l2[1]), .val = ring[0] << PAGE_SHIFT | PTE_TABLE};
        expect_error("trace-frame-as-table", mmu_update(&u, 1, 0, DOMID_XEN));
        check("trace-frame-write-faults", catch_write((uint64_t)region_va(&views, 5), 1) == 14);
        view_unmap(5);
    } else {
        check("trace-has-frames", false);
    }
    expect_error("hypervisor-m2p-frame-as-DOMID_XEN", view_map(6, start_info->shared_info >> PAGE_SHIFT, DOMID_XEN, PTE_RO));
    control_call(COLLET_OP_TRACE_STOP, 0, 0);
    for (unsigned int i = 0; i < 5; i++)
        view_unmap(i);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
    expect_error("frame-of-the-destroyed", view_map(0, c.mfn[CHILD_DATA], c.domid, PTE_RO));
}

/* ---- schedulers ---- */

static struct collet_sched_module modules[16];
static struct collet_sched_param params[32];

static long value_op(unsigned int op, struct collet_sched_value *values, unsigned int count, uint32_t *failed)
{
    struct collet_sched_values a = {.buffer = (uint64_t)values, .count = count};
    long rc = control(op, &a);

    if (failed != NULL)
        *failed = a.failed;
    return rc;
}

static void params_try(uint32_t domid)
{
    struct collet_sched_param_list pl = {.count = COUNT_OF(params), .buffer = (uint64_t)params};
    struct collet_sched_value v[2];
    uint32_t failed = 0;

    if (control(COLLET_OP_SCHED_PARAM_LIST, &pl) != 0)
        check("param-list", false);
    for (unsigned int i = 0; i < pl.count; i++) {
        memset(v, 0, sizeof(v));
        memcpy(v[0].name, params[i].name, sizeof(v[0].name));
        v[0].domid = domid;
        v[0].scope = params[i].scopes & COLLET_SCOPE_DOMAIN ? COLLET_SCOPE_DOMAIN : params[i].scopes & COLLET_SCOPE_VCPU ? COLLET_SCOPE_VCPU : COLLET_SCOPE_MODULE;
        if (value_op(COLLET_OP_SCHED_GET, v, 1, NULL) != 0 || value_op(COLLET_OP_SCHED_SET, v, 1, NULL) != 0)
            check("get-and-set-the-same", false);
        if (v[0].value < params[i].minimum || v[0].value > params[i].maximum)
            check("value-within-its-range", false);
        if (params[i].maximum != ~0ul) {
            v[1] = v[0];
            v[1].value = params[i].maximum + 1;
            if (value_op(COLLET_OP_SCHED_SET, v, 2, &failed) != X_ERANGE || failed != 1)
                check("set-out-of-range", false);
        }
        v[1] = v[0];
        v[1].domid = 30000;
        if (v[0].scope != COLLET_SCOPE_MODULE && (value_op(COLLET_OP_SCHED_GET, v, 2, &failed) != -3 || failed != 1))
            check("get-of-nobody", false);
        v[1].scope = 3;
        if (value_op(COLLET_OP_SCHED_SET, &v[1], 1, &failed) >= 0 || failed != 0)
            check("set-at-two-scopes", false);
    }
    memset(v, 0, sizeof(v));
    memcpy(v[0].name, "no-such-thing", 14);
    v[0].scope = COLLET_SCOPE_DOMAIN;
    expect("set-no-such-parameter", value_op(COLLET_OP_SCHED_SET, v, 1, &failed), X_ENOENT);
}

static void value_named(struct collet_sched_value *v, uint32_t domid, uint64_t value)
{
    *v = (struct collet_sched_value){.name = "weight", .scope = COLLET_SCOPE_DOMAIN, .domid = domid, .value = value};
}

/* A list comes into force whole or not at all; under bvt. */
static void lists_of_values(uint32_t domid)
{
    static struct collet_sched_value v[COLLET_SCHED_VALUES_MAX + 1];
    struct collet_sched_values a = {.module = "stride", .buffer = (uint64_t)v, .count = 1};
    uint32_t failed;

    value_named(&v[0], domid, 777);
    value_named(&v[1], domid, 0);
    expect("set-second-out-of-range", value_op(COLLET_OP_SCHED_SET, v, 2, &failed), X_ERANGE);
    expect("set-second-is-to-blame", failed, 1);
    value_op(COLLET_OP_SCHED_GET, v, 1, NULL);
    check("set-refused-sets-nothing", v[0].value != 777);
    value_named(&v[0], domid, 777);
    expect("set-a-value", value_op(COLLET_OP_SCHED_SET, v, 1, &failed), 0);
    expect("set-blames-nobody", failed, 1);
    v[0].value = 0;
    check("set-shows", value_op(COLLET_OP_SCHED_GET, v, 1, NULL) == 0 && v[0].value == 777);
    expect("set-for-another-module", control(COLLET_OP_SCHED_SET, &a), -116 /* -ESTALE */);
    expect("get-for-another-module", control(COLLET_OP_SCHED_GET, &a), -116);
    for (unsigned int i = 0; i < COUNT_OF(v); i++)
        value_named(&v[i], domid, 256);
    expect("set-the-most-at-once", value_op(COLLET_OP_SCHED_SET, v, COLLET_SCHED_VALUES_MAX, NULL), 0);
    expect_error("set-more-than-that", value_op(COLLET_OP_SCHED_SET, v, COLLET_SCHED_VALUES_MAX + 1, NULL));
    expect_error("set-count-all-ones", value_op(COLLET_OP_SCHED_SET, v, ~0u, NULL));
    memset(v[0].name, 'w', sizeof(v[0].name));
    expect_error("set-name-without-end", value_op(COLLET_OP_SCHED_SET, v, 1, NULL));
    value_named(&v[0], domid, 1);
    v[0].pad = 1;
    expect("set-reserved", value_op(COLLET_OP_SCHED_SET, v, 1, NULL), X_EINVAL);
    a = (struct collet_sched_values){.buffer = 8, .count = 1};
    expect("set-from-nowhere", control(COLLET_OP_SCHED_SET, &a), X_EFAULT);
    expect("get-to-nowhere", control(COLLET_OP_SCHED_GET, &a), X_EFAULT);
}

void control_sched(void)
{
    struct child_orders orders = {.mode = {CHILD_LOOP, CHILD_MMU}};
    struct collet_sched_list list = {.count = COUNT_OF(modules), .buffer = (uint64_t)modules};
    struct collet_sched_use use = {0};
    static struct collet_sched_status status;
    char first[COLLET_NAME_MAX] = "";
    struct child c;
    bool goes = true;

    child_build(&c, "swapped", 2, &orders);
    view_map(0, c.mfn[CHILD_ORDERS], c.domid, PTE_RO);
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c.domid);
    expect("sched-list", control(COLLET_OP_SCHED_LIST, &list), 0);
    check("sched-list-has-some", list.count >= 2);
    expect("sched-status", control(COLLET_OP_SCHED_STATUS, &status), 0);
    memcpy(first, status.active, sizeof(first));
    memcpy(use.module, "no-such-module", 15);
    expect("use-no-such-module", control(COLLET_OP_SCHED_USE, &use), X_ENOENT);
    memset(use.module, 'x', sizeof(use.module));
    expect_error("use-name-without-end", control(COLLET_OP_SCHED_USE, &use));
    for (unsigned int i = 0; i < list.count; i++) {
        memcpy(use.module, modules[i].name, sizeof(use.module));
        expect("sched-use", control(COLLET_OP_SCHED_USE, &use), 0);
        control(COLLET_OP_SCHED_STATUS, &status);
        check("sched-use-shows", strcmp(status.active, modules[i].name) == 0);
        params_try(c.domid);
        if (strcmp(modules[i].name, "bvt") == 0)
            lists_of_values(c.domid);
        goes = goes && view_counts(0, 0) && view_counts(0, 1);
    }
    check("child-runs-under-each", goes);
    for (unsigned int i = 0; i < 1000; i++) {
        memcpy(use.module, modules[i % list.count].name, sizeof(use.module));
        if (control(COLLET_OP_SCHED_USE, &use) != 0)
            check("swap-and-swap", false);
    }
    memcpy(use.module, first, sizeof(first));
    control(COLLET_OP_SCHED_USE, &use);
    check("child-runs-after-1000-swaps", view_counts(0, 0) && view_counts(0, 1));
    view_unmap(0);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
}
