/* SPDX-License-Identifier: MIT */
/* Tests of the commands that need no daemon, run as main() runs them, against fake-collet.c. */
#include "fake-collet.h"
#include "test-run.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void setup(void)
{
    setenv("COLLET_SOCKET", "/nonexistent/colletd.sock", 1);
    fake_reset();
}

START_TEST(list_has_the_columns_of_xl)
{
    ck_assert_int_eq(run("list"), 0);
    ck_assert_str_eq(said, "Name                             ID  Mem(MiB)  VCPUs  State   Time(s)\n"
                           "Domain0                           0       256      2  r-----      1.5\n"
                           "web                               3       256      2  r-----      1.5\n"
                           "db                                4       256      1  --p---      1.5\n"
                           "a-name-of-thirty-one-characters  12       256      1  ---sc-      1.5\n");
    ck_assert_str_eq(complained, "");
}
END_TEST

START_TEST(list_of_one_and_of_nobody)
{
    ck_assert_int_eq(run("list web"), 0);
    ck_assert_ptr_nonnull(strstr(said, "web"));
    ck_assert_ptr_null(strstr(said, "Domain0"));
    ck_assert_int_eq(run("list wbe"), 3);
    ck_assert_str_eq(said, "");
    ck_assert_str_eq(complained, "collet: no domain 'wbe'; did you mean web?\n");
    ck_assert_int_eq(run("list 77"), 3);
}
END_TEST

START_TEST(json_is_one_document_for_each_command)
{
    static const char *const lines[] = { "list --json",
                                         "info --json",
                                         "info web --json",
                                         "info 12 --json",
                                         "vcpu list --json",
                                         "sched list --json",
                                         "sched show --json",
                                         "sched show web --json",
                                         "sched get web --json",
                                         "sched set web weight=300 --json",
                                         "sched use rr --json",
                                         "pause web --json",
                                         "unpause web db --json",
                                         "vcpu pin web all 0 --json",
                                         "destroy --force db --json",
                                         "trace start --json",
                                         "trace status --json",
                                         "trace stop --json",
                                         "version --json",
                                         "help --json",
                                         NULL };

    for (int i = 0; lines[i] != NULL; i++) {
        json_t *document;

        ck_assert_msg(run(lines[i]) == 0, "%s: %s", lines[i], said);
        document = said_json();
        ck_assert_msg(json_is_object(document), "%s: %s", lines[i], said);
        ck_assert_ptr_null(json_object_get(document, "error"));
        ck_assert_str_eq(complained, "");
        json_decref(document);
    }
}
END_TEST

