/* SPDX-License-Identifier: MIT */
/*
 * libcollet's functions, answered from struct fake. Only what the command uses. See fake-collet.h.
 */
#include "fake-collet.h"
#include "fake-handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake fake;


static const struct collet_sched_param bvt_params[] = {
    { "weight", "share of the CPU, relative to others", COLLET_PARAM_UINT, 7, 1, 65535, 256 },
    { "warp", "how far it may borrow", COLLET_PARAM_NS, COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU, 0, 60000000000ull, 0 },
    { "allowance", "least time between switches", COLLET_PARAM_NS, COLLET_SCOPE_MODULE, 100000, 1000000000, 5000000 },
    { "boost", "a switch", COLLET_PARAM_BOOL, COLLET_SCOPE_DOMAIN, 0, 1, 0 },
    { "grain_ns", "a time", COLLET_PARAM_NS, COLLET_SCOPE_MODULE, 0, 1000000000, 1000 },
};

static void add_domain(uint32_t domid, const char *name, uint32_t vcpus, uint32_t flags)
{
    struct collet_domain_info *d = &fake.domains[fake.domain_count];

    *d = (struct collet_domain_info){ .domid = domid,
                                      .flags = flags,
                                      .vcpus_max = vcpus,
                                      .vcpus_online = vcpus,
                                      .frames = 65536,
                                      .frames_max = 131072,
                                      .runs_ns = 1500000000,
                                      .created_ns = 1000000000,
                                      .hypercalls = 1234,
                                      .hypervisor_bytes = 65536 };
    snprintf(d->name, sizeof(d->name), "%s", name);
    for (uint32_t i = 0; i < vcpus; i++) {
        struct collet_vcpu_info *v = &fake.vcpus[fake.domain_count][i];

        *v = (struct collet_vcpu_info){ .vcpu = i,
                                        .state = i == 0 ? COLLET_VCPU_BLOCKED : COLLET_VCPU_RUNNING,
                                        .cpu = i,
                                        .affinity = ~0ull,
                                        .wakes = 100,
                                        .dispatches = 100,
                                        .time_ns = { 750000000, 100000000, 5000000000ull, 0 },
                                        .waited_max_ns = 900000 };
        v->latency[3] = 50; /* below 8 us */
        v->latency[6] = 45; /* below 64 us */
        v->latency[10] = 5; /* below 1024 us */
    }
    fake.domain_count++;
}

static void add_change(uint32_t kind, uint32_t domid, uint64_t value, const char *text)
{
    struct collet_change *c = &fake.changes[fake.change_count++];

    *c = (struct collet_change){
        .number = (uint64_t)fake.change_count, .time_ns = 1000000ull * (uint64_t)fake.change_count, .kind = kind, .domid = domid, .value = value
    };
    snprintf(c->text, sizeof(c->text), "%s", text);
}

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.machine = (struct collet_machine){ .now_ns = 100000000000ull,
                                            .wall_base_ns = 1700000000000000000ull,
                                            .tsc_hz = 2000000000,
                                            .frames_total = 262144,
                                            .frames_free = 100000,
                                            .frames_hypervisor = 3000,
                                            .cpus = 2,
                                            .domains = 4,
                                            .idle_ns = { 50000000000ull, 25000000000ull } };
    strcpy(fake.sched.active, "bvt");
    fake.sched.since_ns = 40000000000ull;
    fake.sched.uses = 3;
    strcpy(fake.sched.dropped, "mine");
    strcpy(fake.sched.dropped_why, "it chose a blocked vCPU");
    fake.sched.dropped_ns = 40000000000ull;
    strcpy(fake.sched.fault_names[0], "bad-pick");
    fake.sched.faults[0] = 2;
    fake.sched.watchdog_ns = 1000000000;
    fake.sched.cpus = 2;
    fake.sched.queues[0].switches = 1000;
    add_domain(0, "Domain0", 2, COLLET_DOMAIN_PRIVILEGED);
    add_domain(3, "web", 2, 0);
    add_domain(4, "db", 1, COLLET_DOMAIN_PAUSED);
    add_domain(12, "a-name-of-thirty-one-characters", 1, COLLET_DOMAIN_SHUT_DOWN | COLLET_DOMAIN_CRASHED);
    fake.domains[3].shutdown_reason = 3;
    strcpy(fake.domains[3].crash_text, "a bad stack");
    add_change(COLLET_CHANGE_DOMAIN_CREATED, 3, 0, "web");
    add_change(COLLET_CHANGE_DOMAIN_SHUT_DOWN, 12, 3, "a-name");
    add_change(COLLET_CHANGE_SCHED_USED, ~0u, 1, "rr");
    add_change(COLLET_CHANGE_DISK_USED, ~0u, 1, "disk0: fifo");
    add_change(COLLET_CHANGE_DISK_FAULT, ~0u, 0, "disk0: mine: answered nobody");
    add_change(COLLET_CHANGE_VBD_CREATED, 3, 2, "root");
    add_change(COLLET_CHANGE_VBD_DESTROYED, 3, 2, "");
    add_change(COLLET_CHANGE_VBD_BROKEN, 3, 2, "producer index out of range");
    add_change(COLLET_CHANGE_RULES, ~0u, 4, "put back: not confirmed");
    add_change(COLLET_CHANGE_VIF_CREATED, 3, 7, "web.0");
    fake_block_reset();
    fake_net_reset();
    fake.log = "(collet) one\n(collet) two\n(collet) three \033[2J\n";
}

