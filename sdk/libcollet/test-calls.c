// SPDX-License-Identifier: MIT
/* libcollet's operations and sentences, over a fake hypervisor. */
// needs: handle.c calls.c transport.c fake-hypervisor.c

#include "fake-hypervisor.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Compiled so that the documentation's example is true. */
#define main example_main
int example_main(void);
#include "example-list.c"
#undef main

static struct fake *f;
static struct collet *c;

static void setup(void)
{
    c = fake_open(&f);
}

static void teardown(void)
{
    collet_close(c);
}

static void domains_make(unsigned int count)
{
    for (unsigned int i = 1; i <= count; i++) {
        struct collet_domain_create a = {.vcpus = 2, .frames_max = 100};

        snprintf(a.name, sizeof(a.name), "d%u", i);
        ck_assert_int_eq(collet_control(c, COLLET_OP_DOMAIN_CREATE, &a, sizeof(a)), 0);
        ck_assert_uint_eq(a.domid, i);
    }
}

START_TEST(open_without_the_device_says_what_to_do)
{
    struct collet *none;
    int rc = collet_open(&none);

    if (rc == 0) { /* on the real thing */
        collet_close(none);
        return;
    }
    ck_assert_ptr_nonnull(none);
    ck_assert_ptr_nonnull(strstr(collet_error(none), "privcmd"));
    collet_close(none);
    ck_assert_int_eq(example_main(), 1);
    collet_close(NULL);
    ck_assert_str_eq(collet_error(NULL), "out of memory");
}
END_TEST

START_TEST(another_version_is_refused_with_both_numbers)
{
    f->version = 77;
    collet_memory_free(c, c->arg, PAGE_BYTES + DATA_BYTES);
    ck_assert_int_eq(collet_begin(c), -EPROTO);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "version 77"));
    ck_assert_ptr_nonnull(strstr(collet_error(c), "library version 1"));
}
END_TEST

START_TEST(another_hypervisor_is_told_apart)
{
    f->fail_at = f->calls_all + 1;
    f->fail_times = 1;
    f->fail_rc = -ENOSYS;
    collet_memory_free(c, c->arg, PAGE_BYTES + DATA_BYTES);
    ck_assert_int_eq(collet_begin(c), -ENOSYS);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "not Collet"));
}
END_TEST

START_TEST(lists_are_read_to_their_end)
{
    struct collet_domain_info *all;
    unsigned int before;

    domains_make(500);
    before = f->calls[COLLET_OP_DOMAIN_LIST];
    ck_assert_int_eq(collet_domains(c, &all), 501);
    for (unsigned int i = 0; i <= 500; i++)
        ck_assert_uint_eq(all[i].domid, i);
    ck_assert_str_eq(all[500].name, "d500");
    ck_assert_uint_le(f->calls[COLLET_OP_DOMAIN_LIST] - before, 6);
    free(all);
}
END_TEST

START_TEST(lists_survive_a_failure_half_way)
{
    struct collet_domain_info *all;

    domains_make(500);
    f->fail_at = f->calls_all + 2;
    f->fail_times = 1;
    f->fail_rc = -EPERM;
    ck_assert_int_eq(collet_domains(c, &all), -EPERM);
    ck_assert_ptr_null(all);
    ck_assert_str_eq(collet_error(c), "cannot list the domains: only Domain0 may: run this there");
}
END_TEST

START_TEST(domains_are_found_by_name_and_number)
{
    struct collet_domain_info info;

    domains_make(12);
    ck_assert_int_eq(collet_domain_find(c, "d7", &info), 0);
    ck_assert_uint_eq(info.domid, 7);
    ck_assert_int_eq(collet_domain_find(c, "11", &info), 0);
    ck_assert_str_eq(info.name, "d11");
    ck_assert_int_eq(collet_domain_find(c, "0", &info), 0);
    /* A name of digits comes before the number, a dying one after a living. */
    strcpy(fake_domain(f, 3)->info.name, "11");
    ck_assert_int_eq(collet_domain_find(c, "11", &info), 0);
    ck_assert_uint_eq(info.domid, 3);
    strcpy(fake_domain(f, 4)->info.name, "twice");
    strcpy(fake_domain(f, 5)->info.name, "twice");
    fake_domain(f, 4)->info.flags |= COLLET_DOMAIN_DYING;
    ck_assert_int_eq(collet_domain_find(c, "twice", &info), 0);
    ck_assert_uint_eq(info.domid, 5);
    ck_assert_int_eq(collet_domain_find(c, "nobody", &info), -ESRCH);
    ck_assert_str_eq(collet_error(c), "there is no domain \"nobody\"");
    ck_assert_int_eq(collet_domain_find(c, "99999999999999999999", &info), -ESRCH);
    ck_assert_int_eq(collet_domain_find(c, "", &info), -ESRCH);
    ck_assert_int_eq(collet_domain_find(c, "-1", &info), -ESRCH);
}
END_TEST

