// SPDX-License-Identifier: MIT
/*
 * Random operations of the control interface with random structures from a seed (control.h), half of them valid-looking: count=N calls, seed=N. Every answer will do; nothing may
 * break, and in the end every frame must be back.
 */
#include "control.h"

#include <collet/disk-record.h>
#include <vfr/bpf.h>
#include <vfr/ruleset.h>

static uint64_t random_state;
static uint8_t *scratch, *buffer;
static struct child fuzzed[3];

static uint64_t below(uint64_t n)
{
    return random_next(&random_state) % n;
}

static uint64_t any_domid(void)
{
    switch (below(12)) {
    case 0:
        return below(40);
    case 1:
        return random_next(&random_state);
    case 2:
        return DOMID_SELF + below(6);
    case 3:
        return 0;
    default:
        return fuzzed[below(3)].domid;
    }
}

static uint64_t any_address(void)
{
    switch (below(10)) {
    case 0:
        return 0xffff800000000000ul + random_next(&random_state) % 0x80000000000ul;
    case 1:
        return random_next(&random_state);
    case 2:
        return 0;
    case 3:
        return 0x0000800000000000ul - below(64);
    default:
        return (uint64_t)buffer + (below(4) == 0 ? below(PAGE_SIZE) : 0);
    }
}

static uint64_t any_number(void)
{
    switch (below(8)) {
    case 0:
        return random_next(&random_state);
    case 1:
        return 1ul << below(64);
    case 2:
        return ~0ul - below(3);
    case 3:
        return fuzzed[below(3)].mfn[below(CHILD_PAGES)];
    case 4:
        return any_address();
    default:
        return below(40);
    }
}

static void fill_random(void)
{
    uint64_t *word = (uint64_t *)scratch;

    memset(scratch, 0, PAGE_SIZE);
    for (unsigned int i = 0; i < 32; i++)
        word[i] = below(3) == 0 ? (any_number() & 0xffffffff) | below(32) << 32 : below(2) ? any_number() : 0;
    if (below(4) != 0)
        *(uint32_t *)scratch = (uint32_t)any_domid();
}

/* Frame numbers in the buffer, where operations find them. */
static void fill_buffer(void)
{
    uint64_t *word = (uint64_t *)buffer;

    for (unsigned int i = 0; i < 512; i++)
        word[i] = below(4) ? fuzzed[below(3)].mfn[below(CHILD_PAGES)] : any_number();
}

static void name_fill(char *name)
{
    snprintf(name, COLLET_NAME_MAX, "fuzz%u", (unsigned int)below(4));
    if (below(8) == 0)
        memset(name, (int)below(256), COLLET_NAME_MAX);
}

/* What would take the ground from under us: a parameter or CPU mask that starves this very domain is Domain0's right, and no test. */
static bool op_spared(unsigned int op)
{
    return op == COLLET_OP_SCHED_SET || (op == COLLET_OP_TRACE_START && below(50) != 0);
}

/* Extents in the buffer: they may overlap, be nowhere, or end where none is wanted. */
static void fill_extents(void)
{
    struct collet_extent *e = (struct collet_extent *)buffer;

    for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*e); i++)
        e[i] = (struct collet_extent){.disk = (uint32_t)below(3), .sector = below(4) ? below(64) * 256 : any_number(), .sectors = below(4) ? 256 * below(9) : any_number()};
}

static void disk_name_fill(char *name)
{
    static const char names[][COLLET_NAME_MAX] = {"elevator", "fifo", "deadline", "fair", "hp97560", "weight", "none", ""};

    memcpy(name, names[below(COUNT_OF(names))], COLLET_NAME_MAX);
    if (below(16) == 0)
        memset(name, (int)below(256), COLLET_NAME_MAX);
}

static uint32_t any_vbd(void)
{
    return below(8) ? (uint32_t)below(200) : (uint32_t)any_number();
}

