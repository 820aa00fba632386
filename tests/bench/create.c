// SPDX-License-Identifier: MIT
/*
 * What a domain costs to make: runs in Domain0, in an emulator whose clock counts instructions, so that busy nanoseconds of the hypervisor's account are instructions.
 *
 *   create first FILE.ini   `collet create FILE.ini` twice; of each: busy instructions of the machine until the guest sleeps in its first process, with Domain0's and the guest's part
 *   create many NAME KERNEL COMMAND-LINE N...   so many tiny domains, made through libcollet, then set going one after the other; at each number N: what the creation of the N-th cost and
 *                           what the hypervisor keeps for it, and with N going: Domain0's instructions for a byte through a pipe and back, for a sleep of a millisecond, and the machine's
 *                           for each wake-up of a domain
 * Prints lines `create NAME VALUE`. Script: create.sh. Page: docs/performance.md.
 */
#define _GNU_SOURCE
#include <collet/collet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_SECONDS 6
#define ROUNDS 2000
#define SLEEPS 200
#define TINY_FRAMES 4096 /* 16 MiB */

static struct collet *c;

static void need(int rc, const char *what)
{
    if (rc >= 0)
        return;
    printf("create: %s: %s\n", what, collet_error(c));
    exit(1);
}

struct busy {
    uint64_t all, domain0, guests;
};

static struct busy busy_now(void)
{
    struct collet_domain_info *domains;
    struct collet_machine m;
    struct busy b = {0};
    int n;

    need(collet_machine(c, &m), "machine");
    n = collet_domains(c, &domains);
    need(n, "domains");
    for (uint32_t cpu = 0; cpu < m.cpus; cpu++)
        b.all += m.now_ns - m.idle_ns[cpu];
    for (int i = 0; i < n; i++)
        *(domains[i].domid == 0 ? &b.domain0 : &b.guests) += domains[i].runs_ns;
    free(domains);
    return b;
}

static void run(char *const argv[])
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
        printf("create: %s %s failed\n", argv[0], argv[1]);
        exit(1);
    }
}

static void first(const char *file)
{
    static const char *const kinds[] = {"cold", "warm"};

    for (int i = 0; i < 2; i++) {
        struct busy before = busy_now(), after;

        run((char *[]){"collet", "create", (char *)file, NULL});
        after = busy_now();
        printf("create %s-command-all %llu\n", kinds[i], (unsigned long long)(after.all - before.all));
        printf("create %s-command-domain0 %llu\n", kinds[i], (unsigned long long)(after.domain0 - before.domain0));
        sleep(SETTLE_SECONDS);
        after = busy_now();
        printf("create %s-first-process-all %llu\n", kinds[i], (unsigned long long)(after.all - before.all));
        printf("create %s-first-process-domain0 %llu\n", kinds[i], (unsigned long long)(after.domain0 - before.domain0));
        printf("create %s-first-process-guest %llu\n", kinds[i], (unsigned long long)(after.guests - before.guests));
        run((char *[]){"collet", "destroy", "bench", NULL});
        sleep(1);
    }
}

