// SPDX-License-Identifier: MIT
/* Parameters set many at once, values kept over a change of module, and what the core reports. This test has a module index of its own. */
// needs:
#include "host.h"

#include "changes.h"
#include "run-queue.h"

#include <check.h>
#include <hv/errno.h>

#include <string.h>

#define MS NS_PER_MS

/* ---- Two modules: arrival order, and parameters that they only remember ---- */

enum { PARAMS = 4 };
struct values {
    uint64_t value[PARAMS];
};

static const struct sched_parameter params_one[PARAMS] = {
    {"weight", SCHED_PARAM_UINT, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 1, 1000, 100, "share"},
    {"slice", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, 1000, 1000000, 5000, "ns"},
    {"only_one", SCHED_PARAM_UINT, SCHED_SCOPE_VCPU, 0, 9, 1, "no other has it"},
    {"boost", SCHED_PARAM_BOOL, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 0, 1, 0, "yes or no"},
};
static const struct sched_parameter params_two[PARAMS] = {
    {"boost", SCHED_PARAM_UINT, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 0, 9, 7, "of another type"},
    {"cap", SCHED_PARAM_UINT, SCHED_SCOPE_DOMAIN, 0, 100, 0, "new"},
    {"weight", SCHED_PARAM_UINT, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 1, 500, 256, "share, less wide"},
    {"slice", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, 1000, 1000000, 9000, "ns"},
};

static const struct sched_parameter *current_params;
static int verdict; /* of param_check */
static uint32_t sets, checks;

static int one_create(void *state, const struct sched_machine *machine)
{
    (void)state, (void)machine;
    current_params = params_one;
    return 0;
}

static int two_create(void *state, const struct sched_machine *machine)
{
    (void)state, (void)machine;
    current_params = params_two;
    return 0;
}

static struct values *values_of(void *state, const struct sched_target *target)
{
    return target->vcpu != NULL ? target->vcpu->data : target->domain != NULL ? target->domain->data : state;
}

static void domain_insert(void *state, struct sched_domain *d)
{
    struct values *v = d->data;

    (void)state;
    for (uint32_t i = 0; i < PARAMS; i++)
        v->value[i] = current_params[i].initial;
}

static void vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *s, uint64_t now_ns)
{
    (void)state, (void)queue, (void)now_ns;
    *(struct values *)s->data = *(struct values *)s->domain->data;
}

static void param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value, uint64_t now_ns)
{
    (void)now_ns;
    ck_assert(target->vcpu == NULL || spin_is_locked(&run_queue_of(target->vcpu->cpu)->lock));
    values_of(state, target)->value[index] = value;
    sets++;
}

static uint64_t param_get(void *state, const struct sched_target *target, uint32_t index)
{
    return values_of(state, target)->value[index];
}

static int param_check(void *state, const struct sched_setting *settings, uint32_t count)
{
    (void)state;
    for (uint32_t i = 0; i < count; i++)
        ck_assert_uint_lt(settings[i].index, PARAMS);
    checks++;
    return verdict;
}

static uint64_t enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *s, enum sched_reason reason, uint64_t now_ns)
{
    (void)state, (void)queue, (void)s, (void)reason, (void)now_ns;
    return SCHED_KEEP;
}

static void dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *s, uint64_t now_ns)
{
    (void)state, (void)queue, (void)s, (void)now_ns;
}

static bool idles;

static struct sched_decision pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct run_queue *rq = container_of(queue, struct run_queue, queue);

    (void)state, (void)now_ns;
    return (struct sched_decision){idles ? NULL : list_first_entry(&rq->waiting, struct sched_vcpu, wait_link), 2 * MS};
}

#define MODULE(module)                                                                                                 \
    .summary = "remembers", .state_bytes = sizeof(struct values), .domain_bytes = sizeof(struct values),               \
    .vcpu_bytes = sizeof(struct values), .params = params_##module, .param_count = PARAMS, .create = module##_create,  \
    .domain_insert = domain_insert, .vcpu_insert = vcpu_insert, .enqueue = enqueue, .dequeue = dequeue,                \
    .pick_next = pick_next, .param_check = param_check, .param_set = param_set, .param_get = param_get

