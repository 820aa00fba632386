// SPDX-License-Identifier: MIT
/*
 * colletd: Domain0's daemon. It makes domains from definitions, watches them, keeps the stock XenStore and console daemons running, lets policy plugins set scheduler parameters, and serves `collet`
 * at a socket.
 *
 * One process, one loop; domains are built in threads. It can be killed at any moment: guests go on, and the next colletd takes them up (domain-takeup.c).
 * Pages: docs/operations.md, docs/reference/domain.md, docs/reference/daemon-protocol.md.
 */
#include "backend-collet.h"
#include "domains.h"
#include "hand-loaded.h"
#include "log.h"
#include "requests.h"
#include "rule-parts.h"
#include "server.h"
#include "settings.h"
#include "stock.h"
#include "vbd-backend-collet.h"
#include "vif-backend-collet.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef COLLET_VERSION_TEXT
#define COLLET_VERSION_TEXT "0"
#endif
#define PATH_BYTES 512
#define CHANGES_ROOM 64
#define LOCK_TRIES 40u
#define LOCK_STEP_US 50000u
#define CLOSE_NS (10ull * 1000 * 1000 * 1000)
#define OWN_WAIT_NS (3ull * 1000 * 1000 * 1000)
#define OWN_STEP_MS 20
#define RULES_LOOK_NS (2ull * 1000 * 1000 * 1000)
#define CONFIG_BYTES_MAX (64u << 10)

struct daemon {
    struct settings *settings;
    const char *config;
    bool background;
    int lock, ready; /* ready: whoever started us in the background waits here; -1: nobody */

    struct loop *loop;
    struct collet *collet;
    struct backend_collet backend;
    struct device_link *devices;
    struct vbd_backend vbd_backend;
    struct volumes *volumes;
    struct vbds *vbds; /* NULL: a hypervisor without disks */
    struct vif_backend vif_backend;
    struct rule_parts *rules;
    struct vifs *vifs; /* NULL: a hypervisor without networks */
    struct stock *stock;
    struct domains *domains;
    struct plugins *plugins;
    char plugins_file[PATH_BYTES]; /* of those loaded by hand */
    struct requests requests;
    struct server *server;
    uint64_t changes_last;
};

static void fatal(struct daemon *d, const char *text)
{
    if (d->loop != NULL)
        log_error("%s", text);
    else
        fprintf(stderr, "colletd: %s\n", text);
    if (d->ready >= 0)
        dprintf(d->ready, "%s\n", text);
}

/* ---- Changes in the hypervisor ---- */

static void changes_read(void *arg, uint32_t events)
{
    struct daemon *d = arg;
    struct collet_change records[CHANGES_ROOM];
    uint64_t lost;
    int i, count;

    (void)events;
    collet_changes_rearm(d->collet); /* before reading: a change after the last read raises it again */
    do {
        lost = 0;
        count = collet_changes(d->collet, &d->changes_last, records, CHANGES_ROOM, &lost);
        if (lost != 0)
            domains_change(d->domains, &(struct collet_change){0});
        for (i = 0; i < count; i++)
            domains_change(d->domains, &records[i]);
    } while (count == CHANGES_ROOM);
}

static int changes_begin(struct daemon *d)
{
    struct collet_change none;
    uint64_t lost;
    int fd;

    d->changes_last = ~0ull;
    if (collet_changes(d->collet, &d->changes_last, &none, 0, &lost) < 0 || (fd = collet_changes_fd(d->collet)) < 0)
        return -EIO;
    return loop_watch(d->loop, fd, EPOLLIN, changes_read, d) != NULL ? 0 : -errno;
}

/* ---- The stock daemons ---- */

static void store_ended(void *arg)
{
    struct daemon *d = arg;

    store_close(d->backend.store);
    d->backend.store = NULL;
    if (d->devices != NULL)
        device_link_store_close(d->devices);
    if (d->vbds != NULL)
        vbds_store_lost(d->vbds);
    if (d->vifs != NULL)
        vifs_store_lost(d->vifs);
}