/* Domain0's instructions for one byte to a child and back: two wake-ups and two switches of Linux's. */
static uint64_t pipe_cost(void)
{
    int to[2], back[2];
    uint64_t spent;
    char byte = 0;
    pid_t pid;

    if (pipe(to) != 0 || pipe(back) != 0)
        exit(1);
    pid = fork();
    if (pid == 0) {
        close(to[1]);
        while (read(to[0], &byte, 1) == 1)
            if (write(back[1], &byte, 1) != 1)
                break;
        _exit(0);
    }
    close(to[0]);
    spent = busy_now().domain0;
    for (int i = 0; i < ROUNDS; i++)
        if (write(to[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            exit(1);
    spent = busy_now().domain0 - spent;
    close(to[1]);
    close(back[0]);
    close(back[1]);
    waitpid(pid, NULL, 0);
    return spent / ROUNDS;
}

static uint64_t now_ns(void)
{
    struct collet_machine m;

    need(collet_machine(c, &m), "machine");
    return m.now_ns;
}

/* Domain0's instructions for one sleep of a millisecond: it blocks, wakes, is enqueued and chosen with all those domains about. *lasted_ns: how long one took in the end. */
static uint64_t sleep_cost(uint64_t *lasted_ns)
{
    uint64_t spent = busy_now().domain0, began_ns = now_ns();

    for (int i = 0; i < SLEEPS; i++)
        usleep(1000);
    *lasted_ns = (now_ns() - began_ns) / SLEEPS;
    return (busy_now().domain0 - spent) / SLEEPS;
}

static uint64_t guest_wakes(void)
{
    struct collet_domain_info *domains;
    uint64_t wakes = 0;
    int n = collet_domains(c, &domains);

    need(n, "domains");
    for (int i = 0; i < n; i++) {
        struct collet_vcpu_info *vcpus;
        int v = domains[i].domid != 0 ? collet_vcpus(c, domains[i].domid, &vcpus) : 0;

        need(v, "vcpus");
        for (int k = 0; k < v; k++)
            wakes += vcpus[k].wakes;
        if (v > 0)
            free(vcpus);
    }
    free(domains);
    return wakes;
}

/* The guests' instructions for each of their wake-ups, the hypervisor's part included. */
static uint64_t wake_cost(void)
{
    uint64_t wakes = guest_wakes(), spent = busy_now().guests;

    sleep(1);
    spent = busy_now().guests - spent;
    wakes = guest_wakes() - wakes;
    return wakes != 0 ? spent / wakes : 0;
}

static void make(const char *kind, struct collet_image *image, const char *command_line, int count, int report)
{
    static int numbers;

    for (int i = 0; i < count; i++) {
        char name[COLLET_NAME_MAX];
        struct collet_build build = {.name = name, .image = image, .command_line = command_line, .vcpus = 1, .memory_frames = TINY_FRAMES};
        struct collet_built built;
        struct collet_domain_info info;
        struct busy before = busy_now();

        snprintf(name, sizeof(name), "tiny%d", numbers++);
        need(collet_domain_build(c, &build, &built), "build");
        if (i + 1 < count || !report)
            continue;
        printf("create %s-%d-build %llu\n", kind, report, (unsigned long long)(busy_now().all - before.all));
        need(collet_domain_info(c, built.domid, &info), "info");
        printf("create %s-%d-hypervisor-bytes %llu\n", kind, report, (unsigned long long)info.hypervisor_bytes);
    }
}

static void unpause_all(void)
{
    struct collet_domain_info *domains;
    int n = collet_domains(c, &domains);

    need(n, "domains");
    for (int i = 0; i < n; i++)
        if (domains[i].domid != 0)
            need(collet_domain_unpause(c, domains[i].domid), "unpause");
    free(domains);
}

static void destroy_all(void)
{
    struct collet_domain_info *domains;
    int n = collet_domains(c, &domains);

    need(n, "domains");
    for (int i = 0; i < n; i++)
        if (domains[i].domid != 0)
            need(collet_domain_destroy(c, domains[i].domid), "destroy");
    free(domains);
}

/* Paused while the next ones are made: else they would take Domain0's time. */
static void pause_all(void)
{
    struct collet_domain_info *domains;
    int n = collet_domains(c, &domains);

    need(n, "domains");
    for (int i = 0; i < n; i++)
        if (domains[i].domid != 0)
            need(collet_domain_pause(c, domains[i].domid), "pause");
    free(domains);
}

static void many(const char *kind, const char *kernel, const char *command_line, int count, char **numbers)
{
    struct collet_image *image;
    uint64_t lasted_ns;
    int made = 0;

    need(collet_image_open(c, kernel, NULL, &image), kernel);
    for (int i = 0; i < count; i++) {
        int wanted = atoi(numbers[i]);

        make(kind, image, command_line, wanted - made, wanted);
        made = wanted;
        unpause_all();
        sleep(1);
        printf("create %s-%d-pipe %llu\n", kind, wanted, (unsigned long long)pipe_cost());
        printf("create %s-%d-sleep %llu\n", kind, wanted, (unsigned long long)sleep_cost(&lasted_ns));
        printf("create %s-%d-sleep-lasts-ns %llu\n", kind, wanted, (unsigned long long)lasted_ns);
        printf("create %s-%d-wake %llu\n", kind, wanted, (unsigned long long)wake_cost());
        pause_all();
    }
    destroy_all();
    collet_image_close(image);
}

int main(int argc, char **argv)
{
    int rc = collet_open(&c);

    need(rc, "open");
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "first") == 0)
        first(argv[2]);
    else if (argc >= 6 && strcmp(argv[1], "many") == 0)
        many(argv[2], argv[3], argv[4], argc - 5, argv + 5);
    else
        return 2;
    puts("create: done");
    return 0;
}
