// SPDX-License-Identifier: MIT
/*
 * Domain0 uses and misuses the control interface (<collet/control.h>) by bare hypercalls: part=errors, life, foreign, destroy, sched, race, fuzz; all but the last two by default.
 * seconds=, seed= and count= are for the random ones. What a right call does is in control-life.c; what is left after a domain's end in control-destroy.c.
 */
#include "control.h"


static uint8_t *page; /* for structures of any size, the next page not mapped */
static struct region edge;

static void raw_errors(void)
{
    struct collet_version v;
    struct collet_machine m;

    memset(&v, 0xee, sizeof(v));
    expect("version", hypercall4(COLLET_HYPERCALL, COLLET_OP_VERSION, &v, sizeof(v), 12345), 0);
    expect("version-is-the-header's", v.version, COLLET_CONTROL_VERSION);
    check("version-release", memcmp(v.release, "collet ", 7) == 0);
    memset(&v, 0xee, sizeof(v));
    expect("version-short", hypercall4(COLLET_HYPERCALL, COLLET_OP_VERSION, &v, 4, 0), 0);
    check("version-short-writes-no-more", v.version == COLLET_CONTROL_VERSION && v.pad == 0xeeeeeeee);
    expect("version-no-room", hypercall4(COLLET_HYPERCALL, COLLET_OP_VERSION, &v, 0, 0), 0);
    expect("version-bad-address", hypercall4(COLLET_HYPERCALL, COLLET_OP_VERSION, 8, sizeof(v), 0), X_EFAULT);
    expect("other-version", hypercall4(COLLET_HYPERCALL, COLLET_OP_MACHINE, &m, sizeof(m), COLLET_CONTROL_VERSION + 1), X_EPROTO);
    expect("no-version", hypercall4(COLLET_HYPERCALL, COLLET_OP_MACHINE, &m, sizeof(m), 0), X_EPROTO);
    expect("version-high-bits", hypercall4(COLLET_HYPERCALL, COLLET_OP_MACHINE, &m, sizeof(m), 1ul << 32 | COLLET_CONTROL_VERSION), X_EPROTO);
    for (unsigned int op = 4; op < 100000; op += op < 200 ? 1 : 997)
        if ((op < 16 || (op > 29 && op < 48) || (op > 53 && op < 64) || (op > 66 && op < 80) || (op > 88 && op < 96) || (op > 102 && op < 112) || (op > 120 && op < 128) ||
             (op > 135 && op < 144) || op > 146) && control_call(op, &m, sizeof(m)) != X_ENOSYS)
            check("no-such-operation", false);
    expect("operation-high-bits", hypercall4(COLLET_HYPERCALL, 1ul << 32 | COLLET_OP_MACHINE, &m, sizeof(m), COLLET_CONTROL_VERSION), X_ENOSYS);
    expect("operation-all-ones", hypercall4(COLLET_HYPERCALL, ~0ul, &m, sizeof(m), COLLET_CONTROL_VERSION), X_ENOSYS);
    for (uint64_t nr = 64; nr < 1ul << 33; nr = nr * 2 + 1)
        if (nr != COLLET_HYPERCALL && hypercall4(nr, 1, &m, sizeof(m), 1) != X_ENOSYS)
            check("no-such-hypercall", false);
}

