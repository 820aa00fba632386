// SPDX-License-Identifier: MIT
/*
 * plugin-worker: the process that a policy plugin runs in. Started by colletd (plugin-process.c) with its end of a socket pair as descriptor 3; nobody else has a use for it.
 *
 *     plugin-worker PATH.so NAME MEMORY-BYTES USER
 *
 * It gives up everything before the plugin's first instruction (constructors run in dlopen): user, capabilities, new privileges, descriptors, memory, child processes, and all system calls but those that
 * a computation needs. Then it answers calls until the socket ends. It never trusts that it is still itself after a call: whatever it says, the daemon checks.
 * Messages: plugin-wire.h.  Tests: test-plugin-host.c, with the plugins of tests/plugins.
 */
#include "plugin-wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <elf.h>
#include <link.h>

static const struct collet_plugin *plugin;
static void *plugin_state;
static struct {
    uint64_t call;
    uint32_t values, says;
    struct plugin_pack out;
} answer;

static void wire_write(struct plugin_pack *p)
{
    size_t done = 0;

    if (p->failed)
        _exit(WORKER_NO_MEMORY);
    while (done < p->used) {
        ssize_t n = write(PLUGIN_WIRE_FD, p->data + done, p->used - done);

        if (n < 0 && errno != EINTR)
            _exit(WORKER_DONE); /* the daemon is gone */
        done += n > 0 ? (size_t)n : 0;
    }
    p->used = 0;
}

static void wire_read(void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(PLUGIN_WIRE_FD, (char *)to + done, bytes - done);

        if (n == 0 || (n < 0 && errno != EINTR))
            _exit(WORKER_DONE);
        done += n > 0 ? (size_t)n : 0;
    }
}

/* ---- Giving up rights ---- */

static void limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit limits = {most, most};

    if (setrlimit(resource, &limits) != 0)
        _exit(WORKER_NO_RIGHTS);
}

static void drop_user(uid_t user)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0))
        _exit(WORKER_NO_RIGHTS);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        _exit(WORKER_NO_RIGHTS);
    /* After the change of user, which clears it: a plugin that hangs must not outlive the daemon. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static const int calls_computing[] = {
    SYS_read,  SYS_write, SYS_exit,    SYS_exit_group,   SYS_mmap,            SYS_munmap,         SYS_mremap,        SYS_mprotect,       SYS_madvise,      SYS_brk,       SYS_futex,
    SYS_time,  SYS_getpid, SYS_gettid, SYS_gettimeofday, SYS_clock_gettime,   SYS_clock_nanosleep, SYS_nanosleep,    SYS_rt_sigaction,   SYS_rt_sigprocmask, SYS_getrandom, SYS_rt_sigreturn,
    SYS_sched_yield, SYS_restart_syscall, SYS_fstat, SYS_newfstatat, SYS_lseek,
};
static const int calls_loading[] = {SYS_open, SYS_openat, SYS_close, SYS_pread64, SYS_readlink, SYS_readlinkat, SYS_getcwd, SYS_access, SYS_prctl, SYS_prlimit64};

static struct sock_filter *filter_allow(struct sock_filter *f, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i], 0, 1);
        *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    return f;
}

/* From now on every other system call fails with EPERM. Filters add up: what an earlier one refused stays refused. A kernel without filters: -errno. */
static int filter_calls(bool loading)
{
    struct sock_filter filter[128], *f = filter;
    struct sock_fprog program = {.filter = filter};
    const uint32_t number = offsetof(struct seccomp_data, nr), arch = offsetof(struct seccomp_data, arch), first = offsetof(struct seccomp_data, args[0]);

    *f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch);
    *f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    *f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number);
    f = filter_allow(f, calls_computing, sizeof(calls_computing) / sizeof(calls_computing[0]));
    if (loading)
        f = filter_allow(f, calls_loading, sizeof(calls_loading) / sizeof(calls_loading[0]));
    /* abort() signals itself; other workers have the same user and must not be reached. */
    *f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3);
    *f++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first);
    *f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1);
    *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    *f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    program.len = (unsigned short)(f - filter);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : -errno;
}

static void drop_rights(rlim_t memory_bytes, uid_t user)
{
    close_range(PLUGIN_WIRE_FD + 1, ~0u, 0);
    umask(077);
    if (chdir("/") != 0)
        _exit(WORKER_NO_RIGHTS);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_NOFILE, PLUGIN_WIRE_FD + 2); /* one more, for dlopen */
    limit(RLIMIT_STACK, 1u << 20);
    limit(RLIMIT_AS, memory_bytes);
    drop_user(user);
}

/* ---- What the plugin calls ---- */