static unsigned int valid_disk_op(void *s)
{
    unsigned int op = COLLET_OP_DISK_LIST + (unsigned int)below(COLLET_OP_DISK_RECORD_READ - COLLET_OP_DISK_LIST + 1);
    uint32_t disk = (uint32_t)below(3);

    switch (op) {
    case COLLET_OP_DISK_LIST:
        *(struct collet_disk_list *)s =
            (struct collet_disk_list){.first = disk, .count = (uint32_t)below(4), .buffer = any_address(), .entry_bytes = (uint32_t)below(5000)};
        break;
    case COLLET_OP_DISK_MODULE_LIST:
        *(struct collet_sched_list *)s = (struct collet_sched_list){.first = (uint32_t)below(3), .count = (uint32_t)below(12), .buffer = any_address()};
        break;
    case COLLET_OP_DISK_PARAM_LIST:
        *(struct collet_sched_param_list *)s = (struct collet_sched_param_list){.count = (uint32_t)below(12), .buffer = any_address()};
        disk_name_fill(s);
        break;
    case COLLET_OP_DISK_GET:
    case COLLET_OP_DISK_SET:
        *(struct collet_disk_values *)s = (struct collet_disk_values){.buffer = any_address(), .count = (uint32_t)below(below(2) ? 4 : 600), .disk = disk};
        for (unsigned int i = 0; i < 4; i++) {
            struct collet_disk_value *v = (struct collet_disk_value *)buffer + i;

            *v = (struct collet_disk_value){.scope = (uint32_t)below(4), .vbd = any_vbd(), .value = any_number()};
            disk_name_fill(v->name);
        }
        break;
    case COLLET_OP_DISK_RECORD_READ:
        *(struct collet_disk_record_read *)s = (struct collet_disk_record_read){.disk = disk, .count = (uint32_t)below(600), .buffer = any_address()};
        break;
    case COLLET_OP_DISK_RECORD:
        *(struct collet_disk_recording *)s = (struct collet_disk_recording){.disk = disk, .records = below(3) ? 1u << below(18) : 0};
        break;
    default: /* use, model */
        *(uint32_t *)s = disk;
        disk_name_fill((char *)s + 8);
    }
    return op;
}

static unsigned int valid_block_op(void *s)
{
    unsigned int op = COLLET_OP_VBD_CREATE + (unsigned int)below(COLLET_OP_VBD_EXTENTS - COLLET_OP_VBD_CREATE + 1);

    if (below(2))
        return valid_disk_op(s);
    switch (op) {
    case COLLET_OP_VBD_CREATE:
        fill_extents();
        *(struct collet_vbd_create *)s = (struct collet_vbd_create){.domid = (uint32_t)any_domid(), .flags = (uint32_t)below(4), .device = 51712 + 16 * (uint32_t)below(20),
                                                                    .extents = (uint32_t)below(below(4) ? 5 : 9000), .buffer = any_address()};
        name_fill(((struct collet_vbd_create *)s)->name);
        break;
    case COLLET_OP_VBD_CONNECT:
        *(struct collet_vbd_connect *)s = (struct collet_vbd_connect){.vbd = any_vbd(), .ring_ref = (uint32_t)below(10), .port = (uint32_t)below(10)};
        break;
    case COLLET_OP_VBD_LIST:
        *(struct collet_vbd_list *)s = (struct collet_vbd_list){.first_vbd = any_vbd(), .count = (uint32_t)below(4), .buffer = any_address(),
                                                                .entry_bytes = (uint32_t)below(5000), .domid = below(2) ? ~0u : (uint32_t)any_domid()};
        break;
    case COLLET_OP_VBD_EXTENTS:
        *(struct collet_vbd_extents *)s =
            (struct collet_vbd_extents){.vbd = any_vbd(), .first = (uint32_t)below(4), .count = (uint32_t)below(200), .buffer = any_address()};
        break;
    case COLLET_OP_VBD_LIMITS:
        *(struct collet_vbd_limits *)s = (struct collet_vbd_limits){.vbd = any_vbd(), .requests_per_s = any_number(), .bytes_per_s = any_number()};
        break;
    default: /* destroy, disconnect */
        *(uint32_t *)s = any_vbd();
    }
    return op;
}