static void sizes(void)
{
    struct collet_machine *m = (struct collet_machine *)page;

    memset(page, 0, PAGE_SIZE);
    expect("longer-zero", control_call(COLLET_OP_MACHINE, m, PAGE_SIZE), 0);
    check("longer-rest-untouched", page[sizeof(*m)] == 0 && m->cpus >= 1);
    page[PAGE_SIZE - 1] = 1;
    expect("longer-not-zero", control_call(COLLET_OP_MACHINE, m, PAGE_SIZE), X_E2BIG);
    page[PAGE_SIZE - 1] = 0;
    page[sizeof(*m)] = 1;
    expect("longer-by-one-not-zero", control_call(COLLET_OP_MACHINE, m, sizeof(*m) + 1), X_E2BIG);
    page[sizeof(*m)] = 0;
    expect("absurdly-long", control_call(COLLET_OP_MACHINE, m, 1ul << 40), X_E2BIG);
    expect("all-ones-long", control_call(COLLET_OP_MACHINE, m, ~0ul), X_E2BIG);
    memset(page, 0xff, 64);
    expect("shorter", control_call(COLLET_OP_MACHINE, m, 24), 0);
    check("shorter-writes-no-more", m->tsc_hz != ~0ul && m->frames_total == ~0ul);
    expect("structure-at-0", control_call(COLLET_OP_MACHINE, 0, sizeof(*m)), X_EFAULT);
    expect("structure-in-hypervisor", control_call(COLLET_OP_MACHINE, (void *)0xffff830000000000ul, sizeof(*m)), X_EFAULT);
    expect("structure-in-m2p", control_call(COLLET_OP_MACHINE, m2p, sizeof(*m)), X_EFAULT);
    expect("structure-not-canonical", control_call(COLLET_OP_MACHINE, (void *)0x800000000000ul, sizeof(*m)), X_EFAULT);
    expect("structure-wraps", control_call(COLLET_OP_MACHINE, (void *)~7ul, sizeof(*m)), X_EFAULT);
    expect("structure-over-the-edge", control_call(COLLET_OP_MACHINE, region_va(&edge, 1) - 16, sizeof(*m)), X_EFAULT);
    expect("longer-over-the-edge", control_call(COLLET_OP_MACHINE, region_va(&edge, 1) - sizeof(*m), sizeof(*m) + 64), X_EFAULT);
}

static long create(const char *name, size_t n, uint32_t vcpus, uint32_t pad)
{
    struct collet_domain_create a = {.vcpus = vcpus, .pad = pad, .frames_max = 100};
    long rc;

    memcpy(a.name, name, n);
    rc = control(COLLET_OP_DOMAIN_CREATE, &a);
    if (rc == 0)
        child_ref(COLLET_OP_DOMAIN_DESTROY, a.domid);
    return rc;
}

static void create_errors(void)
{
    struct collet_domain_create *a = (struct collet_domain_create *)page;
    uint64_t free;

    create("warm", 5, 2, 0); /* the heap takes what it keeps */
    free = frames_free();
    expect("create-no-vcpus", create("x", 2, 0, 0), X_EINVAL);
    expect("create-65-vcpus", create("x", 2, 65, 0), X_EINVAL);
    expect("create-vcpus-all-ones", create("x", 2, ~0u, 0), X_EINVAL);
    expect("create-empty-name", create("", 1, 1, 0), X_EINVAL);
    expect("create-name-with-blank", create("a b", 4, 1, 0), X_EINVAL);
    expect("create-name-with-slash", create("a/b", 4, 1, 0), X_EINVAL);
    expect("create-name-with-escape", create("a\033", 3, 1, 0), X_EINVAL);
    expect("create-name-without-end", create("0123456789abcdef0123456789abcdef", 32, 1, 0), X_EINVAL);
    expect("create-longest-name", create("0123456789abcdef0123456789abcde", 32, 1, 0), 0);
    expect("create-reserved", create("x", 2, 1, 1), X_EINVAL);
    expect("create-name-of-domain0", create("Domain-0", 9, 1, 0), X_EEXIST);
    memset(page, 0, PAGE_SIZE);
    memcpy(a->name, "readonly", 9);
    a->vcpus = 2;
    make_readonly(page);
    expect("create-answer-cannot-be-written", control(COLLET_OP_DOMAIN_CREATE, a), X_EFAULT);
    make_writable(page);
    expect("create-after-failure-same-name", create("readonly", 9, 2, 0), 0);
    expect("create-failures-cost-nothing", frames_free(), free);
}

static void populate_errors(uint32_t domid)
{
    struct collet_domain_populate a = {.domid = domid, .count = 8, .first_pfn = 0, .mfns = (uint64_t)page};
    struct collet_domain_info info;
    uint64_t free = frames_free();

#define TRY(name, change, want)                                                                                                                      \
    do {                                                                                                                                             \
        struct collet_domain_populate keep = a;                                                                                                      \
        change;                                                                                                                                      \
        expect("populate-" name, control(COLLET_OP_DOMAIN_POPULATE, &a), want);                                                                      \
        a = keep;                                                                                                                                    \
    } while (0)
    TRY("nothing", a.count = 0, X_EINVAL);
    TRY("too-many-at-once", a.count = COLLET_POPULATE_MAX + 1, X_EINVAL);
    TRY("all-ones", a.count = ~0u, X_EINVAL);
    TRY("over-the-maximum", a.count = 101, X_ENOMEM);
    TRY("pfn-absurd", a.first_pfn = ~0ul, X_EINVAL);
    TRY("nowhere-to-tell", a.mfns = 0, X_EFAULT);
    TRY("tell-the-hypervisor", a.mfns = 0xffff830000000000ul, X_EFAULT);
    TRY("half-to-tell", a.mfns = (uint64_t)region_va(&edge, 1) - 32, X_EFAULT);
    TRY("nobody", a.domid = 30000, X_ESRCH);
    TRY("no-number", a.domid = 0x10000 + domid, X_ESRCH);
    TRY("domain0", a.domid = 0, X_EBUSY);
    TRY("self", a.domid = DOMID_SELF, X_EBUSY);
    TRY("DOMID_XEN", a.domid = DOMID_XEN, X_ESRCH);
#undef TRY
    check("populate-failures-give-nothing", domain_info(domid, &info) && info.frames == 0 && frames_free() == free);
}