/* ---- collet.h ---- */


int collet_open(struct collet **handle)
{
    *handle = calloc(1, sizeof(**handle));
    return fake.open_rc != 0 ? fail(*handle, fake.open_rc, "/dev/xen/privcmd: No such file or directory") : 0;
}

void collet_close(struct collet *c)
{
    free(c);
}

const char *collet_error(const struct collet *c)
{
    return c->error != NULL ? c->error : "";
}

int collet_control(struct collet *c, enum collet_op op, void *arg, size_t bytes)
{
    if (op != COLLET_OP_TRACE_INFO || bytes != sizeof(fake.trace))
        return fail(c, -ENOSYS, "no such operation");
    memcpy(arg, &fake.trace, sizeof(fake.trace));
    return 0;
}

int collet_version(struct collet *c, struct collet_version *v)
{
    (void)c;
    *v = (struct collet_version){ .version = 1, .release = "collet 0.3 (fake)" };
    return 0;
}

/* Every look takes a tenth of a second, in which web runs for 40 ms on vCPU 1. */
int collet_machine(struct collet *c, struct collet_machine *m)
{
    (void)c;
    *m = fake.machine;
    fake.machine.now_ns += 100000000;
    fake.machine.idle_ns[0] += 100000000;
    fake.machine.idle_ns[1] += 60000000;
    fake.vcpus[1][1].time_ns[0] += 40000000;
    fake.vcpus[1][1].time_ns[1] += 10000000;
    fake.vcpus[1][1].wakes += 5;
    fake.vcpus[1][1].latency[4] += 5;
    return 0;
}

long collet_log_read(struct collet *c, uint64_t *position, char *text, size_t bytes)
{
    size_t length = strlen(fake.log), n = *position < length ? length - *position : 0;

    (void)c;
    n = n < bytes ? n : bytes;
    memcpy(text, fake.log + *position, n);
    *position += n;
    return (long)n;
}

int collet_changes(struct collet *c, uint64_t *last, struct collet_change *records, unsigned int room, uint64_t *lost)
{
    unsigned int n = 0;

    (void)c;
    *lost = 0;
    if (*last == ~0ull)
        return *last = (uint64_t)fake.change_count, 0;
    while (*last < (uint64_t)fake.change_count && n < room)
        records[n++] = fake.changes[(*last)++];
    return (int)n;
}

int collet_domains(struct collet *c, struct collet_domain_info **domains)
{
    (void)c;
    *domains = copy(fake.domains, sizeof(fake.domains[0]) * (size_t)fake.domain_count);
    return fake.domain_count;
}

static int index_of(uint32_t domid)
{
    for (int i = 0; i < fake.domain_count; i++)
        if (fake.domains[i].domid == domid)
            return i;
    return -1;
}

int collet_domain_info(struct collet *c, uint32_t domid, struct collet_domain_info *info)
{
    int i = index_of(domid);

    if (i < 0)
        return fail(c, -ESRCH, "no such domain");
    *info = fake.domains[i];
    return 0;
}

int collet_domain_find(struct collet *c, const char *word, struct collet_domain_info *info)
{
    char *end;
    unsigned long number = strtoul(word, &end, 10);

    for (int i = 0; i < fake.domain_count; i++)
        if (strcmp(fake.domains[i].name, word) == 0)
            return *info = fake.domains[i], 0;
    if (*word != 0 && *end == 0)
        return collet_domain_info(c, (uint32_t)number, info);
    return fail(c, -ESRCH, "no such domain");
}

int collet_vcpus(struct collet *c, uint32_t domid, struct collet_vcpu_info **vcpus)
{
    int i = index_of(domid);

    if (i < 0)
        return fail(c, -ESRCH, "no such domain");
    *vcpus = copy(fake.vcpus[i], sizeof(fake.vcpus[i][0]) * fake.domains[i].vcpus_max);
    return (int)fake.domains[i].vcpus_max;
}