static uint32_t any_vif(void)
{
    return below(8) ? (uint32_t)below(300) : (uint32_t)any_number();
}

static void settings_fill(struct collet_vif_settings *s)
{
    *s = (struct collet_vif_settings){.flags = (uint32_t)below(32), .segment = below(2) ? (uint32_t)below(2) : COLLET_SEGMENT_OWN + (uint32_t)below(4), .weight = (uint32_t)below(1100), .addresses = (uint32_t)below(9),
                                      .bytes_per_s = below(2) ? 0 : any_number(), .packets_per_s = below(2) ? 0 : any_number()};
    for (unsigned int i = 0; i < COLLET_VIF_ADDRESSES; i++)
        s->address[i] = (struct collet_address){.family = below(8) ? 4 + 2 * (uint8_t)below(2) : (uint8_t)below(256), .bits = (uint8_t)below(130)};
}

static unsigned int valid_vif_op(void *s)
{
    unsigned int op = COLLET_OP_NIC_LIST + (unsigned int)below(COLLET_OP_NET_SCHED_USE - COLLET_OP_NIC_LIST + 1);
    static const char names[][COLLET_NAME_MAX] = {"round-robin", "weighted", "fifo", "none", ""};

    switch (op) {
    case COLLET_OP_NIC_LIST:
        *(struct collet_nic_list *)s = (struct collet_nic_list){.first = (uint32_t)below(3), .count = (uint32_t)below(4), .buffer = any_address(), .entry_bytes = (uint32_t)below(5000)};
        break;
    case COLLET_OP_VIF_CREATE: {
        struct collet_vif_create *c = s;

        *c = (struct collet_vif_create){.domid = (uint32_t)any_domid(), .device = (uint32_t)below(10), .mac = {(uint8_t)below(4), 2, 3, 4, (uint8_t)below(4), (uint8_t)below(256)}};
        name_fill(c->domain);
        snprintf(c->name, sizeof(c->name), "%.32s.%u", c->domain, (unsigned int)below(20));
        settings_fill(&c->settings);
        break;
    }
    case COLLET_OP_VIF_CONNECT:
        *(struct collet_vif_connect *)s = (struct collet_vif_connect){
            .vif = any_vif(), .features = (uint32_t)below(40), .tx_ref = (uint32_t)below(10), .rx_ref = (uint32_t)below(10), .tx_port = (uint32_t)below(10), .rx_port = (uint32_t)below(10)};
        break;
    case COLLET_OP_VIF_SET:
        ((struct collet_vif_set *)s)->vif = any_vif();
        settings_fill(&((struct collet_vif_set *)s)->settings);
        break;
    case COLLET_OP_VIF_LIST:
        *(struct collet_vif_list *)s = (struct collet_vif_list){
            .first_vif = any_vif(), .count = (uint32_t)below(4), .buffer = any_address(), .entry_bytes = (uint32_t)below(5000), .domid = below(2) ? ~0u : (uint32_t)any_domid()};
        break;
    case COLLET_OP_NET_SCHED_LIST:
        *(struct collet_sched_list *)s = (struct collet_sched_list){.first = (uint32_t)below(3), .count = (uint32_t)below(12), .buffer = any_address()};
        break;
    case COLLET_OP_NET_SCHED_USE:
        memcpy(s, names[below(COUNT_OF(names))], COLLET_NAME_MAX);
        break;
    default: /* destroy, disconnect */
        *(uint32_t *)s = any_vif();
    }
    return op;
}