static void write_errors(struct child *c)
{
    struct collet_domain_write a = {.domid = c->domid, .mfns = (uint64_t)c->mfn, .source = (uint64_t)page, .bytes = 64};
    uint64_t own = mfn_of(page), none = 0x1000000;

#define TRY(name, change, want)                                                                                                                      \
    do {                                                                                                                                             \
        struct collet_domain_write keep = a;                                                                                                         \
        change;                                                                                                                                      \
        expect("write-" name, control(COLLET_OP_DOMAIN_WRITE, &a), want);                                                                            \
        a = keep;                                                                                                                                    \
    } while (0)
    TRY("offset-a-page", a.offset = PAGE_SIZE, X_EINVAL);
    TRY("too-much-at-once", a.bytes = COLLET_WRITE_MAX + 1, X_EINVAL);
    TRY("all-ones", a.bytes = ~0ul, X_EINVAL);
    TRY("into-our-own-frame", a.mfns = (uint64_t)&own, X_EINVAL);
    TRY("into-no-frame", a.mfns = (uint64_t)&none, X_EINVAL);
    TRY("frames-from-nowhere", a.mfns = 8, X_EFAULT);
    TRY("from-nowhere", a.source = 8, X_EFAULT);
    TRY("from-the-hypervisor", a.source = 0xffff830000000000ul, X_EFAULT);
    TRY("second-frame-not-its", (a.bytes = 2 * PAGE_SIZE, a.source = 0, a.mfns = (uint64_t)&c->mfn[CHILD_PAGES - 1]), X_EINVAL);
    TRY("nothing", a.bytes = 0, 0);
    TRY("zeroes", (a.source = 0, a.bytes = 3 * PAGE_SIZE - 5, a.offset = 5), 0);
    TRY("nobody", a.domid = 30000, X_ESRCH);
    TRY("domain0", a.domid = 0, X_EBUSY);
#undef TRY
}