START_TEST(failures_are_json_too)
{
    static const struct {
        const char *line;
        int exit;
        const char *error;
    } cases[] = { { "info nobody --json", 3, "ESRCH" },
                  { "pause Domain0 --json", 1, "EINVAL" },
                  { "--json frobnicate", 2, "EINVAL" },
                  { "list --bogus --json", 2, "EINVAL" },
                  { "sched use nope --json", 3, "ENOENT" },
                  { "sched set weight=0 --json", 1, "ERANGE" },
                  { "create /nonexistent.ini --json", 1, "ENOENT" },
                  { "plugin list --json", 5, "ECONNREFUSED" },
                  { "mem web --json", 2, "EINVAL" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *document;

        ck_assert_int_eq(run(cases[i].line), cases[i].exit);
        document = said_json();
        ck_assert_msg(json_is_object(document), "%s: %s", cases[i].line, said);
        ck_assert_str_eq(json_string_value(json_object_get(document, "error")), cases[i].error);
        ck_assert_int_gt(json_string_length(json_object_get(document, "message")), 0);
        ck_assert_int_eq(json_integer_value(json_object_get(document, "exit")), cases[i].exit);
        ck_assert_str_eq(complained, "");
        json_decref(document);
    }
}
END_TEST

START_TEST(outside_of_domain0_is_exit_4)
{
    fake.open_rc = -ENOENT;
    ck_assert_int_eq(run("list"), 4);
    ck_assert_ptr_nonnull(strstr(complained, "privcmd"));
    ck_assert_int_eq(run("version"), 0);
    ck_assert_ptr_nonnull(strstr(said, "not reachable"));
    fake.open_rc = -EPROTO;
    ck_assert_int_eq(run("list"), 1);
}
END_TEST

START_TEST(usage_is_exit_2_and_changes_nothing)
{
    static const char *const lines[] = { "",
                                         "frob",
                                         "pause",
                                         "pause web --force",
                                         "vcpu pin web 0",
                                         "vcpu pin web x 0",
                                         "vcpu pin web 0 9",
                                         "vcpu pin web 0 1-",
                                         "destroy",
                                         "destroy web --all",
                                         "sched set",
                                         "sched set web",
                                         "sched set web weight",
                                         "sched set web weight=many",
                                         "sched set web warp=10parsecs",
                                         "sched",
                                         "top -n 0",
                                         "top --sort x",
                                         "trace start --kinds switch,walk",
                                         "trace start --size 3",
                                         "trace dump --format mp3",
                                         "mem web 12Q",
                                         "watch -n x",
                                         "log --lines",
                                         "rename web",
                                         "list --long=yes",
                                         "trace dump --kinds wake",
                                         "daemon frob",
                                         NULL };

    for (int i = 0; lines[i] != NULL; i++) {
        ck_assert_msg(run(lines[i]) == 2, "%s", lines[i]);
        ck_assert_msg(*complained != 0, "%s", lines[i]);
    }
    ck_assert_int_eq(fake.paused_count + fake.destroyed_count + fake.set_calls, 0);
    ck_assert_uint_eq(fake.affinity, 0);
    ck_assert_uint_eq(fake.trace.pages, 0);
}
END_TEST

START_TEST(typing_errors_are_answered_with_the_nearest)
{
    run("lsit");
    ck_assert_str_eq(complained, "collet: no command 'lsit'; did you mean: collet list?\n");
    run("sched ues rr");
    ck_assert_str_eq(complained, "collet: no command 'sched ues'; did you mean: collet sched use?\n");
    run("sched use rrr");
    ck_assert_str_eq(complained, "collet: no scheduler module 'rrr'; did you mean rr?\n");
    run("sched set web wieght=3");
    ck_assert_str_eq(complained, "collet: scheduler bvt has no parameter 'wieght'; did you mean weight?\n");
    run("list --lnog");
    ck_assert_str_eq(complained, "collet: list: no option '--lnog'; did you mean --long?\n");
    run("trace start --kinds swich");
    ck_assert_str_eq(complained, "collet: --kinds: no kind 'swich'; did you mean switch?\n");
}
END_TEST

START_TEST(pause_looks_all_up_first)
{
    ck_assert_int_eq(run("pause web nobody"), 3);
    ck_assert_int_eq(fake.paused_count, 0);
    ck_assert_int_eq(run("pause web 4"), 0);
    ck_assert_int_eq(fake.paused_count, 2);
}
END_TEST

START_TEST(destroy_without_the_daemon)
{
    ck_assert_int_eq(run("destroy web"), 5);
    ck_assert_ptr_nonnull(strstr(complained, "--force"));
    ck_assert_int_eq(run("destroy --force Domain0"), 1);
    ck_assert_int_eq(run("destroy --force web nobody"), 3);
    ck_assert_int_eq(run("destroy --force --all"), 1); /* nobody to ask */
    ck_assert_int_eq(fake.destroyed_count, 0);
    ck_assert_int_eq(run("destroy --force web 4"), 0);
    ck_assert_int_eq(fake.destroyed_count, 2);
    ck_assert_uint_eq(fake.destroyed[0], 3);
    ck_assert_int_eq(run("destroy --force --all --yes"), 0);
    ck_assert_int_eq(fake.destroyed_count, 5);
    ck_assert_uint_eq(fake.destroyed[2], 3); /* never Domain0 */
}
END_TEST

START_TEST(info_of_machine_and_domain)
{
    ck_assert_int_eq(run("info"), 0);
    ck_assert_ptr_nonnull(strstr(said, "scheduler         : bvt"));
    ck_assert_ptr_nonnull(strstr(said, "cpu 0             : idle 50.0%"));
    ck_assert_int_eq(run("info a-name-of-thirty-one-characters"), 0);
    ck_assert_ptr_nonnull(strstr(said, "exit_reason       : crash"));
    ck_assert_ptr_nonnull(strstr(said, "crash             : a bad stack"));
    ck_assert_int_eq(run("info web"), 0);
    ck_assert_ptr_nonnull(strstr(said, "l4 1"));
    ck_assert_ptr_nonnull(strstr(said, "8us  64us  1024us"));
}
END_TEST

START_TEST(values_are_set_at_once_with_units)
{
    ck_assert_int_eq(run("sched set web weight=512 warp=5ms"), 0);
    ck_assert_int_eq(fake.set_calls, 1);
    ck_assert_int_eq(fake.value_count, 2);
    ck_assert_uint_eq(fake.values[0].scope, COLLET_SCOPE_DOMAIN);
    ck_assert_uint_eq(fake.values[0].domid, 3);
    ck_assert_uint_eq(fake.values[1].value, 5000000);
    ck_assert_int_eq(run("sched set web/1 warp=1us"), 0);
    ck_assert_uint_eq(fake.values[2].scope, COLLET_SCOPE_VCPU);
    ck_assert_uint_eq(fake.values[2].vcpu, 1);
    ck_assert_int_eq(run("sched set allowance=2ms"), 0);
    ck_assert_uint_eq(fake.values[3].scope, COLLET_SCOPE_MODULE);
    ck_assert_int_eq(run("sched set web boost=on"), 0);
    ck_assert_uint_eq(fake.values[4].value, 1);
    ck_assert_int_eq(run("sched get web"), 0);
    ck_assert_str_eq(said, "weight=512\nwarp=5ms\nboost=yes\n");
    ck_assert_int_eq(run("sched get web weight"), 0);
    ck_assert_str_eq(said, "weight=512\n");
    ck_assert_int_eq(run("sched set grain=3ms"), 0); /* grain_ns */
    ck_assert_str_eq(fake.values[5].name, "grain_ns");
    ck_assert_int_eq(run("sched get grain"), 0);
    ck_assert_str_eq(said, "grain_ns=3ms\n");
    ck_assert_int_eq(run("sched set web grai=3ms"), 3);
    ck_assert_int_eq(run("sched get weight"), 0);
    ck_assert_str_eq(said, "weight=256\n");
}
END_TEST

START_TEST(bad_values_set_nothing)
{
    ck_assert_int_eq(run("sched set web weight=512 warp=2min"), 1);
    ck_assert_ptr_nonnull(strstr(complained, "from 0 to 60s"));
    ck_assert_int_eq(run("sched set web allowance=1ms"), 1);
    ck_assert_ptr_nonnull(strstr(complained, "cannot be set for a domain, only for: all"));
    ck_assert_int_eq(run("sched set web/2 weight=1"), 3);
    ck_assert_int_eq(run("sched set web/x weight=1"), 2);
    ck_assert_int_eq(run("sched set nobody weight=1"), 3);
    ck_assert_int_eq(fake.set_calls, 0);
}
END_TEST

START_TEST(sched_show_tells_of_faults)
{
    ck_assert_int_eq(run("sched show"), 0);
    ck_assert_ptr_nonnull(strstr(said, "scheduler bvt, for 00:01:0"));
    ck_assert_ptr_nonnull(strstr(said, "last dropped: mine, at 00:00:40: it chose a blocked vCPU"));
    ck_assert_ptr_nonnull(strstr(said, "bad answers: bad-pick 2"));
    ck_assert_ptr_nonnull(strstr(said, "may wait 1s"));
    ck_assert_int_eq(run("sched use rr"), 0);
    ck_assert_str_eq(said, "rr (before: bvt)\n");
}
END_TEST

START_TEST(pinning)
{
    ck_assert_int_eq(run("vcpu pin web 1 0-1"), 0);
    ck_assert_uint_eq(fake.affinity, 3);
    ck_assert_uint_eq(fake.affinity_vcpu, 1);
    ck_assert_int_eq(run("vcpu pin web all 1"), 0);
    ck_assert_uint_eq(fake.affinity_vcpu, COLLET_VCPU_ALL);
    ck_assert_int_eq(run("vcpu pin web 2 1"), 3);
}
END_TEST

START_TEST(log_has_its_last_lines)
{
    ck_assert_int_eq(run("log"), 0);
    ck_assert_str_eq(said, fake.log);
    ck_assert_int_eq(run("log -n 2"), 0);
    ck_assert_str_eq(said, "(collet) two\n(collet) three \033[2J\n");
    ck_assert_int_eq(run("log -n2 --json"), 0);
    ck_assert_str_eq(said, "{\"line\":\"(collet) two\"}\n{\"line\":\"(collet) three \\u001B[2J\"}\n");
}
END_TEST

static void *log_more(void *arg)
{
    (void)arg;
    usleep(300000);
    fake.log = "one\ntwo\nthr";
    usleep(600000);
    fake.log = "one\ntwo\nthree\n";
    usleep(600000);
    kill(getpid(), SIGINT);
    return NULL;
}

static void follow(const char *line, const char *expected)
{
    pthread_t thread;

    fake.log = "one\n";
    pthread_create(&thread, NULL, log_more, NULL);
    ck_assert_int_eq(run(line), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(said, expected);
}

START_TEST(log_can_be_followed)
{
    follow("log -f", "one\ntwo\nthree\n");
    follow("log -f --json", "{\"line\":\"one\"}\n{\"line\":\"two\"}\n{\"line\":\"three\"}\n");
}
END_TEST

START_TEST(watch_prints_what_is_kept_and_what_comes)
{
    ck_assert_int_eq(run("watch --all -n 2"), 0);
    ck_assert_str_eq(said, "22:13:20.001  created            3  web\n22:13:20.002  shut-down         12  a-name: crash\n");
    ck_assert_int_eq(run("watch --all --timeout 0.01"), 0);
    ck_assert_ptr_nonnull(strstr(said, "rr, because the last one failed"));
    ck_assert_ptr_nonnull(strstr(said, "disk-used          -  disk0: fifo, because the last one failed\n"));
    ck_assert_ptr_nonnull(strstr(said, "disk-fault         -  disk0: mine: answered nobody\n"));
    ck_assert_ptr_nonnull(strstr(said, "vbd-created        3  VBD 2: root\n"));
    ck_assert_ptr_nonnull(strstr(said, "vbd-destroyed      3  VBD 2\n"));
    ck_assert_ptr_nonnull(strstr(said, "vbd-broken         3  VBD 2: producer index out of range\n"));
    ck_assert_ptr_nonnull(strstr(said, "rules              -  generation 4: put back: not confirmed\n"));
    ck_assert_ptr_nonnull(strstr(said, "vif-created        3  VIF 7: web.0\n"));
    ck_assert_int_eq(run("watch --timeout 0.01"), 0);
    ck_assert_str_eq(said, "");
    ck_assert_int_eq(run("watch -n 1 --timeout 0.01"), 6);
}
END_TEST

START_TEST(top_in_batch)
{
    ck_assert_int_eq(run("top --batch -n 2 -d 0.01"), 0);
    ck_assert_ptr_nonnull(strstr(said, "collet top  up 00:01:"));
    ck_assert_ptr_nonnull(strstr(said, "Scheduler bvt"));
    ck_assert_ptr_nonnull(strstr(said, "web                               3  r-----  40.0   10.0  16us       50"));
    ck_assert_int_eq(run("top -n 1 -d 0.01 --json --vcpus"), 0);
    ck_assert_ptr_nonnull(strstr(said, "\"name\":\"web/1\""));
    ck_assert_ptr_nonnull(strstr(said, "\"latency_p99_ns\":16000"));
}
END_TEST

START_TEST(every_command_explains_itself)
{
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        char line[64];

        if ((*c)->name[0] == '_')
            continue;
        snprintf(line, sizeof(line), "%s --help", (*c)->name);
        ck_assert_int_eq(run(line), 0);
        ck_assert_ptr_nonnull(strstr(said, "Usage: collet "));
        ck_assert_str_eq(complained, "");
    }
    ck_assert_int_eq(run("help sched set"), 0);
    ck_assert_ptr_nonnull(strstr(said, "Examples:"));
    ck_assert_int_eq(run("sched --help"), 0);
}
END_TEST

START_TEST(completion_knows_what_can_follow)
{
    static const struct {
        const char *line, *answer;
    } cases[] = { { "__complete words lis", "list\n" },
                  { "__complete words sched u", "use\n" },
                  { "__complete words sched use r", "rr\n" },
                  { "__complete words disk s", "show\nsched\nset\nstats\n" },
                  { "__complete words disk sched u", "use\n" },
                  { "__complete words disk sched use d", "disk0\ndisk1\n" },
                  { "__complete words disk sched use disk0 f", "fifo\nfair\n" },
                  { "__complete words disk set disk1 w", "weight=\n" },
                  { "__complete words disk set disk1 --vbd w", "web/root\n" },
                  { "__complete words disk model disk0 h", "hp97560\n" },
                  { "__complete words disk record disk0 -w x", "@files\n" },
                  { "__complete words vbd show d", "db/data\n" },
                  { "__complete words pause w", "web\n" },
                  { "__complete words pause web d", "db\n" },
                  { "__complete words sched set web we", "weight=\n" },
                  { "__complete words vcpu pin web 0 a", "all\n" },
                  { "__complete words list --l", "--long\n" },
                  { "__complete words trace dump --format p", "perfetto\n" },
                  { "__complete words trace dump -o x", "@files\n" },
                  { "__complete words create x", "@files\n" },
                  { "__complete words info web x", "" },
                  { "__complete modules", "bvt\nrr\n" },
                  { "__complete plugins", "" } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ck_assert_int_eq(run(cases[i].line), 0);
        ck_assert_msg(strcmp(said, cases[i].answer) == 0, "%s: %s", cases[i].line, said);
        ck_assert_str_eq(complained, "");
    }
    fake.open_rc = -ENOENT;
    ck_assert_int_eq(run("__complete domains"), 0);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(output_that_gets_lost_is_told)
{
    char *words[] = { (char *)"collet", (char *)"list" };
    FILE *full = fopen("/dev/full", "w"), *err;
    size_t bytes;

    ck_assert_ptr_nonnull(full);
    err = open_memstream(&complained, &bytes);
    ck_assert_int_eq(cli_main(2, words, full, err), 1);
    fclose(err);
    fclose(full);
    ck_assert_str_eq(complained, "collet: the output could not be written: No space left on device\n");
}
END_TEST

/* ---- The pages ---- */

/* The file as a text to be freed; tests run from the top of the tree. */
static char *page(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 18);

    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_uint_gt(fread(text, 1, (1 << 18) - 1, file), 0);
    fclose(file);
    return text;
}

/* Without the escapes of troff. */
static char *plain(char *text)
{
    static const char *const names[] = { "(aq'", "(ha^", "(ti~", "(ga`" };
    char *to = text;

    for (const char *from = text; *from != 0; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        for (size_t i = 0; i < 4; i++)
            if (strncmp(from + 1, names[i], 3) == 0) {
                *to++ = names[i][3];
                from += 3;
                break;
            }
    }
    *to = 0;
    return text;
}

START_TEST(the_man_page_has_every_command_and_option)
{
    char *text = plain(page("docs/man/collet.1")), word[128];

    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        if ((*c)->name[0] == '_')
            continue;
        snprintf(word, sizeof(word), ".SS collet %s%s%s\n", (*c)->name, (*c)->arguments[0] != 0 ? " " : "", (*c)->arguments);
        ck_assert_msg(strstr(text, word) != NULL, "collet.1: %s", word);
        ck_assert_msg(strstr(text, (*c)->summary) != NULL, "collet.1: %s", (*c)->summary);
        for (const struct cli_option *o = (*c)->options; o != NULL && o->name != NULL; o++)
            ck_assert_msg(strstr(text, o->help) != NULL, "collet.1: %s --%s: %s", (*c)->name, o->name, o->help);
    }
    free(text);
}
END_TEST