/* A set of no rules; sometimes not quite. */
static void set_fill(struct collet_rules_load *l)
{
    struct vfr_set_header *h = (struct vfr_set_header *)buffer;

    memset(h, 0, sizeof(*h));
    h->magic = VFR_SET_MAGIC;
    h->version = VFR_SET_VERSION;
    h->header_bytes = sizeof(*h);
    h->bytes = sizeof(*h);
    h->policy[0].action = h->policy[1].action = (uint8_t)below(4);
    if (below(3) == 0)
        buffer[below(sizeof(*h))] = (uint8_t)below(256);
    *l = (struct collet_rules_load){
        .buffer = (uint64_t)buffer, .bytes = below(8) ? sizeof(*h) : below(4) ? 0 : any_number(), .expect = below(4) ? ~0ull : below(50), .confirm_ms = below(8) ? 0 : (uint32_t)below(50)};
}

static unsigned int valid_rules_op(void *s)
{
    unsigned int op = COLLET_OP_RULES_LOAD + (unsigned int)below(COLLET_OP_FLOWS_LIST - COLLET_OP_RULES_LOAD + 1);
    struct collet_rules_info now = {0};

    control(COLLET_OP_RULES_INFO, &now);
    switch (op) {
    case COLLET_OP_RULES_LOAD:
        set_fill(s);
        break;
    case COLLET_OP_RULES_CONFIRM:
        *(struct collet_rules_confirm *)s = (struct collet_rules_confirm){.generation = now.generation + (below(8) == 0), .keep = (uint32_t)below(2)};
        break;
    case COLLET_OP_RULES_READ:
        *(struct collet_rules_read *)s = (struct collet_rules_read){.generation = now.generation, .offset = below(4) ? below(100) : any_number(), .buffer = any_address(), .bytes = below(4096)};
        break;
    case COLLET_OP_RULES_COUNTERS:
        *(struct collet_rules_counters *)s = (struct collet_rules_counters){.generation = now.generation, .buffer = any_address(), .first = (uint32_t)below(3), .count = (uint32_t)below(50)};
        break;
    case COLLET_OP_RULE_KINDS:
        *(struct collet_sched_list *)s = (struct collet_sched_list){.first = (uint32_t)below(9), .count = (uint32_t)below(20), .buffer = any_address()};
        break;
    case COLLET_OP_FLOWS_SET:
        *(struct collet_flows_set *)s = (struct collet_flows_set){.on = (uint32_t)below(2), .flows_max = below(4) ? 0 : 1u << below(13)};
        break;
    case COLLET_OP_FLOWS_LIST:
        *(struct collet_flows_list *)s =
            (struct collet_flows_list){.cursor = any_number(), .buffer = any_address(), .count = (uint32_t)below(20), .entry_bytes = (uint32_t)below(300), .domid = below(2) ? ~0u : (uint32_t)any_domid()};
        break;
    }
    return op;
}

static unsigned int valid_capture_op(void *s)
{
    unsigned int op = COLLET_OP_CAPTURE_OPEN + (unsigned int)below(3);

    if (op == COLLET_OP_CAPTURE_OPEN) {
        static const char targets[][16] = {"*", "nic0", "fuzz1", "fuzz*,nic0", "a,,b", ""};
        struct collet_capture_open *o = s;
        struct vfr_bpf_insn *insn = (struct vfr_bpf_insn *)buffer;

        for (unsigned int i = 0; i < 64; i++)
            insn[i] = (struct vfr_bpf_insn){.code = below(2) ? 6 : (uint16_t)below(256), .jt = (uint8_t)below(3), .jf = (uint8_t)below(3), .k = (uint32_t)any_number()};
        *o = (struct collet_capture_open){
            .filter = (uint64_t)buffer, .filter_count = (uint32_t)below(5), .snap_bytes = (uint32_t)below(2000), .flags = (uint32_t)below(20), .pages = below(8) ? 1u << below(5) : (uint32_t)any_number()};
        memcpy(o->targets, targets[below(COUNT_OF(targets))], sizeof(targets[0]));
    } else if (op == COLLET_OP_CAPTURE_INFO) {
        *(struct collet_capture_info *)s =
            (struct collet_capture_info){.capture = (uint32_t)below(60), .next = (uint32_t)below(2), .consumed = below(2) ? 0 : any_address(), .mfns = any_address(), .cpu = (uint32_t)below(4), .count = (uint32_t)below(70)};
    } else {
        *(uint32_t *)s = (uint32_t)below(60);
    }
    return op;
}