static void store_came(void *arg)
{
    struct daemon *d = arg;

    store_ended(d);
    if (d->devices != NULL && device_link_store_open(d->devices) != 0)
        log_error("disks and network interfaces: %s", device_link_error(d->devices));
    if (store_open(&d->backend.store) != 0)
        log_error("%s", store_error(d->backend.store));
    else
        domains_store_anew(d->domains);
}

static int stock_begin(struct daemon *d)
{
    struct stock_settings settings = {.loop = d->loop,
                                      .xenstored = d->settings->xenstored,
                                      .xenconsoled = d->settings->xenconsoled,
                                      .run_folder = d->settings->run_folder,
                                      .log_folder = d->settings->log_folder,
                                      .store_ended = store_ended,
                                      .store_came = store_came,
                                      .arg = d};

    d->stock = stock_create(&settings);
    if (d->stock == NULL || stock_store_start(d->stock) != 0) {
        fatal(d, "XenStore does not work: see the lines before this in colletd.log");
        return -EIO;
    }
    if (store_open(&d->backend.store) != 0) {
        fatal(d, store_error(d->backend.store));
        return -EIO;
    }
    stock_console_start(d->stock);
    stock_console_logs(d->stock, d->settings->console_bytes, d->settings->console_keep);
    return 0;
}

/* ---- Plugins ---- */

static void plugin_log(void *arg, int level, const char *text)
{
    (void)arg;
    if (level >= 2)
        log_error("%s", text);
    else if (level == 1)
        log_warning("%s", text);
    else
        log_note("%s", text);
}

static void plugin_loaded(void *arg, int rc, const char *message)
{
    (void)arg;
    if (rc != 0 && rc != -EEXIST)
        log_error("a plugin that was to be loaded: %s", message != NULL ? message : strerror(-rc));
}

static const char *rules_error(void *arg)
{
    return collet_error(((struct daemon *)arg)->collet);
}

static int rules_info(void *arg, struct collet_rules_info *info)
{
    return collet_rules_info(((struct daemon *)arg)->collet, info);
}

static int rules_load(void *arg, const void *set, size_t bytes, struct collet_rules_load *load)
{
    return collet_rules_load(((struct daemon *)arg)->collet, set, bytes, load);
}

static void rules_begin(struct daemon *d)
{
    char folder[PATH_BYTES];
    struct rule_parts_settings settings = {.loop = d->loop,
                                           .backend = {.arg = d, .error = rules_error, .info = rules_info, .load = rules_load},
                                           .folder = folder,
                                           .file = d->settings->rules,
                                           .look_ns = RULES_LOOK_NS};

    snprintf(folder, sizeof(folder), "%.400s/rules", d->settings->run_folder);
    d->rules = rule_parts_create(&settings);
    if (d->rules != NULL)
        rule_parts_begin(d->rules);
}

static int plugins_begin(struct daemon *d)
{
    struct plugins_settings settings = {.loop = d->loop,
                                        .daemon = {.arg = d->domains, .world = domains_world, .apply = domains_apply, .apply_disk = domains_apply_disk, .apply_rules = domains_apply_rules, .rules_name = domains_rules_name, .log = plugin_log},
                                        .plugin_folder = d->settings->plugin_folder,
                                        .settings_folder = d->settings->plugin_settings_folder,
                                        .worker = d->settings->plugin_worker,
                                        .call_limit_ns = d->settings->plugin_call_ns,
                                        .memory_limit_bytes = d->settings->plugin_memory_bytes};

    snprintf(d->plugins_file, sizeof(d->plugins_file), "%.400s/plugins.json", d->settings->run_folder);
    d->plugins = plugins_create(&settings);
    domains_set_plugins(d->domains, d->plugins);
    return d->plugins != NULL ? 0 : -ENOMEM;
}