static void expect_keys(const char *text, const json_t *value, const char *line)
{
    const json_t *inner;
    const char *key;
    size_t i;
    char quoted[96];

    json_array_foreach(value, i, inner) expect_keys(text, inner, line);
    if (!json_is_object(value))
        return;
    json_object_foreach((json_t *)value, key, inner)
    {
        snprintf(quoted, sizeof(quoted), "%s", key);
        ck_assert_msg(strstr(text, quoted) != NULL, "docs/reference/json.md: %s of collet %s", key, line);
        /* These have names of parameters and of faults for keys. */
        if (strcmp(key, "values") != 0 && strcmp(key, "faults") != 0)
            expect_keys(text, inner, line);
    }
}

START_TEST(the_page_of_json_has_every_field)
{
    static const char *const lines[] = { "list --json",
                                         "info --json",
                                         "info web --json",
                                         "info 12 --json",
                                         "vcpu list --json",
                                         "sched list --json",
                                         "sched show --json",
                                         "sched show web --json",
                                         "sched get web --json",
                                         "sched use rr --json",
                                         "pause web --json",
                                         "vcpu pin web all 0 --json",
                                         "trace status --json",
                                         "version --json",
                                         "help --json",
                                         "top -n 1 -d 0.01 --json",
                                         "watch --all -n 2 --json",
                                         "info x --json",
                                         "disk list --json",
                                         "disk show disk0 --json",
                                         "disk show disk1 --json",
                                         "disk sched list --json",
                                         "disk sched use disk0 fifo --json",
                                         "disk get disk1 --json",
                                         "disk get disk1 --vbd db/data --json",
                                         "disk stats --json",
                                         "disk model disk0 hp97560 --json",
                                         "disk record disk0 --stop --json",
                                         "vbd list --json",
                                         "vbd show web/root --json",
                                         "nic list --json",
                                         "nic sched list --json",
                                         "nic sched use weighted --json",
                                         "vif list --json",
                                         "vif show db.0 --json",
                                         "vif set web.0 --weight 7 --json",
                                         "rules show --json",
                                         "rules load /dev/null --confirm 5 --json",
                                         "rules show --json",
                                         "rules confirm --json",
                                         "rules flush --json",
                                         "rules kinds --json",
                                         "rules load /nonexistent --json",
                                         "flows --json",
                                         NULL };
    char *text = page("docs/reference/json.md");

    for (int i = 0; lines[i] != NULL; i++) {
        char *rest, *line;

        run(lines[i]);
        if (strstr(lines[i], "watch") == NULL) {
            json_t *document = said_json();

            expect_keys(text, document, lines[i]);
            json_decref(document);
            continue;
        }
        for (line = strtok_r(said, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
            json_t *document = json_loads(line, 0, NULL);

            ck_assert_ptr_nonnull(document);
            expect_keys(text, document, lines[i]);
            json_decref(document);
        }
    }
    free(text);
}
END_TEST

Suite *suite_cli(void);
Suite *suite_cli(void)
{
    Suite *s = suite_create("cli");
    TCase *t = tcase_create("commands");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, run_end);
    tcase_add_test(t, list_has_the_columns_of_xl);
    tcase_add_test(t, list_of_one_and_of_nobody);
    tcase_add_test(t, json_is_one_document_for_each_command);
    tcase_add_test(t, failures_are_json_too);
    tcase_add_test(t, outside_of_domain0_is_exit_4);
    tcase_add_test(t, usage_is_exit_2_and_changes_nothing);
    tcase_add_test(t, typing_errors_are_answered_with_the_nearest);
    tcase_add_test(t, pause_looks_all_up_first);
    tcase_add_test(t, destroy_without_the_daemon);
    tcase_add_test(t, info_of_machine_and_domain);
    tcase_add_test(t, values_are_set_at_once_with_units);
    tcase_add_test(t, bad_values_set_nothing);
    tcase_add_test(t, sched_show_tells_of_faults);
    tcase_add_test(t, pinning);
    tcase_add_test(t, log_has_its_last_lines);
    tcase_add_test(t, log_can_be_followed);
    tcase_add_test(t, watch_prints_what_is_kept_and_what_comes);
    tcase_add_test(t, top_in_batch);
    tcase_add_test(t, every_command_explains_itself);
    tcase_add_test(t, completion_knows_what_can_follow);
    tcase_add_test(t, output_that_gets_lost_is_told);
    tcase_add_test(t, the_man_page_has_every_command_and_option);
    tcase_add_test(t, the_page_of_json_has_every_field);
    return s;
}