static unsigned int valid_net_op(void *s)
{
    switch (below(4)) {
    case 0: return valid_rules_op(s);
    case 1: return valid_capture_op(s);
    default: return valid_vif_op(s);
    }
}

static unsigned int valid_op(void)
{
    unsigned int op = (unsigned int)below(67);
    struct child *c = &fuzzed[below(3)];
    void *s = scratch;

    memset(s, 0, PAGE_SIZE);
    if (below(4) == 0)
        return valid_block_op(s);
    if (below(3) == 0)
        return valid_net_op(s);
    switch (op) {
    case COLLET_OP_LOG_READ:
        *(struct collet_log_read *)s = (struct collet_log_read){.from = below(100000), .buffer = any_address(), .bytes = (uint32_t)below(5000)};
        break;
    case COLLET_OP_CHANGES:
        *(struct collet_changes *)s = (struct collet_changes){.after = below(2) ? below(100000) : ~0ul, .buffer = any_address(), .count = (uint32_t)below(20)};
        break;
    case COLLET_OP_DOMAIN_CREATE:
        *(struct collet_domain_create *)s = (struct collet_domain_create){.vcpus = 1 + (uint32_t)below(3), .frames_max = below(300)};
        name_fill(s);
        break;
    case COLLET_OP_DOMAIN_POPULATE:
        *(struct collet_domain_populate *)s =
            (struct collet_domain_populate){.domid = (uint32_t)any_domid(), .count = (uint32_t)below(80), .first_pfn = below(100), .mfns = any_address()};
        break;
    case COLLET_OP_DOMAIN_WRITE:
        fill_buffer();
        *(struct collet_domain_write *)s = (struct collet_domain_write){
            .domid = (uint32_t)any_domid(), .offset = (uint32_t)below(5000), .mfns = any_address(), .source = below(2) ? any_address() : 0, .bytes = below(100000)};
        break;
    case COLLET_OP_DOMAIN_SHARE:
        *(struct collet_domain_share *)s = (struct collet_domain_share){.domid = c->domid, .grant_ref = (uint32_t)below(10), .mfn = any_number()};
        break;
    case COLLET_OP_DOMAIN_START_STATE:
        *(struct collet_domain_start_state *)s = (struct collet_domain_start_state){
            .domid = c->domid, .l4_mfn = c->mfn[below(4) ? CHILD_L4 : below(CHILD_PAGES)], .entry = below(4) ? CHILD_VA : any_address(), .stack = any_address(),
            .start_info = any_address(), .ram_frames = any_number()};
        break;
    case COLLET_OP_DOMAIN_LIST:
        *(struct collet_domain_list *)s = (struct collet_domain_list){
            .first_domid = (uint32_t)any_domid(), .count = (uint32_t)below(4), .buffer = any_address(), .entry_bytes = (uint32_t)below(5000)};
        break;
    case COLLET_OP_VCPU_LIST:
        *(struct collet_vcpu_list *)s = (struct collet_vcpu_list){
            .domid = (uint32_t)any_domid(), .first_vcpu = (uint32_t)below(3), .count = (uint32_t)below(4), .entry_bytes = (uint32_t)below(5000), .buffer = any_address()};
        break;
    case COLLET_OP_VCPU_AFFINITY:
        *(struct collet_vcpu_affinity *)s = (struct collet_vcpu_affinity){.domid = (uint32_t)any_domid(), .vcpu = below(2) ? ~0u : (uint32_t)below(4), .affinity = any_number()};
        break;
    case COLLET_OP_DOMAIN_RENAME:
        name_fill((char *)s + 8);
        *(uint32_t *)s = (uint32_t)any_domid();
        break;
    case COLLET_OP_DOMAIN_MEMORY_MAX:
        *(struct collet_domain_memory_max *)s = (struct collet_domain_memory_max){.domid = fuzzed[below(3)].domid, .frames_max = below(400)};
        break;
    case COLLET_OP_SCHED_LIST:
    case COLLET_OP_SCHED_USE:
    case COLLET_OP_SCHED_PARAM_LIST: {
        static const char names[][8] = {"bvt", "rr", "stride", "edf", "credit", "none", ""};

        memcpy(s, names[below(COUNT_OF(names))], 8);
        if (op == COLLET_OP_SCHED_PARAM_LIST)
            *(struct collet_sched_param_list *)s = (struct collet_sched_param_list){.count = (uint32_t)below(12), .buffer = any_address()};
        if (op == COLLET_OP_SCHED_LIST)
            *(struct collet_sched_list *)s = (struct collet_sched_list){.first = (uint32_t)below(3), .count = (uint32_t)below(12), .buffer = any_address()};
        break;
    }
    case COLLET_OP_SCHED_GET:
        *(struct collet_sched_values *)s = (struct collet_sched_values){.buffer = any_address(), .count = (uint32_t)below(600)};
        break;
    case COLLET_OP_TRACE_START:
        *(struct collet_trace_start *)s = (struct collet_trace_start){.kinds = below(64), .pages = 4};
        break;
    case COLLET_OP_TRACE_INFO:
        *(struct collet_trace_info *)s = (struct collet_trace_info){.cpu = (uint32_t)below(4), .count = (uint32_t)below(20), .mfns = any_address()};
        break;
    default:
        *(uint32_t *)s = (uint32_t)any_domid();
    }
    return op;
}

