/* SPDX-License-Identifier: MIT */
/*
 * `collet watch`: changes as they come. One program at a time can have the event channel that tells of them, and that is colletd's: a look at what
 * happens must not keep it from starting. So the records are asked for five times a second; none is missed, for the hypervisor keeps the last 1024.
 * Tests: test-cli.c.
 */
#include "commands.h"
#include "format.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <xen/xen.h>
#include <xen/sched.h>

#define WATCH_POLL_MS 200
#define WATCH_ROOM    64

struct watch {
    uint64_t last;
    unsigned long left; /* records to print, 0: no end */
    uint64_t wall_base_ns;
};

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = { "",          "created",    "unpaused",    "paused",    "shut-down",  "destroyed",   "renamed",       "memory-max",
                                         "sched-used", "sched-set", "sched-fault", "disk-used", "disk-fault", "vbd-created", "vbd-destroyed", "vbd-broken",
                                         "vif-created", "vif-destroyed", "vif-broken", "vif-set", "rules", "net-sched" };

    return kind < sizeof(names) / sizeof(*names) && kind != 0 ? names[kind] : "unknown";
}

static void describe(const struct collet_change *c, char *to, size_t bytes)
{
    switch (c->kind) {
    case COLLET_CHANGE_DOMAIN_SHUT_DOWN: snprintf(to, bytes, "%s: %s", c->text, domain_shutdown_reason((uint32_t)c->value)); break;
    case COLLET_CHANGE_MEMORY_MAX: snprintf(to, bytes, "%s: %" PRIu64 " MiB", c->text, c->value / 256); break;
    case COLLET_CHANGE_VBD_CREATED:
    case COLLET_CHANGE_VBD_DESTROYED:
    case COLLET_CHANGE_VBD_BROKEN: snprintf(to, bytes, "VBD %" PRIu64 "%s%s", c->value, c->text[0] != 0 ? ": " : "", c->text); break;
    case COLLET_CHANGE_VIF_CREATED:
    case COLLET_CHANGE_VIF_DESTROYED:
    case COLLET_CHANGE_VIF_BROKEN:
    case COLLET_CHANGE_VIF_SET: snprintf(to, bytes, "VIF %" PRIu64 "%s%s", c->value, c->text[0] != 0 ? ": " : "", c->text); break;
    case COLLET_CHANGE_RULES: snprintf(to, bytes, "generation %" PRIu64 ": %s", c->value, c->text); break;
    case COLLET_CHANGE_DISK_USED:
    case COLLET_CHANGE_SCHED_USED: snprintf(to, bytes, "%s%s", c->text, c->value != 0 ? ", because the last one failed" : ""); break;
    case COLLET_CHANGE_SCHED_SET:
        snprintf(to, bytes, "%s%s%" PRIu64 " parameter%s", c->text, c->text[0] != 0 ? ": " : "", c->value, c->value == 1 ? "" : "s");
        break;
    default: snprintf(to, bytes, "%s", c->text);
    }
}

static void print_change(struct cli *cli, const struct watch *w, const struct collet_change *c)
{
    time_t at = (time_t)((w->wall_base_ns + c->time_ns) / 1000000000ull);
    char date[32], text[192], domain[16] = "-";

    describe(c, text, sizeof(text));
    if (cli->json) {
        json_t *object =
            json_pack("{s:I, s:I, s:s, s:o, s:I, s:o}", "number", (json_int_t)c->number, "time_ns", (json_int_t)c->time_ns, "kind", kind_name(c->kind), "domid",
                      c->domid != ~0u ? json_integer(c->domid) : json_null(), "value", (json_int_t)c->value, "text", cli_json_text(c->text));
        if (c->kind == COLLET_CHANGE_DOMAIN_SHUT_DOWN)
            json_object_set_new(object, "shutdown_reason", json_string(domain_shutdown_reason((uint32_t)c->value)));
        cli_result_line(cli, object);
        return;
    }
    strftime(date, sizeof(date), "%H:%M:%S", gmtime(&at));
    if (c->domid != ~0u)
        snprintf(domain, sizeof(domain), "%" PRIu32, c->domid);
    fprintf(cli->out, "%s.%03u  %-13s  %5s  %s\n", date, (unsigned int)((w->wall_base_ns + c->time_ns) / 1000000 % 1000), kind_name(c->kind), domain, text);
    fflush(cli->out);
}