int collet_domain_pages(struct collet *c, uint32_t domid, struct collet_domain_pages *pages)
{
    (void)c;
    *pages = (struct collet_domain_pages){ .domid = domid, .frames = { 10, 20, 3, 2, 1, 4, 1000, 5 }, .pinned = 6 };
    return 0;
}

int collet_domain_unpause(struct collet *c, uint32_t domid)
{
    (void)c;
    (void)domid;
    fake.unpaused_count++;
    return 0;
}

int collet_domain_pause(struct collet *c, uint32_t domid)
{
    if (domid == 0)
        return fail(c, -EINVAL, "Domain0 cannot be paused");
    fake.paused_count++;
    return 0;
}

int collet_domain_destroy(struct collet *c, uint32_t domid)
{
    (void)c;
    fake.destroyed[fake.destroyed_count++] = domid;
    return 0;
}

int collet_vcpu_affinity(struct collet *c, uint32_t domid, uint32_t vcpu, uint64_t affinity)
{
    (void)c;
    (void)domid;
    fake.affinity = affinity;
    fake.affinity_vcpu = vcpu;
    return 0;
}

int collet_sched_modules(struct collet *c, struct collet_sched_module **modules)
{
    static const struct collet_sched_module known[] = { { "bvt", "borrowed virtual time", 4, 1 }, { "rr", "round robin", 1, 0 } };

    (void)c;
    *modules = copy(known, sizeof(known));
    return 2;
}

int collet_sched_params(struct collet *c, const char *module, struct collet_sched_param **params)
{
    (void)c;
    (void)module;
    *params = copy(bvt_params, sizeof(bvt_params));
    return 5;
}

int collet_sched_status(struct collet *c, struct collet_sched_status *status)
{
    (void)c;
    *status = fake.sched;
    return 0;
}

int collet_sched_use(struct collet *c, const char *module)
{
    if (strcmp(module, "bvt") != 0 && strcmp(module, "rr") != 0)
        return fail(c, -ENOENT, "no such module");
    strcpy(fake.sched.active, module);
    return 0;
}

int collet_sched_get(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    (void)module;
    for (*failed = 0; *failed < count; ++*failed) {
        struct collet_sched_value *v = &values[*failed];
        bool found = false;

        for (size_t i = 0; i < 5 && !found; i++)
            if (strcmp(v->name, bvt_params[i].name) == 0) {
                v->value = bvt_params[i].initial;
                found = true;
            }
        if (!found)
            return fail(c, -ENOENT, "no such parameter");
        for (int i = 0; i < fake.value_count; i++)
            if (strcmp(fake.values[i].name, v->name) == 0 && fake.values[i].scope == v->scope && fake.values[i].domid == v->domid &&
                fake.values[i].vcpu == v->vcpu)
                v->value = fake.values[i].value;
    }
    return 0;
}

int collet_sched_set(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    (void)c;
    (void)module;
    *failed = count;
    fake.set_calls++;
    for (unsigned int i = 0; i < count && fake.value_count < 64; i++)
        fake.values[fake.value_count++] = values[i];
    return 0;
}

int collet_trace_start(struct collet *c, uint64_t kinds, unsigned int pages)
{
    if (fake.trace.pages != 0 && pages != 0 && pages != fake.trace.pages)
        return fail(c, -EBUSY, "rings of another size exist");
    fake.trace.kinds = kinds;
    fake.trace.pages = pages != 0 ? pages : fake.trace.pages != 0 ? fake.trace.pages : 64;
    fake.trace.cpus = fake.machine.cpus;
    return 0;
}

int collet_trace_stop(struct collet *c)
{
    (void)c;
    fake.trace.kinds = 0;
    return 0;
}

struct collet_trace_ring {
    unsigned int cpu;
};

int collet_trace_open(struct collet *c, unsigned int cpu, struct collet_trace_ring **ring)
{
    if (fake.trace.pages == 0)
        return fail(c, -ENOENT, "there are no rings yet");
    *ring = calloc(1, sizeof(**ring));
    (*ring)->cpu = cpu;
    return 0;
}

void collet_trace_close(struct collet_trace_ring *ring)
{
    free(ring);
}

size_t collet_trace_read(struct collet_trace_ring *ring, uint64_t *position, struct collet_trace_record *records, size_t room, uint64_t *lost)
{
    size_t left = fake.record_count[ring->cpu] - *position, n = left < room ? left : room;

    memcpy(records, &fake.records[ring->cpu][*position], n * sizeof(*records));
    *position += n;
    *lost += fake.trace_lost;
    fake.trace_lost = 0;
    return n;
}
