// SPDX-License-Identifier: MIT
/*
 * The socket and the operations' arguments: requests in pieces and in heaps, odd and hostile ones, clients that go, do not read, or half-close.
 */
// needs: server.c requests.c call.c log.c loop.c hand-loaded.c text.c backing.c definition-vif.c addresses.c
// libs: -ljansson
#include "log.h"
#include "requests.h"
#include "server.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop *loop;
static struct server *server;
static struct requests requests;
static char path[64];
static struct call *held; /* a request that is left open */
static char last[200];    /* what the last operation was asked */

/* ---- Operations that only tell what they were given ---- */

void domains_op_create(struct domains *d, struct call *call, const char *file, const char *text, bool paused)
{
    (void)d;
    snprintf(last, sizeof(last), "create %s %.20s %d", file, text, paused);
    call_progress(call, 500, "half");
    call_result(call, NULL);
}

void domains_op_check(struct domains *d, struct call *call, const char *file, const char *text)
{
    (void)d;
    (void)file;
    (void)text;
    held = call;
}

void domains_op_destroy(struct domains *d, struct call *call, const char *which)
{
    (void)d;
    call_fail(call, -ESRCH, "%s: not there", which);
}

void domains_op_shutdown(struct domains *d, struct call *call, const char *which, bool reboot, bool wait, uint64_t timeout_ns)
{
    (void)d;
    snprintf(last, sizeof(last), "shutdown %s %d %d %lu", which, reboot, wait, (unsigned long)timeout_ns);
    call_result(call, NULL);
}

void domains_op_rename(struct domains *d, struct call *call, const char *which, const char *name)
{
    (void)d;
    snprintf(last, sizeof(last), "rename %s %s", which, name);
    call_result(call, NULL);
}

void domains_op_memory(struct domains *d, struct call *call, const char *which, uint64_t frames, uint64_t frames_max)
{
    (void)d;
    snprintf(last, sizeof(last), "mem %s %lu %lu", which, (unsigned long)frames, (unsigned long)frames_max);
    call_result(call, NULL);
}

void domains_op_definition(struct domains *d, struct call *call, const char *which)
{
    (void)d;
    (void)which;
    call_result(call, NULL);
}

void domains_op_console(struct domains *d, struct call *call, const char *which)
{
    (void)d;
    (void)which;
    call_result(call, NULL);
}

void domains_op_list(struct domains *d, struct call *call)
{
    json_t *list = json_array();
    unsigned int i;

    (void)d;
    for (i = 0; i < 20000; i++)
        json_array_append_new(list, json_string("a long line of an answer that is long"));
    call_result(call, list);
}

void domains_op_vbd_add(struct domains *d, struct call *call, const char *which, const struct vbd_order *o)
{
    char text[400];

    (void)d;
    snprintf(text, sizeof(text), "%s %s %s %d %d %u %llu %llu", which, o->name, o->backing, o->read_only, o->shared, o->device, (unsigned long long)o->requests_per_s, (unsigned long long)o->bytes_per_s);
    call_fail(call, EPERM, "%s", text);
}

void domains_op_vbd_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force)
{
    (void)d;
    call_fail(call, EPERM, "%s %s %d", which, name, force);
}

void domains_op_vbds(struct domains *d, struct call *call, const char *which)
{
    (void)d;
    call_fail(call, EPERM, "%s", which != NULL ? which : "all");
}

void domains_op_vif_add(struct domains *d, struct call *call, const char *which, const struct definition_vif *v)
{
    (void)d;
    call_fail(call, EPERM, "%s %s %d %u %s %x %llu %llu %u", which, v->name, v->mac_given, v->settings.addresses, v->network, v->settings.flags, (unsigned long long)v->settings.bytes_per_s,
              (unsigned long long)v->settings.packets_per_s, v->settings.weight);
}

void domains_op_vif_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force)
{
    (void)d;
    call_fail(call, EPERM, "%s %s %d", which, name, force);
}

void domains_op_vifs(struct domains *d, struct call *call, const char *which)
{
    (void)d;
    call_fail(call, EPERM, "%s", which != NULL ? which : "all");
}

void domains_op_volumes(struct domains *d, struct call *call)
{
    (void)d;
    call_fail(call, EPERM, "volumes");
}

void plugins_load(struct plugins *plugins, const char *name, const char *file, plugins_done *done, void *arg)
{
    (void)plugins;
    snprintf(last, sizeof(last), "load %s %s", name, file != NULL ? file : "-");
    done(arg, -ENOENT, "no such plugin");
}

