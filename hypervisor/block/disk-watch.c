// SPDX-License-Identifier: MIT
/*
 * The timers of a disk: the end of a hold, the watch over the module, the watch over the device.
 *
 * A module sits on a request if it holds the device for the watchdog's bound in all while that request waits, or if it prefers a million others to it: being slow is no fault of the module's, only time in which the
 * device had room is counted. A device that has not ended a request within its limit is reset; if that fails it is given up. The watches are armed when there is something to watch and look again when they fire,
 * so that a request costs no timer. Contract: disk-internal.h. Tests: test-disk-modules.c, test-disk.c.
 */
#include "disk-internal.h"

#include "cpu.h"
#include "log.h"
#include "options.h"

#define HOLD_MIN_NS (10 * NS_PER_US) /* a module that wants to be asked more often is not */
#define OVERTAKEN_MAX (1ull << 20)

/* ---- Holds ---- */

void disk_hold_arm(struct disk *disk, uint64_t hold_ns, uint64_t now_ns)
{
    timer_follow(&disk->hold_timer, this_cpu_id());
    timer_set(&disk->hold_timer, now_ns + max(hold_ns, (uint64_t)HOLD_MIN_NS));
}

static void hold_fired(void *arg)
{
    struct disk *disk = arg;

    /* A hold that was renewed meanwhile has set the timer anew, and the module may as well be asked once too often. */
    WRITE_ONCE(disk->held, false);
    disk_run(disk);
}

/* ---- The module ---- */

static uint64_t bound_ns(void)
{
    return boot_options.watchdog_ms * NS_PER_MS;
}

static void watch_until(struct disk *disk, uint64_t due_ns)
{
    disk->watching = true;
    disk->watch_due_ns = due_ns;
    timer_set(&disk->watch_timer, due_ns);
}

void disk_watch_arm(struct disk *disk, uint64_t now_ns)
{
    if (bound_ns() != 0 && disk->ops.name != disk_arrival.name)
        watch_until(disk, now_ns + bound_ns());
}

/* When it is to be looked at again; 0: it has waited too long. */
static uint64_t look_again_ns(const struct disk *disk, const struct block_request *oldest, uint64_t now_ns)
{
    uint64_t age_ns = now_ns - oldest->sched.arrived_ns, sat_ns = disk_room_ns(disk, now_ns) - oldest->room_ns;

    if (age_ns < bound_ns())
        return oldest->sched.arrived_ns + bound_ns();
    if (disk->decisions - oldest->decisions >= OVERTAKEN_MAX)
        return 0;
    return sat_ns < bound_ns() ? now_ns + bound_ns() - sat_ns : 0;
}

/* Lock held. */
static void watch(struct disk *disk, uint64_t now_ns)
{
    struct block_request *oldest;
    uint64_t due_ns;

    disk->watching = false;
    if (disk->queued_count == 0 || disk->ops.name == disk_arrival.name || bound_ns() == 0)
        return;
    oldest = disk_request_of(list_first_entry(&disk->queued, struct blk_request, link));
    due_ns = look_again_ns(disk, oldest, now_ns);
    if (due_ns == 0 && now_ns - disk->watch_due_ns > bound_ns() / 4)
        due_ns = now_ns + bound_ns(); /* the machine stood still, which is no fault of the module's */
    if (due_ns != 0)
        watch_until(disk, due_ns);
    else
        disk_module_drop(disk, DISK_FAULT_SAT, oldest, now_ns);
}

static void watch_fired(void *arg)
{
    struct disk *disk = arg;
    uint64_t flags = spin_lock_irqsave(&disk->lock);

    watch(disk, disk_time(disk, clock_now_ns()));
    spin_unlock_irqrestore(&disk->lock, flags);
    disk_module_settle(disk);
    disk_run(disk);
}

/* ---- The device ---- */

static uint64_t limit_ns(void)
{
    return boot_options.disk_timeout_ms * NS_PER_MS;
}

void disk_timeout_arm(struct disk *disk, uint64_t now_ns)
{
    if (limit_ns() == 0)
        return;
    disk->timing = true;
    timer_set(&disk->timeout_timer, now_ns + limit_ns());
}

/* The oldest that the device has, or NULL: those that wait for the model are not its fault. Lock held. */
static struct block_request *oldest_issued(struct disk *disk)
{
    struct blk_request *r;

    list_for_each_entry(r, &disk->issued, link)
        if (disk_request_of(r) != disk->modelled)
            return disk_request_of(r);
    return NULL;
}

/* Lock held. True: it has not answered for too long. */
static bool device_late(struct disk *disk, uint64_t now_ns)
{
    struct block_request *oldest = oldest_issued(disk);
    uint64_t since_ns = oldest == NULL ? now_ns : max(oldest->issue_ns, disk->reset_ns); /* what a reset took has as long again */

    disk->timing = false;
    if (disk->resetting || (oldest == NULL && disk->modelled == NULL))
        return false;
    if (oldest != NULL && now_ns - since_ns >= limit_ns())
        return true;
    disk_timeout_arm(disk, since_ns);
    return false;
}

/* No lock held; disk->resetting keeps everybody else from the device. */
static void reset_device(struct disk *disk)
{
    uint64_t flags, now_ns, repeats = disk->repeats;
    int rc;

    log_error("disk%u: no answer for %u ms; it is reset", disk->id, boot_options.disk_timeout_ms);
    rc = disk->dev->ops->reset(disk->dev);
    flags = spin_lock_irqsave(&disk->lock);
    now_ns = disk_time(disk, clock_now_ns());
    disk->resetting = false;
    disk->blocked = false;
    disk->resets++;
    disk->reset_ns = now_ns;
    if (rc != 0) {
        disk->failed = true;
        disk_fail_queued(disk, now_ns);
    }
    disk_want_poll(disk);
    spin_unlock_irqrestore(&disk->lock, flags);
    if (rc != 0)
        log_error("disk%u: it stays down; every request ends with an error", disk->id);
    disk_finish_done(disk);
    if (disk->repeats != repeats)
        log_info("disk%u: it is given %llu requests again", disk->id, (unsigned long long)(disk->repeats - repeats));
    disk_run(disk);
}

static void timeout_fired(void *arg)
{
    struct disk *disk = arg;
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    bool late = device_late(disk, disk_time(disk, clock_now_ns()));

    if (late) {
        disk->resetting = true;
        disk->timeouts++;
    }
    spin_unlock_irqrestore(&disk->lock, flags);
    if (late)
        reset_device(disk);
}

void disk_watch_init(struct disk *disk)
{
    timer_init(&disk->hold_timer, hold_fired, disk, 0);
    timer_init(&disk->watch_timer, watch_fired, disk, 0);
    timer_init(&disk->timeout_timer, timeout_fired, disk, 0);
    timer_init(&disk->model_timer, disk_model_fired, disk, 0);
}