/* Print what there is. 0, or an exit code; *over: as many as wanted have been printed. */
static int print_new(struct cli *cli, struct watch *w, bool *over)
{
    struct collet_change records[WATCH_ROOM];
    uint64_t lost;
    int n;

    do {
        lost = 0;
        n = collet_changes(cli->collet, &w->last, records, WATCH_ROOM, &lost);
        if (n < 0)
            return cli_fail_collet(cli, n, "changes");
        if (lost != 0 && cli->json)
            cli_result_line(cli, json_pack("{s:I}", "lost", (json_int_t)lost));
        else if (lost != 0)
            fprintf(cli->err, "collet: %" PRIu64 " older changes are no longer kept\n", lost);
        for (int i = 0; i < n; i++) {
            print_change(cli, w, &records[i]);
            if (w->left != 0 && --w->left == 0) {
                *over = true;
                return 0;
            }
        }
    } while (n == WATCH_ROOM);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int watch_loop(struct cli *cli, struct watch *w, unsigned int total_ms)
{
    uint64_t until = total_ms != 0 ? now_ms() + total_ms : UINT64_MAX;
    bool over = false;
    int exit = 0;

    for (;;) {
        uint64_t now = now_ms();

        exit = print_new(cli, w, &over);
        if (exit != 0 || over)
            return exit;
        if (now >= until)
            return w->left != 0 ? cli_fail(cli, CLI_TIMED_OUT, "ETIMEDOUT", "watch: %lu of the wanted changes have not come", w->left) : 0;
        if (!cli_sleep_ms(until - now > WATCH_POLL_MS ? WATCH_POLL_MS : (unsigned int)(until - now)))
            return 0;
    }
}

static int watch_run(struct cli *cli, const struct cli_args *args)
{
    const char *count = cli_option(args, "count"), *timeout = cli_option(args, "timeout");
    struct watch w = { .last = ~0ull };
    struct collet_machine m;
    unsigned int ms = 0;
    uint64_t lost;
    int rc, exit = count != NULL ? cli_parse_count(cli, "--count", count, 1ul << 30, &w.left) : 0;

    if (exit == 0 && timeout != NULL)
        exit = cli_parse_seconds(cli, "--timeout", timeout, &ms);
    if (exit == 0)
        exit = cli_open(cli);
    if (exit != 0)
        return exit;
    cli_catch_signals();
    rc = collet_machine(cli->collet, &m);
    if (rc == 0 && cli_flag(args, "all"))
        w.last = 0;
    else if (rc == 0)
        rc = collet_changes(cli->collet, &w.last, NULL, 0, &lost);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "changes");
    w.wall_base_ns = m.wall_base_ns;
    return watch_loop(cli, &w, ms);
}

static const struct cli_option watch_options[] = {
    { "all", NULL, "begin with the oldest change that is kept", 'a' },
    { "count", "N", "end after so many", 'n' },
    { "timeout", "SECONDS", "end after so long; exit code 6 if --count has not come", 't' },
    { 0 },
};

const struct cli_command cmd_watch = {
    .name = "watch",
    .arguments = "",
    .summary = "Print changes of domains, schedulers and disks as they come",
    .description = "Created, paused, shut down, destroyed, renamed; scheduler used, set, failed; disk module used, failed;\nVBD created, destroyed, broken. With --json a line each.",
    .examples = "  collet watch\n  collet watch --all --timeout 0.1\n  collet watch --json | jq --unbuffered 'select(.kind == \"shut-down\")'",
    .options = watch_options,
    .complete = "none",
    .run = watch_run,
};