/* Keep three children in being, whatever became of them. */
static void child_renew(unsigned int i)
{
    struct child_orders o = {.mode = {CHILD_LOOP + (uint32_t)below(6), (uint32_t)below(7)}};
    struct collet_domain_info info;
    struct child *c = &fuzzed[i];
    char name[16];

    if (c->domid != 0 && domain_info(c->domid, &info) && !(info.flags & COLLET_DOMAIN_SHUT_DOWN) && below(8) != 0)
        return;
    if (c->domid != 0)
        child_ref(COLLET_OP_DOMAIN_DESTROY, c->domid);
    c->domid = 0;
    snprintf(name, sizeof(name), "child%u-%u", i, (unsigned int)below(1000000));
    if (child_create(c, name, 2, 2 * CHILD_PAGES) != 0)
        return;
    if (below(4) != 0 && child_populate(c) == 0 && below(4) != 0 && child_fill(c, &o) == 0 && below(4) != 0 && child_share(c) == 0 && below(2) &&
        child_start(c) == 0)
        child_ref(COLLET_OP_DOMAIN_UNPAUSE, c->domid);
}

static long one_call(void)
{
    unsigned int op;
    uint64_t bytes;

    if (below(2)) {
        op = valid_op();
        bytes = below(8) == 0 ? below(PAGE_SIZE) : 4096;
    } else {
        op = (unsigned int)below(150);
        fill_random();
        bytes = below(4) == 0 ? any_number() : below(600);
    }
    if (op_spared(op))
        return 0;
    return hypercall5(COLLET_HYPERCALL, below(100) == 0 ? any_number() | 1ul << 50 : op, below(16) == 0 ? any_address() : (uint64_t)scratch, bytes,
                      below(50) == 0 ? any_number() : COLLET_CONTROL_VERSION, any_number());
}