static void plugin_load_again(void *arg, const char *name, const char *file)
{
    plugins_load(((struct daemon *)arg)->plugins, name, file, plugin_loaded, NULL);
}

/* Those of the settings, and those that somebody loaded before this daemon took over; one that is both is refused the second time, which nobody need know. */
static void plugins_load_set(struct daemon *d)
{
    char *names = strdup(d->settings->plugins), *rest = names, *name;

    while (names != NULL && (name = strsep(&rest, ", \t")) != NULL)
        if (*name != '\0')
            plugins_load(d->plugins, name, NULL, plugin_loaded, NULL);
    free(names);
    hand_loaded_each(d->plugins_file, plugin_load_again, d);
}

/* ---- Start ---- */

static const char *store_state(void *arg)
{
    return stock_store_state(((struct daemon *)arg)->stock);
}

static const char *console_state(void *arg)
{
    return stock_console_state(((struct daemon *)arg)->stock);
}

static void stop(void *arg)
{
    loop_stop(((struct daemon *)arg)->loop);
}

static void signalled(void *arg, int number)
{
    if (number == SIGHUP) {
        log_reopen();
        return;
    }
    log_note("ends: %s", strsignal(number));
    stop(arg);
}

static int make_folder(struct daemon *d, const char *path, const char *below, mode_t mode)
{
    char whole[PATH_BYTES], text[PATH_BYTES + 100], *slash;

    snprintf(whole, sizeof(whole), "%.400s%s", path, below);
    for (slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0755);
        *slash = '/';
    }
    if (mkdir(whole, mode) == 0 || errno == EEXIST)
        return 0;
    snprintf(text, sizeof(text), "%s: %s", whole, strerror(errno));
    fatal(d, text);
    return -EIO;
}

static int make_folders(struct daemon *d)
{
    const struct settings *s = d->settings;

    if (make_folder(d, s->run_folder, "", 0755) != 0 || make_folder(d, s->run_folder, "/domains", 0700) != 0 || make_folder(d, s->log_folder, "", 0755) != 0 ||
        make_folder(d, s->log_folder, "/console", 0755) != 0 || make_folder(d, s->cache_folder, "", 0755) != 0)
        return -EIO;
    return 0;
}

/* One that was killed a moment ago may still be on its way out. */
static bool lock_try(int fd)
{
    unsigned int i;

    for (i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK)
            return false;
        usleep(LOCK_STEP_US);
    }
    errno = EWOULDBLOCK;
    return false;
}