void plugins_unload(struct plugins *plugins, const char *name, plugins_done *done, void *arg)
{
    (void)plugins;
    (void)name;
    done(arg, 0, NULL);
}

void plugins_reload(struct plugins *plugins, const char *name, plugins_done *done, void *arg)
{
    (void)plugins;
    (void)name;
    done(arg, 0, NULL);
}

json_t *plugins_list_json(struct plugins *plugins)
{
    (void)plugins;
    return json_array();
}

json_t *plugins_show_json(struct plugins *plugins, const char *name)
{
    (void)plugins;
    (void)name;
    return NULL;
}

json_t *plugins_entry_json(struct plugins *plugins, const char *name)
{
    (void)plugins;
    return json_pack("{s:s}", "name", name);
}

/* ---- Clients ---- */

static int client(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void rounds(void)
{
    unsigned int i;

    for (i = 0; i < 12; i++)
        loop_step(loop, 1);
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    rounds();
}

static char heard[1 << 20];

static const char *hear(int fd)
{
    size_t length = 0;
    ssize_t got;

    while ((got = recv(fd, heard + length, sizeof(heard) - 1 - length, 0)) > 0) {
        length += (size_t)got;
        rounds();
    }
    heard[length] = '\0';
    return heard;
}

static void answers(const char *request, const char *words)
{
    int fd = client();

    say(fd, request);
    hear(fd);
    ck_assert_msg(strstr(heard, words) != NULL, "%.300s\n  answered: %.300s\n  not: %s", request, heard, words);
    close(fd);
    rounds();
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/test-server-%d", (int)getpid());
    log_open("/dev/null", 0, 0, 0);
    loop = loop_create();
    requests = (struct requests){.version = "1", .stop = stop, .arg = loop};
    server = server_create(loop, path, requests_do, &requests);
    ck_assert_ptr_nonnull(server);
    held = NULL;
}

static void teardown(void)
{
    server_destroy(server);
    call_result(held, NULL);
    loop_destroy(loop);
    log_close();
}

START_TEST(the_socket_is_private)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(operations_and_their_arguments)
{
    answers("{\"op\": \"ping\"}\n", "\"pid\":");
    answers("{\"op\": \"create\", \"file\": \"a\", \"text\": \"t\", \"paused\": true, \"unknown\": 1}\n", "{\"progress\":500,\"what\":\"half\"}\n{\"ok\":true,\"result\":{}}\n");
    ck_assert_str_eq(last, "create a t 1");
    answers("{\"op\": \"create\", \"file\": \"a\"}\n", "\"error\":\"EINVAL\",\"message\":\"`text` is missing, or is no text\"");
    answers("{\"op\": \"destroy\", \"domain\": 7}\n", "\"error\":\"ESRCH\",\"message\":\"7: not there\"");
    answers("{\"op\": \"destroy\"}\n", "`domain` is missing");
    answers("{\"op\": \"shutdown\", \"domain\": \"web\", \"wait\": true, \"timeout_s\": 2.5}\n", "\"ok\":true");
    ck_assert_str_eq(last, "shutdown web 0 1 2500000000");
    answers("{\"op\": \"reboot\", \"domain\": \"web\", \"timeout_s\": -1}\n", "`timeout_s`");
    answers("{\"op\": \"mem\", \"domain\": \"web\", \"frames\": 100}\n", "\"ok\":true");
    ck_assert_str_eq(last, "mem web 100 0");
    answers("{\"op\": \"mem\", \"domain\": \"web\", \"frames\": -100}\n", "a number of frames");
    answers("{\"op\": \"mem\", \"domain\": \"web\", \"frames\": 1e300}\n", "a number of frames");
    answers("{\"op\": \"mem\", \"domain\": \"web\"}\n", "`frames` is missing");
    answers("{\"op\": \"rename\", \"domain\": \"web\", \"name\": []}\n", "`name` is missing");
    answers("{\"op\": \"plugin-load\", \"plugin\": \"../x\"}\n", "lower case letters");
    answers("{\"op\": \"plugin-load\", \"plugin\": \"shares\", \"file\": null}\n", "\"error\":\"ENOENT\",\"message\":\"no such plugin\"");
    ck_assert_str_eq(last, "load shares -");
    answers("{\"op\": \"plugin-reload\", \"plugin\": \"shares\"}\n", "{\"name\":\"shares\"}");
    answers("{\"op\": \"plugin-show\", \"plugin\": \"shares\"}\n", "ENOENT");
    answers("{\"op\": \"vbd-add\", \"domain\": 3, \"name\": \"root\", \"backing\": \"disk:disk0\"}\n", "3 root disk:disk0 0 0 0 0 0");
    answers("{\"op\": \"vbd-add\", \"domain\": \"web\", \"name\": \"root\", \"backing\": \"b\", \"mode\": \"r\", \"device\": \"xvdb\", \"shared\": true, \"iops\": 500, \"bytes_per_s\": \"10M\"}\n",
            "web root b 1 1 51728 500 10485760");
    answers("{\"op\": \"vbd-add\", \"domain\": \"web\", \"name\": \"root\"}\n", "`backing` is missing");
    answers("{\"op\": \"vbd-add\", \"domain\": \"web\", \"name\": \"root\", \"backing\": \"b\", \"mode\": \"rw\"}\n", "`mode`: rw: r (read only) or w");
    answers("{\"op\": \"vbd-add\", \"domain\": \"web\", \"name\": \"root\", \"backing\": \"b\", \"device\": \"sda\"}\n", "`device`: sda: a name like xvdb");
    answers("{\"op\": \"vbd-add\", \"domain\": \"web\", \"name\": \"root\", \"backing\": \"b\", \"iops\": -1}\n", "`iops`: a number");
    answers("{\"op\": \"vbd-del\", \"domain\": \"web\", \"name\": \"root\", \"force\": true}\n", "web root 1");
    answers("{\"op\": \"vbd-del\", \"domain\": \"web\"}\n", "`name` is missing");
    answers("{\"op\": \"vif-add\", \"domain\": 3, \"name\": \"0\"}\n", "3 0 0 0  0 0 0 0");
    answers("{\"op\": \"vif-add\", \"domain\": \"web\", \"name\": \"lan\", \"mac\": \"00:16:3e:00:00:01\", \"ip\": \"10.0.2.16\", \"network\": \"lan\", \"antispoof\": false, \"rate\": \"10M\", \"pps\": 100, \"weight\": 7}\n",
            "web lan 1 1 lan 1 10485760 100 7");
    answers("{\"op\": \"vif-add\", \"domain\": \"web\", \"name\": \"0\", \"ip\": \"10.0.2\"}\n", "`ip`: 10.0.2: an address like");
    answers("{\"op\": \"vif-add\", \"domain\": \"web\", \"name\": \"0\", \"rate\": []}\n", "`rate`: a text was expected");
    answers("{\"op\": \"vif-add\", \"domain\": \"web\"}\n", "`name` is missing");
    answers("{\"op\": \"vif-del\", \"domain\": \"web\", \"name\": \"0\"}\n", "web 0 0");
    answers("{\"op\": \"vifs\"}\n", "all");
    answers("{\"op\": \"vbds\"}\n", "all");
    answers("{\"op\": \"vbds\", \"domain\": null}\n", "all");
    answers("{\"op\": \"vbds\", \"domain\": 7}\n", "\"7\"");
    answers("{\"op\": \"volumes\"}\n", "volumes");
    answers("{\"op\": \"log\", \"lines\": -5}\n", "\"text\":\"\"");
    answers("{\"op\": \"fly\"}\n", "\"error\":\"ENOSYS\"");
    answers("{\"op\": 5}\n", "`op` is missing");
    answers("{}\n", "`op` is missing");
}
END_TEST

START_TEST(what_is_no_request)
{
    answers("hello\n", "\"error\":\"EBADMSG\"");
    answers("[]\n", "a line with a JSON object");
    answers("{\"op\": \"ping\"\n", "EBADMSG");
    answers("{\"op\": \"\\u0000\"}\n", "EBADMSG");
    answers("\xff\xfe\n", "EBADMSG");
    answers("{\"op\":\"ping\",\"op\":\"ping\"}\n", "EBADMSG");
    answers("\n\n{\"op\": \"ping\"}\n", "\"pid\":");
}
END_TEST

START_TEST(pieces_and_heaps)
{
    const char *request = "{\"op\": \"ping\"}\n", *c;
    int fd = client();
    char piece[2] = "";

    for (c = request; *c != '\0'; c++) {
        piece[0] = *c;
        say(fd, piece);
    }
    ck_assert_ptr_nonnull(strstr(hear(fd), "\"pid\":"));
    say(fd, "{\"op\":\"ping\"}\n{\"op\":\"check\",\"text\":\"\"}\n{\"op\":\"ping\"}\n");
    hear(fd);
    ck_assert_ptr_eq(strchr(heard, '\n') + 1, heard + strlen(heard)); /* one answer: the second is held */
    ck_assert_ptr_nonnull(held);
    call_result(held, NULL);
    held = NULL;
    rounds();
    hear(fd);
    ck_assert_ptr_nonnull(strstr(heard, "{\"ok\":true,\"result\":{}}\n{\"ok\":true,\"result\":{\"pid\""));
    close(fd);
}
END_TEST

START_TEST(half_closed_clients_get_their_answers)
{
    int fd = client();

    say(fd, "{\"op\":\"check\",\"text\":\"\"}\n{\"op\":\"ping\"}\n");
    shutdown(fd, SHUT_WR);
    rounds();
    call_result(held, NULL);
    held = NULL;
    rounds();
    hear(fd);
    ck_assert_ptr_nonnull(strstr(heard, "\"pid\":"));
    ck_assert_int_eq(recv(fd, heard, 1, 0), 0); /* and then it is closed */
    close(fd);
}
END_TEST

static void note_gone(void *arg)
{
    ++*(int *)arg;
}

START_TEST(clients_that_go)
{
    int fd = client(), gone = 0;

    say(fd, "{\"op\":\"check\",\"text\":\"\"}\n");
    held->gone = note_gone;
    held->gone_arg = &gone;
    close(fd);
    rounds();
    ck_assert_int_eq(gone, 1);
    call_progress(held, 1, "to nobody");
    call_result(held, NULL);
    held = NULL;
    rounds();
    fd = client();
    say(fd, "{\"op\":\"domains\"}\n");
    close(fd);
    rounds();
    answers("{\"op\": \"ping\"}\n", "\"pid\":");
}
END_TEST

START_TEST(too_long_a_line)
{
    char *large = malloc(SERVER_LINE_MAX + 70000);
    size_t sent = 0, length = SERVER_LINE_MAX + 70000;
    int fd = client();
    ssize_t n;

    memset(large, ' ', length);
    while (sent < length) {
        n = send(fd, large + sent, length - sent > 60000 ? 60000 : length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        rounds();
    }
    hear(fd);
    ck_assert_ptr_nonnull(strstr(heard, "EMSGSIZE"));
    close(fd);
    free(large);
}
END_TEST

START_TEST(a_client_that_does_not_read)
{
    int fd = client(), i;
    ssize_t sent = 0;

    /* It is held back when its answers fill the socket; others are served. */
    for (i = 0; i < 200 && sent >= 0; i++) {
        sent = send(fd, "{\"op\":\"domains\"}\n", 17, MSG_NOSIGNAL);
        loop_step(loop, 0);
        loop_step(loop, 0);
    }
    answers("{\"op\": \"ping\"}\n", "\"pid\":");
    close(fd);
    rounds();
}
END_TEST

START_TEST(too_many_clients)
{
    int fds[SERVER_CLIENTS_MAX + 1];
    unsigned int i;

    for (i = 0; i <= SERVER_CLIENTS_MAX; i++) {
        fds[i] = client();
        rounds();
    }
    ck_assert_ptr_nonnull(strstr(hear(fds[SERVER_CLIENTS_MAX]), "EUSERS"));
    for (i = 0; i <= SERVER_CLIENTS_MAX; i++)
        close(fds[i]);
    rounds();
    answers("{\"op\": \"ping\"}\n", "\"pid\":");
}
END_TEST

START_TEST(the_end_is_answered)
{
    int fd = client();

    ck_assert_int_eq(send(fd, "{\"op\":\"stop\"}\n", 14, 0), 14);
    loop_run(loop);
    server_destroy(server);
    server = NULL;
    hear(fd);
    ck_assert_str_eq(heard, "{\"ok\":true,\"result\":{}}\n");
    close(fd);
}
END_TEST

Suite *suite_server(void);
Suite *suite_server(void)
{
    Suite *suite = suite_create("server");
    TCase *tcase = tcase_create("server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_socket_is_private);
    tcase_add_test(tcase, operations_and_their_arguments);
    tcase_add_test(tcase, what_is_no_request);
    tcase_add_test(tcase, pieces_and_heaps);
    tcase_add_test(tcase, half_closed_clients_get_their_answers);
    tcase_add_test(tcase, clients_that_go);
    tcase_add_test(tcase, too_long_a_line);
    tcase_add_test(tcase, a_client_that_does_not_read);
    tcase_add_test(tcase, too_many_clients);
    tcase_add_test(tcase, the_end_is_answered);
    suite_add_tcase(suite, tcase);
    return suite;
}
