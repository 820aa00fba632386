// SPDX-License-Identifier: MIT
/*
 * How one set of rules follows another: loaded beside the one in force, checked and compiled, put in its place in one step; confirmed, or put back by a timer that asks nobody; flows on and off.
 *
 * Long work (copying, compiling, inheriting counters) is done by the caller's hypercall, giving way, before or after the step itself. The timer's part is an exchange of two pointers: it needs no memory, waits for
 * nobody, and works when Domain0 is dead; what it took out of use is settled and freed by the next call. Counters: vfr_engine_inherit (<vfr/engine.h>) settles later what was counted in between, in either direction.
 * Contract: vfr-internal.h, rules-internal.h. Tests: test-rules.c, test-rules-threads.c.
 */
#include "rules-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "log.h"
#include "sched.h"
#include "time.h"

#include <hv/errno.h>

#define FLOWS_ROOM_FIRST (1u << 15)
#define FLOWS_ROOM_MAX   (1u << 20)
#define LOG_EACH_NS      (1000 * NS_PER_MS) /* Domain0 may try sets faster than that */
#define COPY_BYTES       PAGE_SIZE /* between two moments to give way */

static struct timer confirm_timer;
static uint64_t last_number; /* owner: who changes things */
static uint32_t changing;
struct vfr_flows *flows_table;
uint32_t flows_room = FLOWS_ROOM_FIRST;
bool flows_asked;

/* ---- Memory ---- */

static void give_way(void)
{
    preempt_point();
}

struct vfr_memory rules_memory = {.alloc = heap_alloc, .free = heap_free, .pause = give_way};

static void set_free(struct rule_set *set)
{
    if (set == NULL)
        return;
    if (set->engine != NULL)
        vfr_engine_destroy(set->engine);
    for (uint32_t i = 0; i < set->chunk_count; i++)
        heap_free(set->chunks[i]);
    heap_free(set->chunks);
    heap_free(set);
}

/* With its set, unless another generation has that too. Nobody judges by it. */
static void generation_free(struct vfr_generation *g, bool with_set)
{
    if (g == &rules_none)
        return;
    if (with_set)
        set_free(g->set);
    heap_free(g);
}

int rule_set_read(void *arg, uint64_t offset, void *to, size_t bytes)
{
    struct rule_set *set = arg;
    uint8_t *at = to;

    if (offset > set->bytes || bytes > set->bytes - offset)
        return -EFAULT;
    while (bytes != 0) {
        uint32_t within = (uint32_t)(offset % RULES_CHUNK_BYTES);
        size_t n = min(bytes, (size_t)(RULES_CHUNK_BYTES - within));

        memcpy(at, set->chunks[offset / RULES_CHUNK_BYTES] + within, n);
        at += n;
        offset += n;
        bytes -= n;
    }
    return 0;
}