START_TEST(info_of_one_domain)
{
    struct collet_domain_info info;

    domains_make(3);
    ck_assert_int_eq(collet_domain_info(c, 2, &info), 0);
    ck_assert_str_eq(info.name, "d2");
    ck_assert_int_eq(collet_domain_destroy(c, 2), 0);
    ck_assert_int_eq(collet_domain_info(c, 2, &info), -ESRCH); /* not the next one */
    ck_assert_int_eq(collet_domain_info(c, 9, &info), -ESRCH);
}
END_TEST

START_TEST(vcpus_are_listed)
{
    struct collet_vcpu_info *all;

    domains_make(1);
    fake_domain(f, 1)->info.vcpus_max = 64;
    ck_assert_int_eq(collet_vcpus(c, 1, &all), 64);
    ck_assert_uint_eq(all[63].vcpu, 63);
    free(all);
    ck_assert_int_eq(collet_vcpus(c, 5, &all), -ESRCH);
    ck_assert_str_eq(collet_error(c), "cannot list the domain's vCPUs: there is no such domain");
}
END_TEST

START_TEST(destroy_goes_on_until_done)
{
    domains_make(1);
    f->destroy_pieces = 5;
    ck_assert_int_eq(collet_domain_destroy(c, 1), 0);
    ck_assert_uint_eq(f->calls[COLLET_OP_DOMAIN_DESTROY], 6);
    ck_assert_int_eq(collet_domain_destroy(c, 0), -EINVAL);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "Domain0 cannot be destroyed"));
}
END_TEST

START_TEST(destroy_sleeps_between_calls_and_has_a_limit)
{
    domains_make(2);
    f->destroy_pieces = UINT32_MAX;
    ck_assert_int_eq(collet_domain_destroy_within(c, 1, 50), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "destroy it again"));
    ck_assert_uint_gt(f->calls[COLLET_OP_DOMAIN_DESTROY], 1);
    ck_assert_uint_lt(f->calls[COLLET_OP_DOMAIN_DESTROY], 30); /* from 200 us on, a quarter longer each time */
    f->destroy_pieces = 1;
    ck_assert_int_eq(collet_domain_destroy(c, 1), 0);
}
END_TEST

START_TEST(names_that_are_too_long_do_not_reach_the_hypervisor)
{
    const char *name = "a-name-of-more-than-thirty-one-bytes";

    ck_assert_int_eq(collet_domain_rename(c, 1, name), -EINVAL);
    ck_assert_int_eq(collet_sched_use(c, name), -ENOENT);
    ck_assert_uint_eq(f->calls[COLLET_OP_DOMAIN_RENAME] + f->calls[COLLET_OP_SCHED_USE], 0);
    ck_assert_int_eq(collet_domain_rename(c, 1, "short"), 0);
}
END_TEST

START_TEST(scheduler_values_name_the_bad_one)
{
    struct collet_sched_value v[3] = {{.name = "weight", .value = 5}, {.name = "weight", .value = 500}, {.name = "weight"}};
    unsigned int failed;

    ck_assert_int_eq(collet_sched_set(c, NULL, v, 3, &failed), -ERANGE);
    ck_assert_uint_eq(failed, 1);
    ck_assert_str_eq(collet_error(c), "weight: the value is out of the parameter's range");
    v[1].value = 6;
    ck_assert_int_eq(collet_sched_set(c, "bvt", v, 3, NULL), 0);
    ck_assert_int_eq(collet_sched_get(c, "bvt", v, 3, &failed), 0);
    ck_assert_uint_eq(v[2].value, 42);
    ck_assert_int_eq(collet_sched_get(c, "rr", v, 3, &failed), -ESTALE);
    strcpy(v[2].name, "mood");
    ck_assert_int_eq(collet_sched_get(c, NULL, v, 3, &failed), -ENOENT);
    ck_assert_str_eq(collet_error(c), "mood: there is no such parameter, or no such vCPU");
    ck_assert_int_eq(collet_sched_set(c, NULL, v, COLLET_SCHED_VALUES_MAX + 1, &failed), -EINVAL);
}
END_TEST