static void share_errors(struct child *c)
{
    struct collet_domain_share a = {.domid = c->domid, .grant_ref = 0, .mfn = c->mfn[0]};
    struct collet_domain_info info;

    a.grant_ref = 8;
    expect("share-ref-8", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    a.grant_ref = ~0u;
    expect("share-ref-all-ones", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    a.grant_ref = 0;
    a.pad = 1;
    expect("share-reserved", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    a.pad = 0;
    a.mfn = mfn_of(page);
    expect("share-our-own-frame", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    a.mfn = ~0ul;
    expect("share-no-frame", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    check("share-failures-open-no-port", domain_info(c->domid, &info) && info.ports == 1); /* port 0 is never given */
    expect("share", child_share(c), 0);
    a.mfn = c->mfn[0];
    expect("share-ref-in-use", control(COLLET_OP_DOMAIN_SHARE, &a), X_EINVAL);
    check("share-opens-a-port-each", domain_info(c->domid, &info) && info.ports == 3);
    memset(page, 0, PAGE_SIZE);
    memcpy(page, &a, sizeof(a));
    ((struct collet_domain_share *)page)->grant_ref = 5;
    make_readonly(page);
    expect("share-answer-cannot-be-written", control(COLLET_OP_DOMAIN_SHARE, (struct collet_domain_share *)page), X_EFAULT);
    make_writable(page);
    check("share-without-answer-opens-no-port", domain_info(c->domid, &info) && info.ports == 3);
    a.grant_ref = 5;
    expect("share-without-answer-keeps-no-ref", control(COLLET_OP_DOMAIN_SHARE, &a), 0);
}

static void start_errors(struct child *c)
{
    struct collet_domain_start_state a = {.domid = c->domid, .l4_mfn = c->mfn[CHILD_L4], .entry = CHILD_VA, .stack = CHILD_VA, .start_info = CHILD_VA,
                                          .ram_frames = CHILD_PAGES};
    struct collet_domain_info info;

#define TRY(name, change, want)                                                                                                                      \
    do {                                                                                                                                             \
        struct collet_domain_start_state keep = a;                                                                                                   \
        change;                                                                                                                                      \
        expect("start-" name, control(COLLET_OP_DOMAIN_START_STATE, &a), want);                                                                      \
        a = keep;                                                                                                                                    \
    } while (0)
    TRY("l4-not-its", a.l4_mfn = mfn_of(page), X_EINVAL);
    TRY("l4-no-frame", a.l4_mfn = ~0ul, X_EINVAL);
    TRY("l4-is-an-l1", a.l4_mfn = c->mfn[CHILD_L1], X_EINVAL);
    TRY("entry-in-hypervisor", a.entry = 0xffff830000000000ul, X_EINVAL);
    TRY("entry-not-canonical", a.entry = 1ul << 47, X_EINVAL);
    TRY("stack-in-hypervisor", a.stack = 0xffff830000000000ul, X_EINVAL);
    TRY("start-info-in-hypervisor", a.start_info = 0xffff830000000000ul, X_EINVAL);
    TRY("reserved", a.pad = 1, X_EINVAL);
    TRY("nobody", a.domid = 30000, X_ESRCH);
    TRY("domain0", a.domid = 0, X_EBUSY);
    expect("unpause-while-building", child_ref(COLLET_OP_DOMAIN_UNPAUSE, c->domid), X_EBUSY);
    check("start-failures-leave-it-building",
          domain_info(c->domid, &info) && (info.flags & (COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_PAUSED)) == (COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_PAUSED));
    expect("start", child_start(c), 0);
    check("start-ends-building", domain_info(c->domid, &info) && !(info.flags & COLLET_DOMAIN_BUILDING) && info.vcpus_online == 1);
    TRY("twice", (void)0, X_EBUSY);
#undef TRY
    expect("populate-after-start", child_populate(c), X_EBUSY);
    expect("write-after-start", child_write(c, 0, page, 8), X_EBUSY);
    expect("share-after-start", child_share(c), X_EBUSY);
}

static void refs_and_names(uint32_t domid)
{
    struct collet_domain_ref ref = {.domid = domid, .pad = 1};
    struct collet_domain_rename r = {.domid = domid};
    struct collet_domain_info info;

    for (unsigned int op = COLLET_OP_DOMAIN_UNPAUSE; op <= COLLET_OP_DOMAIN_DESTROY; op++) {
        if (control(op, &ref) != X_EINVAL)
            check("ref-reserved", false);
        if (child_ref(op, 30000) != X_ESRCH || child_ref(op, ~0u) != X_ESRCH || child_ref(op, DOMID_XEN) != X_ESRCH || child_ref(op, DOMID_IO) != X_ESRCH)
            check("ref-nobody", false);
    }
    expect("pause-domain0", child_ref(COLLET_OP_DOMAIN_PAUSE, 0), X_EINVAL);
    expect("destroy-domain0", child_ref(COLLET_OP_DOMAIN_DESTROY, 0), X_EINVAL);
    expect("destroy-self", child_ref(COLLET_OP_DOMAIN_DESTROY, DOMID_SELF), X_EINVAL);
    expect("unpause-domain0", child_ref(COLLET_OP_DOMAIN_UNPAUSE, 0), 0);
    expect("pause-the-paused", child_ref(COLLET_OP_DOMAIN_PAUSE, domid), 0);
    memcpy(r.name, "Domain-0", 9);
    expect("rename-name-in-use", control(COLLET_OP_DOMAIN_RENAME, &r), X_EEXIST);
    memcpy(r.name, "new name", 9);
    expect("rename-bad-name", control(COLLET_OP_DOMAIN_RENAME, &r), X_EINVAL);
    memcpy(r.name, "new-name", 9);
    expect("rename", control(COLLET_OP_DOMAIN_RENAME, &r), 0);
    expect("rename-to-the-same", control(COLLET_OP_DOMAIN_RENAME, &r), 0);
    check("rename-shows", domain_info(domid, &info) && strcmp(info.name, "new-name") == 0);
    r.domid = 0;
    expect("rename-domain0", control(COLLET_OP_DOMAIN_RENAME, &r), X_EINVAL);
    r.domid = 30000;
    expect("rename-nobody", control(COLLET_OP_DOMAIN_RENAME, &r), X_ESRCH);
}

static void limits_and_lists(uint32_t domid)
{
    struct collet_domain_memory_max m = {.domid = domid, .frames_max = 77};
    struct collet_vcpu_affinity a = {.domid = domid, .vcpu = COLLET_VCPU_ALL, .affinity = 1};
    struct collet_domain_list l = {.count = 4, .buffer = (uint64_t)page, .entry_bytes = 4};
    struct collet_vcpu_list v = {.domid = domid, .count = 4, .buffer = (uint64_t)page, .entry_bytes = 4};
    struct collet_domain_pages p = {.domid = domid, .pad = 1};
    struct collet_domain_info info;

    expect("memory-max", control(COLLET_OP_DOMAIN_MEMORY_MAX, &m), 0);
    check("memory-max-shows", domain_info(domid, &info) && info.frames_max == 77);
    m.frames_max = 0;
    expect("memory-max-nothing", control(COLLET_OP_DOMAIN_MEMORY_MAX, &m), X_EINVAL);
    m = (struct collet_domain_memory_max){.domid = domid, .frames_max = 1ul << 60};
    expect("memory-max-absurd", control(COLLET_OP_DOMAIN_MEMORY_MAX, &m), X_EINVAL);
    expect("affinity", control(COLLET_OP_VCPU_AFFINITY, &a), 0);
    a.affinity = 0;
    expect("affinity-none", control(COLLET_OP_VCPU_AFFINITY, &a), X_EINVAL);
    a.affinity = 1ul << 63;
    expect("affinity-none-that-exists", control(COLLET_OP_VCPU_AFFINITY, &a), X_EINVAL);
    a = (struct collet_vcpu_affinity){.domid = domid, .vcpu = 1, .affinity = ~0ul};
    expect("affinity-no-such-vcpu", control(COLLET_OP_VCPU_AFFINITY, &a), X_ENOENT);
    a.vcpu = 64;
    expect("affinity-vcpu-64", control(COLLET_OP_VCPU_AFFINITY, &a), X_ENOENT);
    expect("list-entries-too-small", control(COLLET_OP_DOMAIN_LIST, &l), X_EINVAL);
    l.entry_bytes = PAGE_SIZE + 1;
    expect("list-entries-too-large", control(COLLET_OP_DOMAIN_LIST, &l), X_EINVAL);
    l.entry_bytes = 8;
    memset(page, 0xff, PAGE_SIZE);
    expect("list-short-entries", control(COLLET_OP_DOMAIN_LIST, &l), 0);
    check("list-short-entries-are-short", l.count == 2 && *(uint32_t *)page == 0 && *(uint32_t *)(page + 8) == domid && page[16] == 0xff);
    l = (struct collet_domain_list){.first_domid = domid, .count = 1, .buffer = (uint64_t)page, .entry_bytes = 2048};
    expect("list-long-entries", control(COLLET_OP_DOMAIN_LIST, &l), 0);
    check("list-long-entries-end-in-zeroes", page[sizeof(info)] == 0 && page[2047] == 0 && page[2048] == 0xff);
    l.buffer = 8;
    expect("list-to-nowhere", control(COLLET_OP_DOMAIN_LIST, &l), X_EFAULT);
    l.buffer = 0xffff830000000000ul;
    expect("list-to-the-hypervisor", control(COLLET_OP_DOMAIN_LIST, &l), X_EFAULT);
    l = (struct collet_domain_list){.first_domid = domid + 1, .count = ~0u, .buffer = (uint64_t)page, .entry_bytes = 64};
    check("list-behind-the-last", control(COLLET_OP_DOMAIN_LIST, &l) == 0 && l.count == 0);
    expect("vcpus-entries-too-small", control(COLLET_OP_VCPU_LIST, &v), X_EINVAL);
    v.entry_bytes = sizeof(struct collet_vcpu_info);
    expect("vcpus", control(COLLET_OP_VCPU_LIST, &v), 0);
    expect("vcpus-count", v.count, 1);
    v.count = 4;
    v.first_vcpu = 1;
    check("vcpus-behind-the-last", control(COLLET_OP_VCPU_LIST, &v) == 0 && v.count == 0);
    v.domid = 30000;
    expect("vcpus-nobody", control(COLLET_OP_VCPU_LIST, &v), X_ESRCH);
    expect("pages-reserved", control(COLLET_OP_DOMAIN_PAGES, &p), X_EINVAL);
    p = (struct collet_domain_pages){.domid = 30000};
    expect("pages-nobody", control(COLLET_OP_DOMAIN_PAGES, &p), X_ESRCH);
}

static void log_and_changes(void)
{
    struct collet_log_read l = {.buffer = (uint64_t)page, .bytes = PAGE_SIZE};
    struct collet_changes c = {.after = ~0ul};

    expect("log", control(COLLET_OP_LOG_READ, &l), 0);
    check("log-has-text", l.bytes > 0 && l.bytes <= PAGE_SIZE && l.next >= l.bytes);
    l = (struct collet_log_read){.from = ~0ul, .buffer = (uint64_t)page, .bytes = PAGE_SIZE};
    check("log-from-the-future", control(COLLET_OP_LOG_READ, &l) == 0 && l.bytes == 0);
    l = (struct collet_log_read){.buffer = 8, .bytes = PAGE_SIZE};
    expect("log-to-nowhere", control(COLLET_OP_LOG_READ, &l), X_EFAULT);
    l = (struct collet_log_read){.buffer = (uint64_t)page, .bytes = ~0u};
    expect_any("log-absurd-room", control(COLLET_OP_LOG_READ, &l), 0, X_EFAULT, X_EINVAL);
    expect("changes-last-alone", control(COLLET_OP_CHANGES, &c), 0);
    check("changes-last", c.last > 0 && c.count == 0);
    c = (struct collet_changes){.buffer = 8, .count = 1};
    expect("changes-to-nowhere", control(COLLET_OP_CHANGES, &c), X_EFAULT);
    c = (struct collet_changes){.buffer = (uint64_t)page, .count = 1, .pad = 1};
    expect("changes-reserved", control(COLLET_OP_CHANGES, &c), X_EINVAL);
    c = (struct collet_changes){.buffer = (uint64_t)page, .count = 257};
    expect_any("changes-too-many-at-once", control(COLLET_OP_CHANGES, &c), X_EINVAL, X_EFAULT, 0);
    c = (struct collet_changes){.after = 1ul << 62, .buffer = (uint64_t)page, .count = 8};
    check("changes-after-the-last", control(COLLET_OP_CHANGES, &c) == 0 && c.count == 0);
}

void control_errors(void)
{
    static const struct child_orders orders = {.mode = {CHILD_LOOP, CHILD_STAY_DOWN}};
    struct child c;
    uint64_t free;

    page = page_alloc();
    region_build(&edge, 41);
    region_map(&edge, 0, maddr_of(page_alloc()) | PTE_PAGE);
    raw_errors();
    sizes();
    create_errors();
    log_and_changes();
    child_build(&c, "warm", 1, &orders);
    child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid);
    free = frames_free();
    expect("create", child_create(&c, "errors", 1, 100), 0);
    expect("create-name-taken", create("errors", 7, 1, 0), X_EEXIST);
    populate_errors(c.domid);
    expect("populate", child_populate(&c), 0);
    write_errors(&c);
    expect("fill", child_fill(&c, &orders), 0);
    share_errors(&c);
    start_errors(&c);
    refs_and_names(c.domid);
    limits_and_lists(c.domid);
    expect("destroy", child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid), 0);
    expect("destroy-twice", child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid), X_ESRCH);
    expect("errors-cost-no-frame", frames_free(), free);
}

static bool part_wanted(const char *name, bool by_default)
{
    char part[16];

    return arg_string("part", part, sizeof(part)) ? strcmp(part, name) == 0 : by_default;
}

void kernel_main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
        bool by_default;
    } parts[] = {
        {"errors", control_errors, true},   {"life", control_life, true}, {"foreign", control_foreign, true}, {"destroy", control_destroy, true},
        {"sched", control_sched, true}, {"race", control_race, false}, {"fuzz", control_fuzz, false},
    };

    views_init();
    for (unsigned int i = 0; i < COUNT_OF(parts); i++) {
        if (!part_wanted(parts[i].name, parts[i].by_default))
            continue;
        note("part %s\n", parts[i].name);
        parts[i].run();
    }
}