static const struct sched_ops one = {.name = "one", MODULE(one)};
static const struct sched_ops two = {.name = "two", MODULE(two)};
const struct sched_ops *const sched_modules[] = {&one, &two, NULL};

/* ---- Changes that were recorded ---- */

static struct {
    enum collet_change_kind kind;
    uint64_t value;
    char text[COLLET_TEXT_MAX];
} changes[64];
static uint32_t change_count;

void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    ck_assert_ptr_null(d);
    ck_assert_uint_lt(change_count, 64);
    changes[change_count].kind = kind;
    changes[change_count].value = value;
    strncpy(changes[change_count++].text, text, COLLET_TEXT_MAX - 1);
}

static struct domain *d, *e;
static struct vcpu *d0, *d1, *e0;

static void start(void)
{
    host_machine_start(2, "one");
    d = host_domain_create(1);
    e = host_domain_create(2);
    d0 = host_vcpu_create(d);
    d1 = host_vcpu_create(d);
    e0 = host_vcpu_create(e);
    sets = checks = change_count = 0;
}

static void stop(void)
{
    host_domain_destroy(d);
    host_domain_destroy(e);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static uint64_t get(struct domain *domain, struct vcpu *v, const char *name)
{
    uint64_t value = 0xbad;

    ck_assert_int_eq(sched_param_get(domain, v, name, &value), 0);
    return value;
}

START_TEST(list_is_set_whole)
{
    struct sched_param_entry list[] = {
        {d, SCHED_SCOPE_DOMAIN, 0, "weight", 200}, {d, SCHED_SCOPE_VCPU, 1, "weight", 300},
        {e, SCHED_SCOPE_DOMAIN, 0, "boost", 1},    {NULL, SCHED_SCOPE_MODULE, 0, "slice", 7000},
    };
    uint32_t failed = 99;

    start();
    list[0].domain = list[1].domain = d;
    list[2].domain = e;
    ck_assert_int_eq(sched_params_set("one", list, 4, &failed), 0);
    ck_assert_uint_eq(failed, 4);
    ck_assert_uint_eq(get(d, NULL, "weight"), 200);
    ck_assert_uint_eq(get(NULL, d0, "weight"), 200);
    ck_assert_uint_eq(get(NULL, d1, "weight"), 300);
    ck_assert_uint_eq(get(NULL, e0, "weight"), 100);
    ck_assert_uint_eq(get(NULL, e0, "boost"), 1);
    ck_assert_uint_eq(get(NULL, NULL, "slice"), 7000);
    ck_assert_uint_eq(checks, 1);
    ck_assert_uint_eq(change_count, 1);
    ck_assert_uint_eq(changes[0].kind, COLLET_CHANGE_SCHED_SET);
    ck_assert_uint_eq(changes[0].value, 4);
    ck_assert_int_eq(sched_params_set(NULL, NULL, 0, &failed), 0);
    ck_assert_uint_eq(change_count, 1);
    stop();
}
END_TEST

START_TEST(one_bad_entry_sets_nothing)
{
    static const struct {
        struct sched_param_entry entry;
        bool of_d;
        int rc;
    } bad[] = {
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "weigth", 5}, true, -ENOENT},
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "slice", 5000}, true, -EOPNOTSUPP},
        {{NULL, SCHED_SCOPE_MODULE, 0, "weight", 5}, false, -EOPNOTSUPP},
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 0}, true, -ERANGE},
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 1001}, true, -ERANGE},
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "boost", 2}, true, -ERANGE},
        {{NULL, SCHED_SCOPE_VCPU, 2, "weight", 5}, true, -ENOENT},
        {{NULL, SCHED_SCOPE_VCPU, ~0u, "weight", 5}, true, -ENOENT},
        {{NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 5}, false, -ESRCH},
        {{NULL, 3, 0, "weight", 5}, true, -EINVAL},
        {{NULL, 0, 0, "weight", 5}, true, -EINVAL},
    };
    struct sched_param_entry list[3] = {
        {NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 200}, bad[_i].entry, {NULL, SCHED_SCOPE_DOMAIN, 0, "nonsense", 200}};
    uint32_t failed = 99;

    start();
    list[0].domain = d;
    list[1].domain = bad[_i].of_d ? d : NULL;
    list[2].domain = d;
    ck_assert_int_eq(sched_params_set(NULL, list, 3, &failed), bad[_i].rc);
    ck_assert_uint_eq(failed, 1);
    ck_assert_uint_eq(sets, 0);
    ck_assert_uint_eq(change_count, 0);
    ck_assert_uint_eq(get(d, NULL, "weight"), 100);
    stop();
}
END_TEST