/* One daemon at a time. The lock goes with the process, however it ends. */
static int lock_take(struct daemon *d)
{
    char path[PATH_BYTES], text[PATH_BYTES + 100], pid[24] = "?";
    ssize_t length;

    snprintf(path, sizeof(path), "%.400s/colletd.pid", d->settings->run_folder);
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (d->lock >= 0 && lock_try(d->lock))
        return 0;
    if (d->lock >= 0 && errno == EWOULDBLOCK) {
        length = read(d->lock, pid, sizeof(pid) - 1);
        pid[length > 0 ? length : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        snprintf(text, sizeof(text), "a colletd runs already, pid %s", pid);
    } else {
        snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
    }
    fatal(d, text);
    return -EBUSY;
}

static void lock_sign(struct daemon *d)
{
    if (ftruncate(d->lock, 0) != 0 || dprintf(d->lock, "%d\n", (int)getpid()) < 0)
        log_warning("the pid file: %s", strerror(errno));
}

/* The parent waits until the daemon serves, and ends with what became of it. */
static void go_to_background(struct daemon *d)
{
    char text[1000];
    ssize_t length;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        fprintf(stderr, "colletd: %s\n", strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        close(ends[0]);
        d->ready = ends[1];
        setsid();
        return;
    }
    close(ends[1]);
    length = read(ends[0], text, sizeof(text) - 1);
    if (length == 1 && text[0] == '\n')
        _exit(0);
    text[length > 0 ? length : 0] = '\0';
    fprintf(stderr, "colletd: %s%s", length > 0 ? text : "it ended while starting: see colletd.log", length > 0 ? "" : "\n");
    _exit(1);
}

static void tell_ready(struct daemon *d)
{
    int null;

    if (d->ready < 0)
        return;
    if (write(d->ready, "\n", 1) != 1)
        log_warning("whoever started the daemon is gone");
    close(d->ready);
    d->ready = -1;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    close(null);
}

static int hypervisor_open(struct daemon *d)
{
    char text[400];

    if (collet_open(&d->collet) == 0)
        return 0;
    snprintf(text, sizeof(text), "this is not Domain0 of a Collet hypervisor, or it cannot be reached: %s", d->collet != NULL ? collet_error(d->collet) : "no memory");
    fatal(d, text);
    return -ENODEV;
}

static void watch_fired(void *arg, const char *token)
{
    struct daemon *d = arg;

    if (d->vbds != NULL)
        vbds_watched(d->vbds, token);
    if (d->vifs != NULL)
        vifs_watched(d->vifs, token);
}

/* Without disks or a network everything else works, so these cannot fail. */
static void devices_begin(struct daemon *d)
{
    d->devices = device_link_create(d->loop, d->collet, watch_fired, d);
    d->backend.devices = d->devices;
    if (d->devices != NULL && device_link_store_open(d->devices) != 0)
        log_error("disks and network interfaces: %s", device_link_error(d->devices));
}

static void vbds_begin(struct daemon *d)
{
    struct vbds_settings settings = {.loop = d->loop, .backend = &d->vbd_backend, .close_ns = CLOSE_NS};

    d->volumes = volumes_create(&volumes_machine);
    if (d->volumes != NULL && d->devices != NULL) {
        d->vbd_backend = vbd_backend_collet(d->devices);
        settings.nodes = device_link_nodes(d->devices);
        settings.volumes = d->volumes;
        d->vbds = vbds_create(&settings);
        if (d->vbds != NULL && vbds_take_up(d->vbds) == 0)
            return;
    }
    log_error("disks are not looked after: %s", d->vbds != NULL ? device_link_error(d->devices) : "no memory");
    vbds_destroy(d->vbds);
    d->vbds = NULL;
}

static void vifs_begin(struct daemon *d)
{
    struct vifs_settings settings = {.loop = d->loop, .backend = &d->vif_backend, .close_ns = CLOSE_NS};

    if (d->devices != NULL) {
        d->vif_backend = vif_backend_collet(d->devices);
        settings.nodes = device_link_nodes(d->devices);
        d->vifs = vifs_create(&settings);
        if (d->vifs != NULL && vifs_take_up(d->vifs) == 0)
            return;
    }
    log_error("network interfaces are not looked after: %s", d->vifs != NULL ? device_link_error(d->devices) : "no memory");
    vifs_destroy(d->vifs);
    d->vifs = NULL;
}

/* Of Domain0's own devices, those that its kernel has not taken yet. */
static unsigned int own_waiting(const struct daemon *d, bool disks)
{
    if (disks)
        return d->vbds != NULL ? vbds_raw_waiting(d->vbds) : 0;
    return d->vifs != NULL ? vifs_own_waiting(d->vifs) : 0;
}

/* Whoever waits for this daemon to serve may want to use the disks and the network next. */
static void own_settle(struct daemon *d, bool disks)
{
    uint64_t until = loop_now() + OWN_WAIT_NS;

    if (own_waiting(d, disks) == 0)
        return;
    if (access(disks ? "/sys/bus/xen/drivers/vbd" : "/sys/bus/xen/drivers/vif", F_OK) != 0) {
        log_warning(disks ? "Domain0's kernel has no blkfront, so it does not see the disks: modprobe xen-blkfront" : "Domain0's kernel has no netfront, so it has no network: modprobe xen-netfront");
        return;
    }
    while (own_waiting(d, disks) != 0 && loop_now() < until)
        loop_step(d->loop, OWN_STEP_MS);
    if (own_waiting(d, disks) != 0)
        log_warning("Domain0's kernel has not taken %u of the %s", own_waiting(d, disks), disks ? "disks" : "network interfaces");
}

static int domains_begin(struct daemon *d)
{
    char folder[PATH_BYTES];
    struct domains_settings settings = {.loop = d->loop,
                                        .backend = &d->backend.backend,
                                        .vbds = d->vbds,
                                        .vifs = d->vifs,
                                        .rules = d->rules,
                                        .state_folder = folder,
                                        .limits = {.restarts = d->settings->restart_limit, .within_ns = d->settings->restart_within_ns}};

    d->backend.collet = d->collet;
    backend_collet_init(&d->backend);
    d->backend.builder = builder_create(d->loop, d->settings->cache_folder);
    snprintf(folder, sizeof(folder), "%.400s/domains", d->settings->run_folder);
    d->domains = domains_create(&settings);
    return d->backend.builder != NULL && d->domains != NULL ? 0 : -ENOMEM;
}

static int serve(struct daemon *d)
{
    char path[PATH_BYTES], text[PATH_BYTES + 100];
    struct collet_machine machine = {0};

    collet_machine(d->collet, &machine);
    d->requests = (struct requests){.domains = d->domains,
                                    .plugins = d->plugins,
                                    .plugins_file = d->plugins_file,
                                    .version = COLLET_VERSION_TEXT,
                                    .started_ns = machine.now_ns,
                                    .store_state = store_state,
                                    .console_state = console_state,
                                    .stop = stop,
                                    .arg = d};
    snprintf(path, sizeof(path), "%.400s/colletd.sock", d->settings->run_folder);
    d->server = server_create(d->loop, path, requests_do, &d->requests);
    if (d->server != NULL)
        return 0;
    snprintf(text, sizeof(text), "%s: %s", path, strerror(errno));
    fatal(d, text);
    return -EIO;
}

static int begin(struct daemon *d)
{
    d->loop = loop_create();
    if (d->loop == NULL || loop_signal(d->loop, SIGTERM, signalled, d) != 0 || loop_signal(d->loop, SIGINT, signalled, d) != 0 || loop_signal(d->loop, SIGHUP, signalled, d) != 0) {
        fatal(d, "no event loop");
        return -EIO;
    }
    log_note("colletd %s begins, pid %d", COLLET_VERSION_TEXT, (int)getpid());
    if (hypervisor_open(d) != 0 || stock_begin(d) != 0)
        return -EIO;
    rules_begin(d); /* before anybody has an interface */
    devices_begin(d);
    vbds_begin(d);
    vifs_begin(d);
    if (domains_begin(d) != 0 || plugins_begin(d) != 0) {
        fatal(d, "no memory");
        return -ENOMEM;
    }
    if (changes_begin(d) != 0) {
        fatal(d, collet_error(d->collet));
        return -EIO;
    }
    if (domains_take_up(d->domains) != 0) {
        fatal(d, collet_error(d->collet));
        return -EIO;
    }
    own_settle(d, true);
    own_settle(d, false);
    plugins_load_set(d);
    return serve(d);
}

static void end(struct daemon *d)
{
    server_destroy(d->server);
    plugins_destroy(d->plugins);
    if (d->domains != NULL)
        domains_set_plugins(d->domains, NULL);
    builder_destroy(d->backend.builder);
    domains_destroy(d->domains);
    device_link_destroy(d->devices);
    vbds_destroy(d->vbds);
    vifs_destroy(d->vifs);
    rule_parts_destroy(d->rules);
    volumes_destroy(d->volumes);
    stock_destroy(d->stock);
    store_close(d->backend.store);
    collet_close(d->collet);
    loop_destroy(d->loop);
    settings_free(d->settings);
    log_close();
}

/* ---- The command line ---- */

static void usage(FILE *out)
{
    fputs("Usage: colletd [OPTION]...\n"
          "Domain0's daemon: domains, their consoles, policy plugins.\n"
          "\n"
          "  -c, --config FILE  settings instead of " SETTINGS_FILE "\n"
          "  -d, --daemon       go to the background as soon as it serves\n"
          "  -f, --foreground   stay (this is what happens without -d); the log goes to standard error too\n"
          "  -t, --test         only read the settings\n"
          "  -h, --help         this\n"
          "  -V, --version      which version\n"
          "\n"
          "Exit codes: 0 it ended as asked; 1 it could not start; 2 a mistake in the command line or in the settings.\n"
          "See docs/operations.md.\n",
          out);
}

static char *file_read(const char *path)
{
    char *text = calloc(1, CONFIG_BYTES_MAX + 2);
    FILE *file = fopen(path, "re");

    if (text == NULL || file == NULL || fread(text, 1, CONFIG_BYTES_MAX + 1, file) == 0) {
        if (file == NULL || text == NULL || ferror(file)) {
            free(text);
            text = NULL;
        }
    }
    if (file != NULL)
        fclose(file);
    return text;
}

/* 0, or the exit code. */
static int settings_read(struct daemon *d)
{
    const char *path = d->config != NULL ? d->config : SETTINGS_FILE;
    struct text_mistakes *mistakes = calloc(1, sizeof(*mistakes));
    char *text = file_read(path);
    int code = 0;

    if (text == NULL && (d->config != NULL || errno != ENOENT)) {
        fprintf(stderr, "colletd: %s: %s\n", path, strerror(errno));
        code = 2;
    }
    if (mistakes != NULL)
        d->settings = settings_parse(path, text, mistakes);
    if (mistakes != NULL && mistakes->count != 0) {
        fprintf(stderr, "colletd: mistakes in the settings:\n%s\n", mistakes->text);
        code = 2;
    }
    free(mistakes);
    free(text);
    return d->settings != NULL ? code : 1;
}

/* -1: go on; else the exit code. */
static int options_read(struct daemon *d, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"daemon", no_argument, NULL, 'd'}, {"foreground", no_argument, NULL, 'f'}, {"test", no_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},         {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    bool test = false;
    int option, code;

    while ((option = getopt_long(argc, argv, "c:dfthV", options, NULL)) != -1)
        switch (option) {
        case 'c': d->config = optarg; break;
        case 'd': d->background = true; break;
        case 'f': d->background = false; break;
        case 't': test = true; break;
        case 'h': usage(stdout); return 0;
        case 'V': puts("colletd " COLLET_VERSION_TEXT); return 0;
        default: fputs("Try colletd --help\n", stderr); return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "colletd: %s: no argument was expected; try colletd --help\n", argv[optind]);
        return 2;
    }
    code = settings_read(d);
    return code != 0 || test ? code : -1;
}

int main(int argc, char **argv)
{
    struct daemon d = {.ready = -1, .lock = -1};
    char path[PATH_BYTES];
    int code = options_read(&d, argc, argv);

    if (code >= 0)
        return code;
    umask(022);
    if (make_folders(&d) != 0 || lock_take(&d) != 0)
        return 1;
    if (d.background)
        go_to_background(&d);
    lock_sign(&d);
    snprintf(path, sizeof(path), "%.400s/colletd.log", d.settings->log_folder);
    if (log_open(path, d.settings->log_bytes, d.settings->log_keep, !d.background) != 0)
        log_warning("%s: %s", path, strerror(errno));
    code = begin(&d) != 0;
    if (code == 0) {
        tell_ready(&d);
        log_note("serves");
        loop_run(d.loop);
        log_note("ended; domains and consoles go on");
    }
    end(&d);
    return code;
}