static void pack_set(enum plugin_message kind, uint32_t place, uint32_t part, const char *parameter, double value, const char *why)
{
    /* One more than is allowed is passed on, so that the daemon sees it; the rest would only cost memory. */
    if (answer.values++ > PLUGIN_VALUES_MAX)
        return;
    plugin_pack_begin(&answer.out, kind, answer.call);
    plugin_pack_u64(&answer.out, place);
    plugin_pack_u64(&answer.out, part);
    plugin_pack_double(&answer.out, value);
    plugin_pack_text(&answer.out, parameter, PLUGIN_TEXT_MAX);
    plugin_pack_text(&answer.out, why, PLUGIN_TEXT_MAX);
    plugin_pack_end(&answer.out);
}

static void host_set(const struct collet_plugin_host *host, uint32_t domid, uint32_t vcpu, const char *parameter, double value, const char *why)
{
    (void)host;
    pack_set(PLUGIN_MESSAGE_SET, domid, vcpu, parameter, value, why);
}

static void host_set_disk(const struct collet_plugin_host *host, uint32_t disk, uint32_t vbd, const char *parameter, double value, const char *why)
{
    (void)host;
    pack_set(PLUGIN_MESSAGE_SET_DISK, disk, vbd, parameter, value, why);
}

static void host_say(const struct collet_plugin_host *host, int level, const char *text)
{
    (void)host;
    if (answer.says++ >= PLUGIN_SAYS_MAX)
        return;
    plugin_pack_begin(&answer.out, PLUGIN_MESSAGE_SAY, answer.call);
    plugin_pack_u64(&answer.out, (uint64_t)(int64_t)level);
    plugin_pack_text(&answer.out, text, PLUGIN_TEXT_MAX);
    plugin_pack_end(&answer.out);
    wire_write(&answer.out); /* at once: it may be the last that is heard of the plugin */
}

/* One byte more than is allowed is passed on, so that the daemon sees it. */
static void host_rules(const struct collet_plugin_host *host, uint32_t order, const char *text)
{
    size_t left = strnlen(text != NULL ? text : "", COLLET_PLUGIN_RULES_MAX + 1);

    (void)host;
    do {
        size_t piece = left < PLUGIN_PIECE_MAX - 1 ? left : PLUGIN_PIECE_MAX - 1;

        plugin_pack_begin(&answer.out, PLUGIN_MESSAGE_RULES, answer.call);
        plugin_pack_u64(&answer.out, order);
        plugin_pack_text(&answer.out, text, piece + 1);
        plugin_pack_end(&answer.out);
        text += piece;
        left -= piece;
    } while (left != 0);
    wire_write(&answer.out);
}

static const struct collet_plugin_host host = {.size = sizeof(host), .daemon = NULL, .set = host_set, .say = host_say, .set_disk = host_set_disk, .rules = host_rules};

/* ---- Loading ---- */

static void __attribute__((format(printf, 1, 2), noreturn)) refuse(const char *format, ...)
{
    struct plugin_pack hello = {0};
    char text[PLUGIN_TEXT_MAX];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    plugin_pack_begin(&hello, PLUGIN_MESSAGE_HELLO, 0);
    plugin_pack_u64(&hello, (uint64_t)-EINVAL);
    plugin_pack_text(&hello, text, sizeof(text));
    plugin_pack_end(&hello);
    wire_write(&hello);
    _exit(WORKER_DONE);
}

static void check_descriptor(const char *path, const char *name, size_t bytes)
{
    const size_t first_release = offsetof(struct collet_plugin, end) + sizeof(plugin->end);

    if (bytes < 2 * sizeof(uint32_t))
        refuse("%s: `collet_plugin` is %zu bytes long; a struct collet_plugin was expected (see <hv/plugin.h>)", path, bytes);
    if (plugin->api != COLLET_PLUGIN_API)
        refuse("%s: made for plugin API %u; this daemon speaks %u: rebuild it with this release's <hv/plugin.h>", path, plugin->api, COLLET_PLUGIN_API);
    if (plugin->size < first_release || bytes < plugin->size)
        refuse("%s: its descriptor says %u bytes and has %zu; at least %zu were expected: set .size = sizeof(struct collet_plugin)", path, plugin->size, bytes, first_release);
    if (plugin->name == NULL || strcmp(plugin->name, name) != 0)
        refuse("%s: it calls itself \"%s\"; \"%s\" was expected, as the file is called", path, plugin->name != NULL ? plugin->name : "", name);
    if (plugin->kind == 0 || (plugin->kind & ~(uint32_t)(COLLET_PLUGIN_SCHED | COLLET_PLUGIN_ADMISSION | COLLET_PLUGIN_DISK | COLLET_PLUGIN_NET)) != 0)
        refuse("%s: kind is %u; COLLET_PLUGIN_SCHED, COLLET_PLUGIN_ADMISSION, COLLET_PLUGIN_DISK, COLLET_PLUGIN_NET or several of them were expected", path, plugin->kind);
    if (plugin->configure == NULL)
        refuse("%s: it has no function `configure`", path);
    if ((plugin->kind & (COLLET_PLUGIN_SCHED | COLLET_PLUGIN_DISK | COLLET_PLUGIN_NET)) != 0 && plugin->update == NULL)
        refuse("%s: it has no function `update`, which COLLET_PLUGIN_SCHED, COLLET_PLUGIN_DISK and COLLET_PLUGIN_NET need", path);
    if ((plugin->kind & COLLET_PLUGIN_ADMISSION) != 0 && plugin->admit == NULL)
        refuse("%s: it has no function `admit`, which COLLET_PLUGIN_ADMISSION needs", path);
}