START_TEST(another_module_is_stale)
{
    struct sched_param_entry list = {NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 200};
    uint32_t failed = 99;

    start();
    list.domain = d;
    ck_assert_int_eq(sched_params_set("two", &list, 1, &failed), -ESTALE);
    ck_assert_uint_eq(failed, 1);
    ck_assert_int_eq(sched_params_get("two", &list, 1, &failed), -ESTALE);
    ck_assert_int_eq(sched_params_get("one", &list, 1, &failed), 0);
    ck_assert_uint_eq(list.value, 100);
    stop();
}
END_TEST

START_TEST(module_may_refuse_a_list)
{
    struct sched_param_entry list = {NULL, SCHED_SCOPE_DOMAIN, 0, "weight", 200};
    uint32_t failed = 99;

    start();
    list.domain = d;
    verdict = -ENOSPC;
    ck_assert_int_eq(sched_params_set(NULL, &list, 1, &failed), -ENOSPC);
    verdict = -12345;
    ck_assert_int_eq(sched_params_set(NULL, &list, 1, &failed), -EINVAL);
    verdict = 0;
    ck_assert_uint_eq(failed, 1);
    ck_assert_uint_eq(sets, 0);
    host_heap_budget = 0;
    ck_assert_int_eq(sched_params_set(NULL, &list, 1, &failed), -ENOMEM);
    host_heap_budget = UINT64_MAX;
    stop();
}
END_TEST

START_TEST(same_names_keep_their_values)
{
    start();
    ck_assert_int_eq(sched_param_set(d, NULL, "weight", 200), 0);
    ck_assert_int_eq(sched_param_set(NULL, d1, "weight", 300), 0);
    ck_assert_int_eq(sched_param_set(e, NULL, "weight", 800), 0);
    ck_assert_int_eq(sched_param_set(NULL, d0, "boost", 1), 0);
    ck_assert_int_eq(sched_use("two"), 0);
    ck_assert_uint_eq(get(d, NULL, "weight"), 200);
    ck_assert_uint_eq(get(NULL, d0, "weight"), 200);
    ck_assert_uint_eq(get(NULL, d1, "weight"), 300);
    ck_assert_uint_eq(get(e, NULL, "weight"), 256);  /* 800 is too much there: its own */
    ck_assert_uint_eq(get(NULL, e0, "weight"), 256);
    ck_assert_uint_eq(get(NULL, d0, "boost"), 7);    /* another type, another thing */
    ck_assert_uint_eq(get(d, NULL, "cap"), 0);
    ck_assert_int_eq(sched_use("one"), 0);
    ck_assert_uint_eq(get(NULL, d1, "weight"), 300);
    ck_assert_uint_eq(get(NULL, d1, "only_one"), 1);
    stop();
}
END_TEST