START_TEST(changes_come_through_the_descriptor)
{
    struct collet_change got[4];
    uint64_t last = 0, lost = 9;
    uint32_t port = 33, back = 0;
    int fd = collet_changes_fd(c);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(collet_changes_fd(c), fd);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    f->changes[0] = (struct collet_change){.number = 1, .kind = COLLET_CHANGE_DOMAIN_CREATED, .domid = 1};
    f->changes[1] = (struct collet_change){.number = 2, .kind = COLLET_CHANGE_DOMAIN_PAUSED, .domid = 1};
    f->change_count = 2;
    ck_assert_int_eq(write(f->virq_peer, &port, sizeof(port)), sizeof(port));
    ck_assert_int_eq(poll(&p, 1, 0), 1);
    ck_assert_int_eq(collet_changes_rearm(c), 0);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    ck_assert_int_eq(read(f->virq_peer, &back, sizeof(back)), sizeof(back));
    ck_assert_uint_eq(back, 33);
    ck_assert_int_eq(collet_changes(c, &last, got, 1, &lost), 1);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(got[0].kind, COLLET_CHANGE_DOMAIN_CREATED);
    ck_assert_int_eq(collet_changes(c, &last, got, 4, NULL), 1);
    ck_assert_uint_eq(got[0].number, 2);
    ck_assert_int_eq(collet_changes(c, &last, got, 4, NULL), 0);
    ck_assert_uint_eq(last, 2);
    last = ~0ull; /* from now on */
    ck_assert_int_eq(collet_changes(c, &last, got, 4, NULL), 0);
    ck_assert_uint_eq(last, 2);
}
END_TEST

START_TEST(only_one_program_waits_for_changes)
{
    f->virq_peer = dup(0);
    ck_assert_int_eq(collet_changes_fd(c), -EEXIST);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "only one can"));
    ck_assert_int_eq(collet_changes_rearm(c), -EBADF);
}
END_TEST

START_TEST(log_is_read_from_a_position)
{
    uint64_t position = 0;
    char text[8];

    ck_assert_int_eq(collet_log_read(c, &position, text, sizeof(text)), 8);
    ck_assert_mem_eq(text, "collet: ", 8);
    ck_assert_int_eq(collet_log_read(c, &position, text, sizeof(text)), 6);
    ck_assert_int_eq(collet_log_read(c, &position, text, sizeof(text)), 0);
    ck_assert_uint_eq(position, 14);
}
END_TEST

START_TEST(a_page_that_moves_is_tried_again)
{
    struct collet_machine m;

    f->fail_at = f->calls_all + 1;
    f->fail_times = 3;
    f->fail_rc = -EFAULT;
    ck_assert_int_eq(collet_machine(c, &m), 0);
    ck_assert_uint_eq(m.cpus, 2);
    f->fail_at = f->calls_all + 1;
    f->fail_times = 1000000; /* but not for ever */
    ck_assert_int_eq(collet_machine(c, &m), -EFAULT);
}
END_TEST

Suite *suite_calls(void);
Suite *suite_calls(void)
{
    Suite *s = suite_create("calls");
    TCase *t = tcase_create("calls");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, open_without_the_device_says_what_to_do);
    tcase_add_test(t, another_version_is_refused_with_both_numbers);
    tcase_add_test(t, another_hypervisor_is_told_apart);
    tcase_add_test(t, lists_are_read_to_their_end);
    tcase_add_test(t, lists_survive_a_failure_half_way);
    tcase_add_test(t, domains_are_found_by_name_and_number);
    tcase_add_test(t, info_of_one_domain);
    tcase_add_test(t, vcpus_are_listed);
    tcase_add_test(t, destroy_goes_on_until_done);
    tcase_add_test(t, destroy_sleeps_between_calls_and_has_a_limit);
    tcase_add_test(t, names_that_are_too_long_do_not_reach_the_hypervisor);
    tcase_add_test(t, scheduler_values_name_the_bad_one);
    tcase_add_test(t, changes_come_through_the_descriptor);
    tcase_add_test(t, only_one_program_waits_for_changes);
    tcase_add_test(t, log_is_read_from_a_position);
    tcase_add_test(t, a_page_that_moves_is_tried_again);
    suite_add_tcase(s, t);
    return s;
}