static int chunk_copy_in(uint8_t *chunk, uint64_t from, size_t bytes)
{
    for (size_t done = 0; done < bytes; done += COPY_BYTES) {
        if (copy_from_guest(chunk + done, from + done, min(bytes - done, (size_t)COPY_BYTES)) != 0)
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

static int set_copy_in(struct rule_set *set, uint64_t from)
{
    int rc = 0;

    set->chunks = heap_alloc(ROUND_UP(set->bytes, (uint64_t)RULES_CHUNK_BYTES) / RULES_CHUNK_BYTES * sizeof(*set->chunks));
    if (set->chunks == NULL)
        return -ENOMEM;
    for (uint64_t done = 0; rc == 0 && done < set->bytes; done += RULES_CHUNK_BYTES) {
        size_t n = min(set->bytes - done, (uint64_t)RULES_CHUNK_BYTES);
        uint8_t *chunk = heap_alloc(n);

        if (chunk == NULL)
            return -ENOMEM;
        set->chunks[set->chunk_count++] = chunk;
        rc = chunk_copy_in(chunk, from + done, n);
    }
    return rc;
}

/* ---- One at a time ---- */

/* What the timer has taken out of use: its counts go to the one that is in force again, and it goes. */
static void retired_settle(void)
{
    struct vfr_generation *current, *retired;

    spin_lock(&rules_lock);
    current = rules_state.current;
    retired = rules_state.retired;
    rules_state.retired = NULL;
    spin_unlock(&rules_lock);
    if (retired == NULL)
        return;
    rules_wait();
    if (retired->set != NULL && current->set != NULL)
        vfr_engine_inherit(current->set->engine, retired->set->engine, true);
    generation_free(retired, true);
}

void rules_change_begin(void)
{
    while (__atomic_exchange_n(&changing, 1, __ATOMIC_ACQUIRE) != 0)
        vcpu_yield();
    rules_memory.cpus = cpu_count;
    retired_settle();
}

void rules_change_end(void)
{
    __atomic_store_n(&changing, 0, __ATOMIC_RELEASE);
}

/* ---- The step ---- */

/* The one before is in force again. Lock: rules_lock. */
static uint64_t put_back(void)
{
    rules_state.retired = rules_state.current;
    WRITE_ONCE(rules_state.current, rules_state.previous);
    rules_state.previous = NULL;
    return rules_generation(rules_state.current);
}

/* Softirq of the timer's CPU. A load or a confirmation may have come first: then there is nothing to do, or not yet. */
static void confirm_expired(void *arg)
{
    static uint64_t logged_ns;
    uint64_t number = 0;
    bool expired;

    (void)arg;
    spin_lock(&rules_lock);
    expired = rules_state.previous != NULL && clock_now_ns() >= rules_state.deadline_ns;
    if (expired)
        number = put_back();
    spin_unlock(&rules_lock);
    if (!expired)
        return;
    if (logged_ns == 0 || clock_now_ns() - logged_ns > LOG_EACH_NS) {
        logged_ns = clock_now_ns();
        log_line(LOG_WARNING, "rules: not confirmed in time: generation %lu is in force again", number);
    }
    change_record(COLLET_CHANGE_RULES, NULL, number, "put back: not confirmed");
}

void rules_init(void)
{
    timer_init(&confirm_timer, confirm_expired, NULL, 0);
}

/* next is complete; from here on nothing can fail. */
static void install(struct vfr_generation *next, uint32_t confirm_ms)
{
    struct vfr_generation *old = rules_state.current;
    bool kin = next->set != NULL && old->set != NULL;

    if (kin)
        vfr_engine_inherit(next->set->engine, old->set->engine, false);
    spin_lock(&rules_lock);
    rules_state.incoming = NULL;
    if (confirm_ms != 0) {
        rules_state.previous = old;
        rules_state.deadline_ns = clock_now_ns() + confirm_ms * NS_PER_MS;
        timer_set(&confirm_timer, rules_state.deadline_ns);
    }
    __atomic_store_n(&rules_state.current, next, __ATOMIC_SEQ_CST);
    spin_unlock(&rules_lock);
    change_record(COLLET_CHANGE_RULES, NULL, rules_generation(next), "loaded");
    rules_wait();
    if (kin)
        vfr_engine_inherit(next->set->engine, old->set->engine, true);
    if (confirm_ms == 0)
        generation_free(old, true);
}

/* ---- Loading ---- */

static int flows_table_make(void)
{
    struct vfr_flows *made;
    int rc = flows_table != NULL ? 0 : vfr_flows_create(&made, flows_room, &rules_memory);

    if (rc == 0 && flows_table == NULL)
        __atomic_store_n(&flows_table, made, __ATOMIC_RELEASE);
    return rc;
}

static bool wants_flows(const struct rule_set *set)
{
    return flows_asked || (set != NULL && vfr_engine_wants_flows(set->engine));
}

/* A generation of this set (or none), bound to all ports and shown to those that come; not in force. */
static int generation_make(struct rule_set *set, struct vfr_generation **made)
{
    struct vfr_generation *g;
    int rc = wants_flows(set) ? flows_table_make() : 0;

    if (rc != 0)
        return rc;
    g = heap_alloc(sizeof(*g));
    if (g == NULL)
        return -ENOMEM;
    g->set = set;
    g->flows = wants_flows(set) ? flows_table : NULL;
    g->place = 1 - rules_state.current->place; /* nobody's: no other is retired, or waits to be put back */
    spin_lock(&rules_lock);
    rules_state.incoming = g;
    spin_unlock(&rules_lock);
    rules_bind_all(g);
    *made = g;
    return 0;
}

/* *set: for set_free, also after an error. */
static int set_make(struct collet_rules_load *op, struct rule_set **set)
{
    struct vfr_load_error error = {.rule = VFR_NO_RULE};
    struct rule_set *s = heap_alloc(sizeof(*s));
    struct vfr_source source = {.read = rule_set_read, .arg = s, .bytes = op->bytes};
    int rc;

    *set = s;
    if (s == NULL)
        return -ENOMEM;
    s->bytes = op->bytes;
    rc = set_copy_in(s, op->buffer);
    if (rc == 0)
        rc = vfr_engine_create(&s->engine, &source, &rules_memory, &error);
    if (rc != 0) {
        op->error_rule = error.rule;
        op->error_line = error.line;
        strlcpy(op->error_text, error.text, sizeof(op->error_text));
        return rc;
    }
    s->rules = vfr_engine_rules(s->engine);
    s->loaded_ns = clock_now_ns();
    return 0;
}

static long load(struct collet_rules_load *op)
{
    struct rule_set *set = NULL;
    struct vfr_generation *next;
    int rc = 0;

    if (READ_ONCE(rules_state.previous) != NULL)
        return -EBUSY;
    retired_settle(); /* the timer may have fired just now; from here on it cannot until we install */
    if (op->expect != ~0ull && op->expect != rules_generation(rules_state.current))
        return -ESTALE;
    if (op->bytes != 0)
        rc = set_make(op, &set);
    if (rc == 0) {
        if (set != NULL)
            set->number = last_number + 1;
        rc = generation_make(set, &next);
    }
    if (rc != 0) {
        set_free(set);
        return rc;
    }
    if (set != NULL)
        last_number++;
    op->generation = rules_generation(next);
    install(next, op->confirm_ms);
    return 0;
}

long rules_load(struct collet_rules_load *op)
{
    long rc;

    op->generation = 0;
    op->error_rule = VFR_NO_RULE;
    op->error_line = 0;
    memset(op->error_text, 0, sizeof(op->error_text));
    if (op->bytes > COLLET_RULES_BYTES_MAX)
        return -E2BIG;
    rules_change_begin();
    rc = load(op);
    rules_change_end();
    return rc;
}

/* ---- Confirming ---- */

long rules_confirm(const struct collet_rules_confirm *op)
{
    struct vfr_generation *old = NULL;
    uint64_t number = op->generation;
    bool waits;

    rules_change_begin();
    spin_lock(&rules_lock);
    waits = rules_state.previous != NULL && rules_generation(rules_state.current) == op->generation;
    if (waits && op->keep != 0) {
        old = rules_state.previous; /* nobody has been in it since it was replaced */
        rules_state.previous = NULL;
    } else if (waits) {
        number = put_back();
    }
    spin_unlock(&rules_lock);
    if (waits) {
        timer_cancel(&confirm_timer);
        change_record(COLLET_CHANGE_RULES, NULL, number, op->keep != 0 ? "confirmed" : "put back");
        retired_settle();
        if (old != NULL)
            generation_free(old, true);
    }
    rules_change_end();
    return waits ? 0 : -ESTALE;
}

/* ---- Flows on and off ---- */

/* Both generations look at this table from now on (NULL: none): another object of the same set takes the place of the one in force. */
static int flows_exchange(struct vfr_flows *table)
{
    struct vfr_generation *next = heap_alloc(sizeof(*next)), *old;

    if (next == NULL)
        return -ENOMEM;
    spin_lock(&rules_lock);
    old = rules_state.current;
    memcpy(next, old, sizeof(*next));
    next->flows = wants_flows(old->set) ? table : NULL;
    if (rules_state.previous != NULL)
        rules_state.previous->flows = wants_flows(rules_state.previous->set) ? table : NULL;
    __atomic_store_n(&rules_state.current, next, __ATOMIC_SEQ_CST);
    spin_unlock(&rules_lock);
    rules_wait();
    generation_free(old, false);
    return 0;
}

static bool anyone_wants_flows(void)
{
    bool wanted;

    spin_lock(&rules_lock);
    wanted = wants_flows(rules_state.current->set) || (rules_state.previous != NULL && wants_flows(rules_state.previous->set));
    spin_unlock(&rules_lock);
    return wanted;
}

static int flows_change(uint32_t room)
{
    struct vfr_flows *old = flows_table, *made = NULL;
    bool wanted = anyone_wants_flows();
    int rc = 0;

    if (wanted && old != NULL && room == flows_room)
        return flows_exchange(old);
    if (wanted)
        rc = vfr_flows_create(&made, room, &rules_memory);
    if (rc != 0)
        return rc;
    rc = flows_exchange(made);
    if (rc != 0) {
        if (made != NULL)
            vfr_flows_destroy(made);
        return rc;
    }
    __atomic_store_n(&flows_table, made, __ATOMIC_SEQ_CST);
    rules_wait(); /* rules_domain_gone may be in the old one */
    if (old != NULL)
        vfr_flows_destroy(old);
    flows_room = room;
    return 0;
}

long flows_set(const struct collet_flows_set *op)
{
    bool before;
    long rc;

    if (op->flows_max > FLOWS_ROOM_MAX)
        return -ERANGE;
    rules_change_begin();
    before = flows_asked;
    flows_asked = op->on != 0;
    rc = flows_change(op->flows_max != 0 ? op->flows_max : flows_room);
    if (rc != 0)
        flows_asked = before;
    rules_change_end();
    return rc;
}