START_TEST(what_the_one_between_does_not_know_comes_back)
{
    start();
    ck_assert_int_eq(sched_param_set(NULL, d1, "only_one", 5), 0);
    ck_assert_int_eq(sched_param_set(d, NULL, "boost", 1), 0);
    ck_assert_int_eq(sched_param_set(NULL, d0, "boost", 0), 0); /* other than its domain's, though it is the initial value */
    ck_assert_int_eq(sched_param_set(NULL, e0, "weight", 77), 0);
    ck_assert_int_eq(sched_param_set(NULL, e0, "only_one", 3), 0);
    ck_assert_int_eq(sched_use("two"), 0);
    ck_assert_int_eq(sched_param_set(d, NULL, "cap", 33), 0);
    host_vcpu_destroy(e0); /* what waited for it goes too */
    ck_assert_int_eq(sched_use("fallback"), 0);
    e0 = host_vcpu_create(e);
    ck_assert_int_eq(sched_use("one"), 0);
    ck_assert_uint_eq(get(NULL, d1, "only_one"), 5);
    ck_assert_uint_eq(get(NULL, d0, "only_one"), 1);
    ck_assert_uint_eq(get(d, NULL, "boost"), 1);
    ck_assert_uint_eq(get(NULL, d0, "boost"), 0);
    ck_assert_uint_eq(get(NULL, d1, "boost"), 1);
    ck_assert_uint_eq(get(NULL, e0, "weight"), 100);
    ck_assert_uint_eq(get(NULL, e0, "only_one"), 1);
    ck_assert_int_eq(sched_use("two"), 0);
    ck_assert_uint_eq(get(d, NULL, "cap"), 33);
    ck_assert_int_eq(sched_use("one"), 0);
    stop(); /* with a full shelf */
}
END_TEST

START_TEST(refused_values_are_not_kept)
{
    start();
    ck_assert_int_eq(sched_param_set(d, NULL, "weight", 200), 0);
    verdict = -ENOSPC;
    ck_assert_int_eq(sched_use("two"), 0);
    verdict = 0;
    ck_assert_uint_eq(get(d, NULL, "weight"), 256);
    stop();
}
END_TEST

START_TEST(change_without_memory_keeps_everything)
{
    start();
    ck_assert_int_eq(sched_param_set(d, NULL, "weight", 200), 0);
    for (host_heap_budget = 0; sched_use("two") != 0; host_heap_budget = (uint64_t)++_i) {
        ck_assert_str_eq(sched_active_name(), "one");
        ck_assert_uint_eq(get(d, NULL, "weight"), 200);
    }
    host_heap_budget = UINT64_MAX;
    ck_assert_int_gt(_i, 4);
    ck_assert_uint_eq(get(d, NULL, "weight"), 200);
    stop();
}
END_TEST

START_TEST(status_tells_the_history)
{
    static struct collet_sched_status status;

    start();
    host_now_ns = 5 * MS;
    ck_assert_int_eq(sched_use("two"), 0);
    sched_status_read(&status);
    ck_assert_str_eq(status.active, "two");
    ck_assert_uint_eq(status.since_ns, 5 * MS);
    ck_assert_uint_eq(status.uses, 2);
    ck_assert_str_eq(status.dropped, "");
    ck_assert_uint_eq(status.cpus, 2);
    ck_assert_uint_eq(status.watchdog_ns, 1000 * MS);
    ck_assert_str_eq(status.fault_names[FAULT_STARVED], "starved");
    ck_assert_str_eq(status.fault_names[COLLET_SCHED_FAULTS - 1], "");
    ck_assert_uint_eq(status.queues[0].homed + status.queues[1].homed, 3);
    ck_assert_uint_eq(change_count, 1);
    ck_assert_uint_eq(changes[0].kind, COLLET_CHANGE_SCHED_USED);
    ck_assert_uint_eq(changes[0].value, 0);
    ck_assert_str_eq(changes[0].text, "two");
    ck_assert_int_eq(sched_use("two"), 0); /* it is there already */
    ck_assert_uint_eq(change_count, 1);

    host_now_ns = 9 * MS;
    idles = true;
    host_vcpu_start(d0);
    host_settle();
    idles = false;
    sched_status_read(&status);
    ck_assert_str_eq(status.active, "fallback");
    ck_assert_str_eq(status.dropped, "two");
    ck_assert_ptr_nonnull(strstr(status.dropped_why, "idles"));
    ck_assert_uint_eq(status.dropped_ns, 9 * MS);
    ck_assert_uint_eq(status.faults[FAULT_IDLE_WHILE_RUNNABLE], 1);
    ck_assert_uint_eq(change_count, 3);
    ck_assert_uint_eq(changes[1].kind, COLLET_CHANGE_SCHED_FAULT);
    ck_assert_uint_eq(strncmp(changes[1].text, "two: idles", 10), 0);
    ck_assert_uint_eq(changes[2].kind, COLLET_CHANGE_SCHED_USED);
    ck_assert_uint_eq(changes[2].value, 1);
    ck_assert_str_eq(changes[2].text, "fallback");
    stop();
}
END_TEST