static void load(const char *path, const char *name)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const ElfW(Sym) *symbol = NULL;
    Dl_info info;

    if (library == NULL)
        refuse("%s", dlerror());
    plugin = dlsym(library, "collet_plugin");
    if (plugin == NULL)
        refuse("%s: it exports no `collet_plugin`; a plugin is a shared object with that one symbol", path);
    if (dladdr1(plugin, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 || symbol == NULL)
        refuse("%s: `collet_plugin` is not one of its own symbols", path);
    check_descriptor(path, name, symbol->st_size);
}

static void hello(const char *note)
{
    struct plugin_pack p = {0};

    plugin_pack_begin(&p, PLUGIN_MESSAGE_HELLO, 0);
    plugin_pack_u64(&p, 0);
    plugin_pack_u64(&p, plugin->kind);
    plugin_pack_u64(&p, plugin->interval_ms != 0 ? plugin->interval_ms : 1000);
    plugin_pack_text(&p, plugin->name, PLUGIN_TEXT_MAX);
    plugin_pack_text(&p, plugin->summary, PLUGIN_TEXT_MAX);
    plugin_pack_text(&p, plugin->help, PLUGIN_WIRE_ANSWER_MAX / 2);
    plugin_pack_text(&p, note, PLUGIN_TEXT_MAX);
    plugin_pack_end(&p);
    wire_write(&p);
    plugin_pack_free(&p);
}

/* ---- Calls ---- */

static int call_plugin(enum plugin_message kind, struct plugin_unpack *u)
{
    struct collet_plugin_world world;
    struct collet_plugin_request request;
    const struct collet_plugin_setting *settings;
    uint32_t count, event = 0;

    switch (kind) {
    case PLUGIN_MESSAGE_CONFIGURE:
        settings = plugin_unpack_settings(u, &count);
        return u->failed ? -ENOMEM : plugin->configure(&host, settings, count, &plugin_state);
    case PLUGIN_MESSAGE_UPDATE:
        event = (uint32_t)plugin_unpack_u64(u);
        plugin_unpack_world(u, &world);
        return u->failed ? -ENOMEM : plugin->update(&host, plugin_state, event, &world);
    case PLUGIN_MESSAGE_ADMIT:
        plugin_unpack_request(u, &request);
        plugin_unpack_world(u, &world);
        return u->failed ? -ENOMEM : plugin->admit(&host, plugin_state, &request, &world);
    case PLUGIN_MESSAGE_END:
        if (plugin->end != NULL)
            plugin->end(plugin_state);
        return 0;
    default: _exit(WORKER_BAD_CALL);
    }
}

static void serve_one(void)
{
    struct plugin_unpack u = {0};
    struct plugin_head head;
    char *body;
    int rc;

    wire_read(&head, sizeof(head));
    if (head.version != PLUGIN_WIRE_VERSION || head.bytes > PLUGIN_WIRE_CALL_MAX)
        _exit(WORKER_BAD_CALL);
    body = malloc(head.bytes + 1);
    if (body == NULL)
        _exit(WORKER_NO_MEMORY);
    wire_read(body, head.bytes);
    u.at = body;
    u.end = body + head.bytes;
    answer.call = head.call;
    answer.values = answer.says = 0;
    rc = call_plugin(head.kind, &u);
    if (u.failed)
        _exit(WORKER_NO_MEMORY);
    plugin_pack_begin(&answer.out, PLUGIN_MESSAGE_DONE, head.call);
    plugin_pack_u64(&answer.out, (uint64_t)(int64_t)rc);
    plugin_pack_end(&answer.out);
    wire_write(&answer.out);
    plugin_unpack_free(&u);
    free(body);
    if (head.kind == PLUGIN_MESSAGE_END)
        _exit(WORKER_DONE);
}

int main(int argc, char **argv)
{
    char note[PLUGIN_TEXT_MAX] = "";
    int rc;

    if (argc != 5) {
        fprintf(stderr, "plugin-worker: started by colletd alone; nothing here for people. To try a plugin by hand: plugin-run of the sdk.\n");
        return WORKER_BAD_USE;
    }
    drop_rights(strtoull(argv[3], NULL, 10), (uid_t)strtoul(argv[4], NULL, 10));
    rc = filter_calls(true);
    load(argv[1], argv[2]);
    if (rc == 0)
        rc = filter_calls(false);
    if (rc != 0)
        snprintf(note, sizeof(note), "this kernel has no system call filter (%s): the plugin runs with the other limits alone", strerror(-rc));
    hello(note);
    for (;;)
        serve_one();
}
