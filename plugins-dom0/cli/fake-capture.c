/* SPDX-License-Identifier: MIT */
/* libcollet's functions on captures, answered from struct fake_capture. */
#include "fake-capture.h"
#include "fake-handle.h"

#include <errno.h>

struct fake_capture fake_capture;

struct collet_capture {
    struct collet *collet;
};
static struct collet_capture the_capture;

int collet_capture_open(struct collet *c, struct collet_capture_open *open, const struct vfr_bpf_insn *filter, struct collet_capture **capture)
{
    *capture = NULL;
    if (fake_capture.open_now != 0)
        return fail(c, -EBUSY, "eight captures are open already");
    fake_capture.open = *open;
    if (open->filter_count > 0 && open->filter_count <= 64)
        memcpy(fake_capture.filter, filter, open->filter_count * sizeof(*filter));
    fake_capture.open_now = 1;
    fake_capture.opens++;
    the_capture.collet = c;
    *capture = &the_capture;
    open->capture = 7;
    open->cpus = 2;
    return 0;
}

int collet_capture_next(struct collet_capture *capture, uint64_t until_ns, struct collet_capture_record *record, const uint8_t **frame)
{
    int n = fake_capture.next;

    (void)capture;
    if (n == fake_capture.count || fake_capture.records[n].time_ns >= until_ns)
        return 0;
    *record = fake_capture.records[n];
    *frame = fake_capture.frames[n];
    fake_capture.next++;
    return 1;
}

int collet_capture_release(struct collet_capture *capture, struct collet_capture_info *info)
{
    fake_capture.releases++;
    if (fake_capture.release_rc != 0)
        return fail(capture->collet, fake_capture.release_rc, "cannot ask about the capture: it was closed by somebody");
    *info = (struct collet_capture_info){ .capture = 7, .now_ns = 100000000000ull, .seen = 1000, .recorded = (uint64_t)fake_capture.count, .dropped = 5 };
    return 0;
}

uint32_t collet_capture_number(const struct collet_capture *capture)
{
    (void)capture;
    return 7;
}

int collet_capture_counters(const struct collet_capture *capture, struct collet_capture_iface *sums, unsigned int room)
{
    (void)capture;
    (void)room;
    memcpy(sums, fake_capture.counters, sizeof(sums[0]) * (size_t)fake_capture.counter_count);
    return fake_capture.counter_count;
}

void collet_capture_close(struct collet_capture *capture)
{
    if (capture == NULL)
        return;
    fake_capture.open_now = 0;
    fake_capture.closes++;
}

int collet_capture_list(struct collet *c, struct collet_capture_info **captures)
{
    struct collet_capture_info one = { .capture = 7, .targets = "web,nic0", .seen = 1000, .recorded = 10, .dropped = 5, .now_ns = 30000000000ull, .asked_ns = 10000000000ull };

    (void)c;
    *captures = copy(&one, sizeof(one));
    return fake_capture.open_now;
}

int collet_capture_end(struct collet *c, uint32_t number)
{
    if (number != 7)
        return fail(c, -ENOENT, "cannot end the capture: there is no such capture");
    fake_capture.ended = (int)number;
    return 0;
}