START_TEST(modules_are_listed_with_the_fallback_last)
{
    start();
    ck_assert_ptr_eq(sched_module_at(0), &one);
    ck_assert_ptr_eq(sched_module_at(1), &two);
    ck_assert_str_eq(sched_module_at(2)->name, "fallback");
    ck_assert_ptr_null(sched_module_at(3));
    ck_assert_ptr_null(sched_module_at(~0u));
    ck_assert_ptr_eq(sched_module_find(""), &one);
    ck_assert_ptr_eq(sched_module_find("two"), &two);
    ck_assert_ptr_null(sched_module_find("three"));
    stop();
}
END_TEST

START_TEST(account_counts_waits_moves_and_preemptions)
{
    struct collet_vcpu_info info = {0};

    start();
    vcpu_set_affinity(d0, 1);
    vcpu_set_affinity(d1, 1);
    host_vcpu_start(d0);
    host_settle();
    host_vcpu_start(d1); /* waits: the slice of 2 ms is kept */
    host_settle();
    sched_vcpu_account(d1, &info);
    ck_assert_uint_eq(info.state, COLLET_VCPU_RUNNABLE);
    ck_assert_uint_eq(info.wakes, 1);
    ck_assert_uint_eq(info.dispatches, 0);
    host_run_until(host_now_ns + 2 * MS);
    sched_vcpu_account(d1, &info);
    ck_assert_uint_eq(info.state, COLLET_VCPU_RUNNING);
    ck_assert_uint_eq(info.affinity, 1);
    ck_assert_uint_eq(info.dispatches, 1);
    ck_assert_uint_eq(info.waited_max_ns, 2 * MS);
    ck_assert_uint_eq(info.latency[11], 1); /* 2000 us: from 1024 up to 2047 */
    sched_vcpu_account(d0, &info);
    ck_assert_uint_eq(info.preemptions, 1);
    ck_assert_uint_eq(info.latency[0], 1);
    ck_assert_uint_eq(info.time_ns[COLLET_VCPU_RUNNING], 2 * MS);
    host_run_until(host_now_ns + 2 * MS);
    sched_vcpu_account(d0, &info);
    ck_assert_uint_eq(info.dispatches, 2);
    ck_assert_uint_eq(info.latency[11], 0); /* it came back from the end of its slice, not from sleep */
    ck_assert_uint_eq(info.time_ns[COLLET_VCPU_RUNNABLE], 2 * MS);
    ck_assert_uint_eq(info.migrations, 0);
    host_on_cpu(0);
    vcpu_yield(); /* d0 gives way by itself */
    ck_assert_ptr_eq(cpus[0].current, d1);
    sched_vcpu_account(d0, &info);
    ck_assert_uint_eq(info.preemptions, 1);
    vcpu_set_affinity(d0, 2);
    softirq_raise_on(1, SOFTIRQ_SCHEDULE);
    host_settle();
    sched_vcpu_account(d0, &info);
    ck_assert_uint_eq(info.state, COLLET_VCPU_RUNNING);
    ck_assert_uint_eq(info.cpu, 1);
    ck_assert_uint_eq(info.migrations, 1);
    stop();
}
END_TEST

static uint32_t cpu_of(struct vcpu *v)
{
    struct collet_vcpu_info info = {0};

    sched_vcpu_account(v, &info);
    return info.state == COLLET_VCPU_RUNNING ? info.cpu : ~0u;
}

