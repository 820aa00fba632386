/* SPDX-License-Identifier: MIT */
/*
 * Tests of the commands that ask colletd, against a daemon of canned answers on a socket of its own, and of the console against a pty.
 */
#include "fake-collet.h"
#include "test-run.h"
#include "console.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWERS_MAX 8

/* The daemon: takes a request line, answers with the next of `answers` (lines; NULL: closes the connection). */
static struct {
    char path[64];
    int listener;
    pthread_t thread;
    const char *answers[ANSWERS_MAX];
    char requests[ANSWERS_MAX][4096];
    int count;
    int first; /* so many answers come before a console's */
} canned;

static bool read_request(FILE *file, char *to, size_t room)
{
    return fgets(to, (int)room, file) != NULL;
}

static void serve(int fd)
{
    FILE *file = fdopen(fd, "r+");

    while (canned.count < ANSWERS_MAX && read_request(file, canned.requests[canned.count], sizeof(canned.requests[0]))) {
        const char *answer = canned.answers[canned.count++];

        if (answer == NULL)
            break;
        fseek(file, 0, SEEK_CUR);
        fputs(answer, file);
        fflush(file);
    }
    fclose(file);
}

static void *daemon_main(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(canned.listener, NULL, NULL)) >= 0)
        serve(fd);
    return NULL;
}