/* VBDs and recordings that are left, Domain0's own among them. */
static void block_end_all(void)
{
    static struct collet_vbd_info info;
    struct collet_disk_recording recording = {.records = 0};
    struct collet_vbd_list list;
    struct collet_vbd_ref ref = {0};

    for (;;) {
        list = (struct collet_vbd_list){.count = 1, .entry_bytes = sizeof(info), .buffer = (uint64_t)&info, .domid = ~0u};
        if (control(COLLET_OP_VBD_LIST, &list) != 0 || list.count == 0)
            break;
        ref.vbd = info.vbd;
        while (control(COLLET_OP_VBD_DESTROY, &ref) == -4) /* EINTR */
            continue;
    }
    for (recording.disk = 0; recording.disk < 3; recording.disk++) {
        struct collet_disk_record_read read = {.disk = recording.disk, .count = PAGE_SIZE / sizeof(struct collet_disk_record), .buffer = (uint64_t)buffer};

        control(COLLET_OP_DISK_RECORD, &recording);
        while (control(COLLET_OP_DISK_RECORD_READ, &read) == 0 && read.count != 0)
            read.count = PAGE_SIZE / sizeof(struct collet_disk_record);
    }
}

/* VIFs, rules, captures that are left. */
static void net_end_all(void)
{
    static struct collet_vif_info info;
    struct collet_vif_list list;
    struct collet_vif_ref ref = {0};
    struct collet_rules_info rules = {0};
    struct collet_rules_load none = {.expect = ~0ull};
    struct collet_flows_set flows = {.flows_max = 1024};
    struct collet_capture_info capture = {.next = 1};

    for (;;) {
        list = (struct collet_vif_list){.count = 1, .entry_bytes = sizeof(info), .buffer = (uint64_t)&info, .domid = ~0u};
        if (control(COLLET_OP_VIF_LIST, &list) != 0 || list.count == 0)
            break;
        ref.vif = info.vif;
        while (control(COLLET_OP_VIF_DESTROY, &ref) == -4) /* EINTR */
            continue;
    }
    control(COLLET_OP_RULES_INFO, &rules);
    if (rules.confirm_left_ns != 0) {
        struct collet_rules_confirm confirm = {.generation = rules.generation, .keep = 1};

        control(COLLET_OP_RULES_CONFIRM, &confirm);
    }
    control(COLLET_OP_RULES_LOAD, &none);
    control(COLLET_OP_FLOWS_SET, &flows);
    while (control(COLLET_OP_CAPTURE_INFO, &capture) == 0) {
        struct collet_capture_ref closed = {.capture = capture.capture};

        control(COLLET_OP_CAPTURE_CLOSE, &closed);
        capture = (struct collet_capture_info){.next = 1};
    }
}

static void destroy_all(void)
{
    struct collet_domain_info info;
    struct collet_domain_list list;

    block_end_all();
    net_end_all();
    for (;;) {
        list = (struct collet_domain_list){.first_domid = 1, .count = 1, .entry_bytes = sizeof(info), .buffer = (uint64_t)&info};
        if (control(COLLET_OP_DOMAIN_LIST, &list) != 0 || list.count == 0)
            return;
        child_ref(COLLET_OP_DOMAIN_DESTROY, info.domid);
    }
}

void control_fuzz(void)
{
    uint64_t count = arg_number("count", 100000), done[2] = {0, 0}, free = 0, before = 1;
    unsigned int rounds;

    random_state = arg_number("seed", 1) * 0x9e3779b97f4a7c15ul | 1;
    scratch = page_alloc();
    buffer = page_alloc();
    for (unsigned int i = 0; i < 16; i++) /* lists may run over its end */
        page_alloc();
    for (rounds = 0; rounds < 4 || (free != before && rounds < 12); rounds++) {
        before = free;
        for (uint64_t i = 0; i < count / 4; i++) {
            if (i % 64 == 0)
                child_renew((unsigned int)below(3));
            done[one_call() >= 0]++;
        }
        control_call(COLLET_OP_TRACE_STOP, 0, 0);
        destroy_all();
        free = frames_free();
        note("round %u: %lu accepted, %lu refused, %lu frames free\n", rounds, (unsigned long)done[1], (unsigned long)done[0], (unsigned long)free);
    }
    check("control-fuzz-some-accepted", done[1] > count / 50);
    check("control-fuzz-some-refused", done[0] > count / 50);
    expect("every-frame-back-after-the-fuzz", free, before);
}