START_TEST(affinity_holds_from_the_next_dispatch_on)
{
    start();
    vcpu_set_affinity(d0, 2); /* not started; at home on pCPU 0 */
    host_vcpu_start(d0);
    host_settle();
    ck_assert_uint_eq(cpu_of(d0), 1);
    vcpu_set_affinity(d0, 1); /* while it runs, alone: nothing else would move it */
    host_settle();
    ck_assert_uint_eq(cpu_of(d0), 0);
    vcpu_set_affinity(d0, ~3ull); /* no such pCPU */
    host_settle();
    ck_assert_uint_eq(cpu_of(d0), 0);

    vcpu_set_affinity(d1, 1);
    host_vcpu_start(d1);
    host_settle();
    ck_assert_uint_eq(d1->sched.place, SCHED_WAITING);
    vcpu_set_affinity(d1, 2); /* while it waits */
    host_settle();
    ck_assert_uint_eq(cpu_of(d1), 1);

    host_on_cpu(1);
    vcpu_block(NULL);
    vcpu_set_affinity(d1, 1); /* while it sleeps */
    host_on_cpu(0);
    vcpu_wake(d1);
    host_settle();
    ck_assert_uint_eq(cpus[1].current->is_idle, true);
    ck_assert_uint_eq(d1->sched.cpu, 0);
    host_run_until(host_now_ns + 2 * MS);
    ck_assert_uint_eq(cpu_of(d1), 0);

    vcpu_set_affinity(d1, 2); /* and back before anybody looks */
    vcpu_set_affinity(d1, 1);
    host_settle();
    ck_assert_uint_eq(d1->sched.cpu, 0);
    host_run_until(host_now_ns + 2 * MS);
    ck_assert_uint_eq(cpu_of(d1), 0);
    vcpu_set_affinity(d1, 2); /* it moves, and is paused on the way */
    vcpu_pause(d1);
    host_settle();
    ck_assert_uint_eq(d1->sched.place, SCHED_OUT);
    vcpu_unpause(d1);
    host_settle();
    ck_assert_uint_eq(cpu_of(d1), 1);
    stop();
}
END_TEST

START_TEST(many_vcpus_spread_over_the_home_table)
{
    struct vcpu *v[400];
    struct domain *many[100];
    uint32_t longest = 0;

    start();
    for (uint32_t i = 0; i < 100; i++) {
        many[i] = host_domain_create((domid_t)(10 + i));
        for (uint32_t j = 0; j < 4; j++)
            v[4 * i + j] = host_vcpu_create(many[i]);
    }
    for (uint32_t i = 0; i < 400; i++) {
        uint32_t chain = 0;

        for (struct sched_vcpu *s = *home_bucket(run_queue_of(v[i]->sched.cpu), &v[i]->sched); s != NULL; s = s->home_next)
            chain++;
        longest = max(longest, chain);
    }
    ck_assert_uint_le(longest, 8);
    for (uint32_t i = 0; i < 100; i++)
        host_domain_destroy(many[i]);
    stop();
}
END_TEST

Suite *suite_params(void);
Suite *suite_params(void)
{
    Suite *s = suite_create("params");
    TCase *tc = tcase_create("params");

    tcase_add_test(tc, list_is_set_whole);
    tcase_add_loop_test(tc, one_bad_entry_sets_nothing, 0, 11);
    tcase_add_test(tc, another_module_is_stale);
    tcase_add_test(tc, module_may_refuse_a_list);
    tcase_add_test(tc, same_names_keep_their_values);
    tcase_add_test(tc, what_the_one_between_does_not_know_comes_back);
    tcase_add_test(tc, refused_values_are_not_kept);
    tcase_add_test(tc, change_without_memory_keeps_everything);
    tcase_add_test(tc, status_tells_the_history);
    tcase_add_test(tc, modules_are_listed_with_the_fallback_last);
    tcase_add_test(tc, account_counts_waits_moves_and_preemptions);
    tcase_add_test(tc, affinity_holds_from_the_next_dispatch_on);
    tcase_add_test(tc, many_vcpus_spread_over_the_home_table);
    suite_add_tcase(s, tc);
    return s;
}