static void setup(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    fake_reset();
    memset(&canned, 0, sizeof(canned));
    snprintf(canned.path, sizeof(canned.path), "/tmp/test-client.%d.sock", (int)getpid());
    unlink(canned.path);
    strcpy(address.sun_path, canned.path);
    setenv("COLLET_SOCKET", canned.path, 1);
    canned.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(canned.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    listen(canned.listener, 4);
    pthread_create(&canned.thread, NULL, daemon_main, NULL);
}

static void teardown(void)
{
    shutdown(canned.listener, SHUT_RDWR);
    pthread_join(canned.thread, NULL);
    close(canned.listener);
    unlink(canned.path);
    run_end();
}

static const char *asked(int i, const char *key)
{
    static char text[4096];
    json_t *request = json_loads(canned.requests[i], 0, NULL), *value = json_object_get(request, key);

    if (json_is_string(value))
        snprintf(text, sizeof(text), "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(text, sizeof(text), "%s", json_is_true(value) ? "true" : json_is_false(value) ? "false" : "nothing");
    json_decref(request);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
}

START_TEST(create_sends_the_text_with_changes)
{
    char path[64], line[160];

    snprintf(path, sizeof(path), "/tmp/test-client.%d.ini", (int)getpid());
    write_file(path, "[domain]\nname = web\nmemory = 64M\n");
    canned.answers[0] = "{\"progress\": 100, \"what\": \"kernel\"}\n{\"progress\": 900, \"what\": \"ramdisk\"}\n{\"ok\": true, \"result\": {\"domid\": 9, "
                        "\"name\": \"web\"}}\n";
    snprintf(line, sizeof(line), "create %s memory=128M sched.weight=5 --paused", path);
    ck_assert_int_eq(run(line), 0);
    ck_assert_str_eq(said, "created web, domain 9, paused\n");
    ck_assert_str_eq(complained, ""); /* no bar where there is no terminal */
    ck_assert_str_eq(asked(0, "op"), "create");
    ck_assert_str_eq(asked(0, "file"), path);
    ck_assert_str_eq(asked(0, "paused"), "true");
    ck_assert_str_eq(asked(0, "text"), "[domain]\nname = web\nmemory = 128M\n[sched]\nweight = 5\n");
    canned.answers[1] = "{\"ok\": true, \"result\": {\"name\": \"web\"}}\n";
    snprintf(line, sizeof(line), "create --dry-run %s", path);
    ck_assert_int_eq(run(line), 0);
    ck_assert_str_eq(asked(1, "op"), "check");
    ck_assert_ptr_nonnull(strstr(said, "fine"));
    ck_assert_int_eq(run("create /tmp"), 1);
    snprintf(line, sizeof(line), "create %s memory", path);
    ck_assert_int_eq(run(line), 2);
    ck_assert_int_eq(canned.count, 2);
    unlink(path);
}
END_TEST

START_TEST(refusals_keep_their_words_and_exit_codes)
{
    static const struct {
        const char *answer, *line;
        int exit;
        const char *message;
    } cases[] = {
        { "{\"ok\": false, \"error\": \"EINVAL\", \"message\": \"web.ini:7: memory = 12Q: a size was expected\"}\n", "rename web x", 1,
          "collet: web.ini:7: memory = 12Q: a size was expected\n" },
        { "{\"ok\": false, \"error\": \"ESRCH\", \"message\": \"no domain x\"}\n", "rename x y", 3, "collet: no domain x\n" },
        { "{\"ok\": false, \"error\": \"ENOENT\", \"message\": \"no plugin x\"}\n", "plugin show x", 3, "collet: no plugin x\n" },
        { "{\"ok\": false, \"error\": \"ETIMEDOUT\", \"message\": \"it goes on\"}\n", "shutdown --wait web", 6, "collet: it goes on\n" },
        { "{\"ok\": false, \"error\": \"EPERM\", \"message\": \"no\"}\n", "daemon stop", 4, "collet: no\n" },
        { "{\"ok\": 7}\n", "daemon", 1, "collet: colletd answered something that is not an answer\n" },
        { "nonsense\n", "daemon", 1, NULL },
        { NULL, "daemon", 5, NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        canned.answers[i] = cases[i].answer;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ck_assert_msg(run(cases[i].line) == cases[i].exit, "%s: %s", cases[i].line, complained);
        if (cases[i].message != NULL)
            ck_assert_str_eq(complained, cases[i].message);
        ck_assert_int_gt((int)strlen(complained), 0);
    }
}
END_TEST

START_TEST(without_a_daemon_it_says_how_to_start_one)
{
    setenv("COLLET_SOCKET", "/nonexistent/sock", 1);
    ck_assert_int_eq(run("plugin list"), 5);
    ck_assert_ptr_nonnull(strstr(complained, "colletd does not run"));
    ck_assert_ptr_nonnull(strstr(complained, "start it with"));
    setenv("COLLET_SOCKET", canned.path, 1);
}
END_TEST

START_TEST(list_knows_what_the_daemon_knows)
{
    json_t *document, *domains;

    canned.answers[0] = canned.answers[1] =
        "{\"ok\": true, \"result\": [{\"domid\": 3, \"name\": \"web\", \"on_crash\": \"restart\", \"on_reboot\": \"restart\", \"on_poweroff\": \"destroy\", "
        "\"restarts\": 2, \"last_exit\": \"crash\", \"file\": \"/etc/collet/web.ini\", \"target_frames\": 32768},"
        "{\"domid\": null, \"name\": \"old\", \"last_exit\": \"poweroff\"}]}\n";
    ck_assert_int_eq(run("list -l -a"), 0);
    ck_assert_ptr_nonnull(strstr(said, "restart   restart    destroy             2  crash"));
    ck_assert_ptr_nonnull(strstr(said, "ended"));
    ck_assert_int_eq(run("list --json -a"), 0);
    document = said_json();
    domains = json_object_get(document, "domains");
    ck_assert_int_eq((int)json_array_size(domains), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(domains, 1), "memory_target_bytes")), 32768 * 4096);
    json_decref(document);
}
END_TEST

START_TEST(memory_goes_as_frames)
{
    canned.answers[0] = "{\"ok\": true, \"result\": {\"frames\": 65536, \"frames_max\": 131072}}\n";
    ck_assert_int_eq(run("mem web 256M --max 512 --wait 1"), 0);
    ck_assert_str_eq(asked(0, "frames"), "65536");
    ck_assert_str_eq(asked(0, "max_frames"), "131072");
    canned.answers[1] = "{\"ok\": true, \"result\": {\"frames\": 16384, \"frames_max\": 131072}}\n";
    ck_assert_int_eq(run("mem web 64M --wait 0.1"), 6);
    ck_assert_int_eq(run("mem web 256M --max 128M"), 2);
    ck_assert_int_eq(canned.count, 2);
}
END_TEST

START_TEST(disks_come_and_go)
{
    canned.answers[0] = "{\"ok\": true, \"result\": {\"vbd\": 7, \"device\": \"xvdb\"}}\n";
    ck_assert_int_eq(run("vbd add web data lvm:vg0/data --mode r --device xvdb --shared --iops 200 --bytes-per-s 10M"), 0);
    ck_assert_str_eq(said, "data: VBD 7, xvdb in the guest\n");
    ck_assert_str_eq(asked(0, "op"), "vbd-add");
    ck_assert_str_eq(asked(0, "backing"), "lvm:vg0/data");
    ck_assert_str_eq(asked(0, "mode"), "r");
    ck_assert_str_eq(asked(0, "device"), "xvdb");
    ck_assert_str_eq(asked(0, "shared"), "true");
    ck_assert_str_eq(asked(0, "iops"), "200");
    ck_assert_str_eq(asked(0, "bytes_per_s"), "10M");
    ck_assert_int_eq(run("vbd add web data disk:disk1 --mode rw"), 2);
    ck_assert_int_eq(run("vbd add web data disk:disk1 --iops many"), 2);
    ck_assert_int_eq(run("vbd add web data"), 2);
    canned.answers[1] = "{\"ok\": false, \"error\": \"ETIMEDOUT\", \"message\": \"data: the guest holds on\"}\n";
    ck_assert_int_eq(run("vbd del web data"), 6);
    ck_assert_str_eq(asked(1, "op"), "vbd-del");
    ck_assert_str_eq(asked(1, "force"), "false");
    canned.answers[2] = "{\"ok\": true, \"result\": {}}\n";
    ck_assert_int_eq(run("vbd del web data --force"), 0);
    ck_assert_str_eq(asked(2, "force"), "true");
    canned.answers[3] = "{\"ok\": true, \"result\": [{\"backing\": \"disk:disk0\", \"sectors\": 2048, \"used_by\": \"web/root\", \"why_not\": \"\"}, "
                        "{\"backing\": \"lvm:vg0/thin\", \"sectors\": 0, \"used_by\": \"\", \"why_not\": \"it is of kind thin\"}]}\n";
    ck_assert_int_eq(run("vbd volumes"), 0);
    ck_assert_ptr_nonnull(strstr(said, "disk:disk0    1.0 MiB  web/root"));
    ck_assert_ptr_nonnull(strstr(said, "it is of kind thin"));
    canned.answers[4] = canned.answers[3];
    ck_assert_int_eq(run("vbd volumes --json"), 0);
    ck_assert_ptr_nonnull(strstr(said, "1048576"));
}
END_TEST

START_TEST(interfaces_come_and_go)
{
    canned.answers[0] = "{\"ok\": true, \"result\": {\"vif\": 7, \"name\": \"web.1\", \"mac\": \"00:16:3e:01:02:03\", \"network\": \"nic0\", \"device\": 1}}\n";
    ck_assert_int_eq(run("vif add web 1 --ip 10.0.2.17,fec0::17 --network nic0 --rate 10M --pps 500 --weight 7 --mac 00:16:3e:01:02:03 --all"), 0);
    ck_assert_str_eq(said, "web.1: VIF 7, 00:16:3e:01:02:03 on nic0\n");
    ck_assert_str_eq(asked(0, "op"), "vif-add");
    ck_assert_str_eq(asked(0, "name"), "1");
    ck_assert_str_eq(asked(0, "ip"), "10.0.2.17,fec0::17");
    ck_assert_str_eq(asked(0, "network"), "nic0");
    ck_assert_str_eq(asked(0, "rate"), "10M");
    ck_assert_str_eq(asked(0, "pps"), "500");
    ck_assert_str_eq(asked(0, "weight"), "7");
    ck_assert_str_eq(asked(0, "mac"), "00:16:3e:01:02:03");
    ck_assert_str_eq(asked(0, "antispoof"), "true");
    ck_assert_str_eq(asked(0, "all"), "true");
    ck_assert_int_eq(run("vif add web"), 2);
    canned.answers[1] = "{\"ok\": false, \"error\": \"ETIMEDOUT\", \"message\": \"1: the guest holds on\"}\n";
    ck_assert_int_eq(run("vif del web 1"), 6);
    ck_assert_str_eq(asked(1, "op"), "vif-del");
    ck_assert_str_eq(asked(1, "force"), "false");
    canned.answers[2] = canned.answers[0];
    ck_assert_int_eq(run("vif add web 1 --json"), 0);
    ck_assert_ptr_nonnull(strstr(said, "\"vif\": 7"));
}
END_TEST

START_TEST(plugins_are_shown)
{
    canned.answers[0] = "{\"ok\": true, \"result\": [{\"name\": \"shares\", \"state\": \"running\", \"summary\": \"percentages\", \"pid\": 77, \"restarts\": "
                        "0, \"updates\": 5, "
                        "\"values_set\": 9, \"last_error\": \"\"}]}\n";
    ck_assert_int_eq(run("plugin list"), 0);
    ck_assert_ptr_nonnull(strstr(said, "shares  running   77"));
    canned.answers[1] = "{\"ok\": true, \"result\": {\"name\": \"shares\", \"state\": \"running\", \"values\": [{\"domid\": 3, \"vcpu\": 4294967295, \"name\": "
                        "\"weight\", \"value\": 512, "
                        "\"before\": 256, \"why\": \"25%\"}], \"settings\": [{\"section\": \"web\", \"key\": \"share\", \"value\": \"25%\", \"line\": 4}], "
                        "\"messages\": []}}\n";
    ck_assert_int_eq(run("plugin show shares"), 0);
    ck_assert_ptr_nonnull(strstr(said, "[web] share = 25%   (line 4)"));
    ck_assert_ptr_nonnull(strstr(said, "     3     -  weight       512     256  25%"));
    canned.answers[2] = canned.answers[1];
    ck_assert_int_eq(run("plugin reload shares"), 0);
    ck_assert_str_eq(said, "reloaded shares: running\n");
}
END_TEST

START_TEST(several_domains_are_one_connection)
{
    canned.answers[0] = canned.answers[1] = "{\"ok\": true, \"result\": {}}\n";
    ck_assert_int_eq(run("destroy web db"), 0);
    ck_assert_str_eq(asked(0, "domain"), "web");
    ck_assert_str_eq(asked(1, "domain"), "db");
    ck_assert_int_eq(fake.destroyed_count, 0); /* the daemon does it */
}
END_TEST

START_TEST(destroy_of_one_that_waits_for_its_restart)
{
    canned.answers[0] = "{\"ok\": true, \"result\": [{\"domid\": null, \"name\": \"again\", \"state\": \"restarting\"}, {\"domid\": null, \"name\": \"over\", "
                        "\"state\": \"ended\"}]}\n";
    canned.answers[1] = "{\"ok\": true, \"result\": {}}\n";
    ck_assert_int_eq(run("destroy again"), 0);
    ck_assert_str_eq(asked(1, "op"), "destroy");
    ck_assert_str_eq(asked(1, "domain"), "again");
    canned.answers[2] = canned.answers[0];
    ck_assert_int_eq(run("destroy over"), 3);
    ck_assert_int_eq(canned.count, 3);
}
END_TEST

/* ---- The console ---- */

struct guest {
    int master;
    char heard[256];
    size_t count;
    bool goes;  /* after what it heard */
    bool ended; /* and its domain with it */
};

static void *guest_main(void *arg)
{
    struct guest *g = arg;
    ssize_t n = read(g->master, g->heard, sizeof(g->heard) - 1);

    g->count = n > 0 ? (size_t)n : 0;
    if (write(g->master, "answer\r\n", 8) != 8)
        return NULL;
    usleep(100000);
    if (g->ended)
        fake.domains[1].flags = COLLET_DOMAIN_SHUT_DOWN;
    if (g->goes)
        close(g->master);
    return NULL;
}

/* Run the console with `input` on standard input; what it printed is in `said` through a file, for the console writes to the descriptor. */
static int run_console(struct guest *g, const char *input, const char *options, char *output, size_t room)
{
    char answer[256], name[128], path[] = "/tmp/test-console.XXXXXX", line[128], *words[16] = { (char *)"collet" }, *rest, *word;
    int slave, pipes[2], saved = dup(0), count = 1, exit;
    pthread_t thread;
    FILE *out;
    size_t n;

    ck_assert_int_eq(openpty(&g->master, &slave, name, NULL, NULL), 0);
    snprintf(answer, sizeof(answer), "{\"ok\": true, \"result\": {\"pty\": \"%s\"}}\n", name);
    canned.answers[canned.count + canned.first] = answer;
    pthread_create(&thread, NULL, guest_main, g);
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq((int)write(pipes[1], input, strlen(input)), (int)strlen(input));
    close(pipes[1]);
    dup2(pipes[0], 0);
    close(pipes[0]);
    out = fdopen(mkstemp(path), "r+");
    snprintf(line, sizeof(line), "console web %s", options);
    for (word = strtok_r(line, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    exit = cli_main(count, words, out, stderr);
    dup2(saved, 0);
    close(saved);
    pthread_join(thread, NULL);
    rewind(out);
    n = fread(output, 1, room - 1, out);
    output[n] = 0;
    fclose(out);
    unlink(path);
    close(slave);
    if (!g->goes)
        close(g->master);
    return exit;
}

START_TEST(a_script_talks_to_the_console)
{
    struct guest g = { 0 };
    char output[256];

    ck_assert_int_eq(run_console(&g, "uptime\n", "--idle 0.3", output, sizeof(output)), 0);
    ck_assert_str_eq(output, "answer\r\n");
    ck_assert_int_eq((int)g.count, 7);
    ck_assert_int_eq(memcmp(g.heard, "uptime\n", 7), 0);
}
END_TEST

START_TEST(the_escape_detaches)
{
    struct guest g = { 0 };
    char output[256];

    ck_assert_int_eq(run_console(&g, "ab~cd\n", "-e ~", output, sizeof(output)), 0);
    ck_assert_int_eq((int)g.count, 2);
}
END_TEST

START_TEST(the_console_ends_with_the_guest)
{
    struct guest g = { .goes = true, .ended = true };
    char output[256];

    ck_assert_int_eq(run_console(&g, "x", "--idle 20", output, sizeof(output)), 0);
    ck_assert_str_eq(output, "answer\r\n");
}
END_TEST

START_TEST(a_console_that_ends_alone_is_attached_to_anew)
{
    static char again[256];
    struct guest g = { .goes = true };
    char output[256], name[128];
    int master, slave;

    /* The next pty that the daemon tells of says something at once; then no more input, and silence. */
    ck_assert_int_eq(openpty(&master, &slave, name, NULL, NULL), 0);
    snprintf(again, sizeof(again), "{\"ok\": true, \"result\": {\"pty\": \"%s\"}}\n", name);
    ck_assert_int_eq((int)write(master, "again", 5), 5);
    canned.answers[1] = again;
    ck_assert_int_eq(run_console(&g, "x", "--idle 1", output, sizeof(output)), 0);
    ck_assert_str_eq(output, "answer\r\nagain");
    close(master);
    close(slave);
}
END_TEST

START_TEST(a_console_that_cannot_be_is_told_once)
{
    canned.answers[0] = "{\"ok\": false, \"error\": \"EINVAL\", \"message\": \"0: not for Domain0\"}\n";
    ck_assert_int_eq(run("console 0"), 1);
    ck_assert_str_eq(complained, "collet: 0: not for Domain0\n");
    ck_assert_int_eq(canned.count, 1);
}
END_TEST

START_TEST(a_console_that_is_not_there_yet_is_waited_for)
{
    struct guest g = { .goes = false };
    char output[256];

    canned.answers[0] = "{\"ok\": false, \"error\": \"EAGAIN\", \"message\": \"web: it has no console yet\"}\n";
    canned.first = 1;
    ck_assert_int_eq(run_console(&g, "x", "--idle 0.3", output, sizeof(output)), 0);
    ck_assert_str_eq(output, "answer\r\n");
}
END_TEST

START_TEST(escapes_are_characters)
{
    struct cli cli = { .out = stdout, .err = stderr, .quiet_errors = true };
    int escape = 0;

    ck_assert_int_eq(console_parse_escape(&cli, "^]", &escape), 0);
    ck_assert_int_eq(escape, 0x1d);
    ck_assert_int_eq(console_parse_escape(&cli, "^a", &escape), 0);
    ck_assert_int_eq(escape, 1);
    ck_assert_int_eq(console_parse_escape(&cli, "none", &escape), 0);
    ck_assert_int_eq(escape, -1);
    ck_assert_int_eq(console_parse_escape(&cli, "~~", &escape), 2);
}
END_TEST

Suite *suite_client(void);
Suite *suite_client(void)
{
    Suite *s = suite_create("client");
    TCase *t = tcase_create("client");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, create_sends_the_text_with_changes);
    tcase_add_test(t, refusals_keep_their_words_and_exit_codes);
    tcase_add_test(t, without_a_daemon_it_says_how_to_start_one);
    tcase_add_test(t, list_knows_what_the_daemon_knows);
    tcase_add_test(t, memory_goes_as_frames);
    tcase_add_test(t, disks_come_and_go);
    tcase_add_test(t, interfaces_come_and_go);
    tcase_add_test(t, plugins_are_shown);
    tcase_add_test(t, several_domains_are_one_connection);
    tcase_add_test(t, destroy_of_one_that_waits_for_its_restart);
    tcase_add_test(t, a_console_that_cannot_be_is_told_once);
    tcase_add_test(t, a_console_that_is_not_there_yet_is_waited_for);
    tcase_add_test(t, a_script_talks_to_the_console);
    tcase_add_test(t, the_escape_detaches);
    tcase_add_test(t, the_console_ends_with_the_guest);
    tcase_add_test(t, a_console_that_ends_alone_is_attached_to_anew);
    tcase_add_test(t, escapes_are_characters);
    return s;
}
