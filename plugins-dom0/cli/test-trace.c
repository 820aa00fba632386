/* SPDX-License-Identifier: MIT */
/*
 * Tests of traces: merging, spans, and the formats. Perfetto's is decoded again here, field by field as its protocol buffers are defined, and looked at as a viewer would.
 */
#include "fake-collet.h"
#include "test-run.h"
#include "trace.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define WEB(vcpu) COLLET_TRACE_SUBJECT(3, vcpu)
#define DB        COLLET_TRACE_SUBJECT(4, 0)

static void put(unsigned int cpu, uint64_t us, unsigned int kind, uint32_t subject, uint64_t a, uint64_t b)
{
    fake.records[cpu][fake.record_count[cpu]++] =
        (struct collet_trace_record){ .time_ns = us * 1000, .kind = (uint16_t)kind, .cpu = (uint16_t)cpu, .subject = subject, .a = a, .b = b };
}

/*
 * CPU 0: idle, web/0 from 10 to 30, db from 30 to 50 (web/0 preempted), web/0 again from 50, blocks at 70.
 * CPU 1: web/1 wakes at 15 and runs from 20 to 60, with a hypercall and an event; the scheduler changes at 40.
 */
static void setup(void)
{
    setenv("COLLET_SOCKET", "/nonexistent/colletd.sock", 1);
    fake_reset();
    fake.trace = (struct collet_trace_info){ .kinds = COLLET_TRACE_DEFAULT, .pages = 64, .cpus = 2 };
    put(0, 10, COLLET_TRACE_SWITCH, WEB(0), COLLET_TRACE_IDLE, 5000);
    put(0, 30, COLLET_TRACE_SWITCH, DB, WEB(0), 5000);
    put(0, 50, COLLET_TRACE_BLOCK, DB, COLLET_VCPU_BLOCKED, 0);
    put(0, 50, COLLET_TRACE_SWITCH, WEB(0), DB, 5000);
    put(0, 70, COLLET_TRACE_BLOCK, WEB(0), COLLET_VCPU_BLOCKED, 0);
    put(0, 70, COLLET_TRACE_SWITCH, COLLET_TRACE_IDLE, WEB(0), ~0ull);
    put(1, 15, COLLET_TRACE_WAKE, WEB(1), 1, 0);
    put(1, 20, COLLET_TRACE_SWITCH, WEB(1), COLLET_TRACE_IDLE, 5000);
    put(1, 25, COLLET_TRACE_HYPERCALL_ENTER, WEB(1), 29, 0);
    put(1, 27, COLLET_TRACE_HYPERCALL, WEB(1), 29, (uint64_t)-22);
    put(1, 28, COLLET_TRACE_EVENT, WEB(1), 7, 0);
    put(1, 40, COLLET_TRACE_SCHED_USE, COLLET_TRACE_IDLE, 0x7272, 0);
    put(1, 60, COLLET_TRACE_BLOCK, WEB(1), COLLET_VCPU_BLOCKED, 0);
    put(1, 60, COLLET_TRACE_SWITCH, COLLET_TRACE_IDLE, WEB(1), ~0ull);
    put(1, 80, COLLET_TRACE_WAKE, WEB(1), 1, 0);
}

/* ---- Lines ---- */

START_TEST(csv_is_merged_by_time)
{
    unsigned long long last = 0, time;
    int lines = 0;
    char *rest, *line;

    ck_assert_int_eq(run("trace dump --format csv"), 0);
    line = strtok_r(said, "\n", &rest);
    ck_assert_str_eq(line, "time_ns,cpu,kind,domid,vcpu,a,b");
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
        ck_assert_int_eq(sscanf(line, "%llu,", &time), 1);
        ck_assert_uint_ge(time, last);
        last = time;
        lines++;
    }
    ck_assert_int_eq(lines, 15);
    ck_assert_str_eq(complained, "");
}
END_TEST

START_TEST(text_is_for_people_and_json_for_programs)
{
    char *rest, *line;

    ck_assert_int_eq(run("trace dump"), 0);
    ck_assert_ptr_nonnull(strstr(said, "0.000030000  [0] switch          db/0           after web/0, slice 5 us\n"));
    ck_assert_ptr_nonnull(strstr(said, "sched_op = -22"));
    ck_assert_ptr_nonnull(strstr(said, "sched-use       -              rr\n"));
    ck_assert_int_eq(run("trace dump --json"), 0);
    for (line = strtok_r(said, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);

        ck_assert_msg(json_is_object(object), "%s", line);
        json_decref(object);
    }
}
END_TEST

START_TEST(lost_records_are_told)
{
    fake.trace_lost = 12;
    ck_assert_int_eq(run("trace dump"), 0);
    ck_assert_ptr_nonnull(strstr(complained, "12 records were overwritten"));
}
END_TEST

START_TEST(without_a_recording_it_says_how_to_begin)
{
    fake.trace.pages = 0;
    ck_assert_int_eq(run("trace dump"), 1);
    ck_assert_ptr_nonnull(strstr(complained, "collet trace start"));
}
END_TEST

START_TEST(seconds_turn_recording_on_and_off_again)
{
    fake.trace.kinds = 0;
    ck_assert_int_eq(run("trace dump --seconds 0.06 --kinds switch"), 0);
    ck_assert_str_eq(said, ""); /* what was there before is not wanted */
    ck_assert_uint_eq(fake.trace.kinds, 0);
    fake.trace.kinds = 2;
    ck_assert_int_eq(run("trace dump --seconds 0.06 --kinds switch"), 1);
    ck_assert_int_eq(run("trace dump --seconds 0.06"), 0);
    ck_assert_uint_eq(fake.trace.kinds, 2);
}
END_TEST

START_TEST(start_keeps_the_size_of_the_rings)
{
    ck_assert_int_eq(run("trace start --size 128"), 1);
    ck_assert_ptr_nonnull(strstr(complained, "another size"));
    ck_assert_int_eq(run("trace start --kinds default,hypercall"), 0);
    ck_assert_uint_eq(fake.trace.kinds, COLLET_TRACE_DEFAULT | 1 << COLLET_TRACE_HYPERCALL);
    ck_assert_int_eq(run("trace stop"), 0);
    ck_assert_uint_eq(fake.trace.kinds, 0);
}
END_TEST

/* ---- Chrome ---- */

static json_t *find_slice(json_t *events, const char *phase, int pid, int tid, const char *name, int nth)
{
    json_t *event;
    size_t i;

    json_array_foreach(events, i, event) if (strcmp(json_string_value(json_object_get(event, "ph")), phase) == 0 &&
                                             json_integer_value(json_object_get(event, "pid")) == pid &&
                                             json_integer_value(json_object_get(event, "tid")) == tid &&
                                             strcmp(json_string_value(json_object_get(event, "name")), name) == 0 && nth-- == 0) return event;
    return NULL;
}

static void expect_slice(json_t *events, int pid, int tid, const char *name, int nth, double ts, double dur)
{
    json_t *event = find_slice(events, "X", pid, tid, name, nth);

    ck_assert_msg(event != NULL, "no slice %s on %d/%d", name, pid, tid);
    ck_assert_double_eq_tol(json_number_value(json_object_get(event, "ts")), ts, 1e-9);
    ck_assert_double_eq_tol(json_number_value(json_object_get(event, "dur")), dur, 1e-9);
}

START_TEST(chrome_has_a_row_for_each_cpu_and_vcpu)
{
    json_t *document, *events;

    ck_assert_int_eq(run("trace dump --format chrome"), 0);
    document = said_json();
    events = json_object_get(document, "traceEvents");
    ck_assert_int_gt((int)json_array_size(events), 20);
    /* CPU 0 */
    expect_slice(events, 1, 1, "web/0", 0, 10, 20);
    expect_slice(events, 1, 1, "db/0", 0, 30, 20);
    expect_slice(events, 1, 1, "web/0", 1, 50, 20);
    /* web/0: running, runnable while db ran, running, blocked to the end */
    expect_slice(events, 1003, 1, "running", 0, 10, 20);
    expect_slice(events, 1003, 1, "runnable", 0, 30, 20);
    expect_slice(events, 1003, 1, "running", 1, 50, 20);
    expect_slice(events, 1003, 1, "blocked", 0, 70, 10);
    /* web/1: its wait, its run, its hypercall, its event */
    expect_slice(events, 1003, 3, "runnable", 0, 15, 5);
    expect_slice(events, 1003, 3, "running", 0, 20, 40);
    expect_slice(events, 1003, 4, "sched_op", 0, 25, 2);
    ck_assert_ptr_nonnull(find_slice(events, "i", 1003, 3, "event", 0));
    ck_assert_ptr_nonnull(find_slice(events, "i", 1, 1000, "scheduler rr", 0));
    ck_assert_ptr_nonnull(find_slice(events, "M", 1004, 0, "process_name", 0));
    json_decref(document);
}
END_TEST

START_TEST(calls_inside_of_a_multicall_do_not_end_it)
{
    json_t *document, *events;

    put(1, 90, COLLET_TRACE_HYPERCALL_ENTER, WEB(1), 13, 0);
    put(1, 91, COLLET_TRACE_HYPERCALL, WEB(1), 3, 0);
    put(1, 95, COLLET_TRACE_HYPERCALL, WEB(1), 13, 0);
    ck_assert_int_eq(run("trace dump --format chrome"), 0);
    document = said_json();
    events = json_object_get(document, "traceEvents");
    expect_slice(events, 1003, 4, "multicall", 0, 90, 5);
    ck_assert_ptr_nonnull(find_slice(events, "i", 1003, 4, "stack_switch", 0));
    json_decref(document);
}
END_TEST

/* ---- Requests of disks ---- */

#define WEB_VBD  COLLET_TRACE_SUBJECT(3, 7)
#define ID(n)    ((n) << 8 | 1u) /* on disk 1 */
#define US(n)    ((n) * 1000ull)
#define READ(at) ((uint64_t)(at))
#define WRITE(at) ((uint64_t)(at) | 1ull << 60)

/* Two overlap, of which the second ends first; one fails; one was in the device before the trace, one is when it ends. */
static void put_requests(void)
{
    put(0, 71, COLLET_TRACE_DISK_COMPLETE, WEB_VBD, ID(1), US(3));
    put(0, 72, COLLET_TRACE_DISK_QUEUE, WEB_VBD, ID(2), READ(1000));
    put(0, 73, COLLET_TRACE_DISK_QUEUE, WEB_VBD, ID(3), WRITE(2000));
    put(0, 74, COLLET_TRACE_DISK_ISSUE, WEB_VBD, ID(3), US(1));
    put(0, 75, COLLET_TRACE_DISK_ISSUE, WEB_VBD, ID(2), US(3));
    put(0, 77, COLLET_TRACE_DISK_COMPLETE, WEB_VBD, ID(3), US(3));
    put(0, 79, COLLET_TRACE_DISK_COMPLETE, WEB_VBD, ID(2), US(4) | 1ull << 63);
    put(0, 79, COLLET_TRACE_DISK_QUEUE, WEB_VBD, ID(4), READ(3000));
}

static void expect_request(json_t *events, const char *name, const char *id, double start, double end)
{
    json_t *event, *begin = NULL, *over = NULL;
    size_t i;

    json_array_foreach(events, i, event) {
        const char *its = json_string_value(json_object_get(event, "id"));

        if (its == NULL || strcmp(its, id) != 0 || strcmp(json_string_value(json_object_get(event, "name")), name) != 0)
            continue;
        ck_assert_str_eq(json_string_value(json_object_get(event, "cat")), "disk1");
        ck_assert_int_eq(json_integer_value(json_object_get(event, "pid")), 1003);
        if (json_string_value(json_object_get(event, "ph"))[0] == 'b' && begin == NULL)
            begin = event;
        else if (json_string_value(json_object_get(event, "ph"))[0] == 'e' && over == NULL)
            over = event;
    }
    ck_assert_msg(begin != NULL && over != NULL, "no %s", name);
    ck_assert_double_eq_tol(json_number_value(json_object_get(begin, "ts")), start, 1e-9);
    ck_assert_double_eq_tol(json_number_value(json_object_get(over, "ts")), end, 1e-9);
}

START_TEST(requests_of_disks_are_async_slices)
{
    json_t *document, *events, *event;
    int begins = 0, ends = 0;
    size_t i;

    put_requests();
    ck_assert_int_eq(run("trace dump --format chrome"), 0);
    document = said_json();
    events = json_object_get(document, "traceEvents");
    expect_request(events, "VBD 7 on disk1: request", "0x300070100", 68, 71);
    expect_request(events, "VBD 7 on disk1: read, failed", "0x300070100", 72, 79);
    expect_request(events, "VBD 7 on disk1: write", "0x300070101", 73, 77);
    expect_request(events, "VBD 7 on disk1: read", "0x300070100", 79, 80); /* as far as the trace goes */
    json_array_foreach(events, i, event) {
        begins += json_string_value(json_object_get(event, "ph"))[0] == 'b';
        ends += json_string_value(json_object_get(event, "ph"))[0] == 'e';
    }
    ck_assert_int_eq(begins, 4 + 3); /* and what three of them were in the device */
    ck_assert_int_eq(ends, begins);
    json_decref(document);
}
END_TEST

/* ---- Perfetto: a decoder of protocol buffers ---- */

struct field {
    unsigned int number, wire;
    uint64_t value; /* wire 0 */
    const unsigned char *bytes;
    size_t count; /* wire 2 */
};

static uint64_t varint(const unsigned char **at, const unsigned char *end)
{
    uint64_t value = 0;
    int shift = 0;

    do {
        ck_assert(*at < end);
        value |= (uint64_t)(**at & 0x7f) << shift;
        shift += 7;
    } while (*(*at)++ & 0x80);
    return value;
}

static bool next_field(const unsigned char **at, const unsigned char *end, struct field *f)
{
    uint64_t tag;

    if (*at >= end)
        return false;
    tag = varint(at, end);
    *f = (struct field){ .number = (unsigned int)(tag >> 3), .wire = tag & 7 };
    ck_assert_msg(f->wire == 0 || f->wire == 2, "wire type %u", f->wire);
    if (f->wire == 0) {
        f->value = varint(at, end);
        return true;
    }
    f->count = varint(at, end);
    ck_assert_uint_le(f->count, (size_t)(end - *at));
    f->bytes = *at;
    *at += f->count;
    return true;
}

/* A field of a message, the first with that number; number 0: there is none. */
static struct field field_of(const struct field *message, unsigned int number)
{
    const unsigned char *at = message->bytes;
    struct field f;

    while (next_field(&at, message->bytes + message->count, &f))
        if (f.number == number)
            return f;
    return (struct field){ .number = 0 };
}

static void text_of(const struct field *message, unsigned int number, char to[64])
{
    struct field f = field_of(message, number);

    snprintf(to, 64, "%.*s", (int)f.count, f.number != 0 ? (const char *)f.bytes : "");
}

struct decoded {
    struct {
        uint64_t uuid, parent;
        char name[64];
        int open; /* slices begun and not ended */
        uint64_t start, longest;
        int slices, instants, devices;
    } tracks[64];
    int track_count;
    char processes[8][64];
    int process_count;
};

static int track_index(const struct decoded *d, uint64_t uuid)
{
    for (int i = 0; i < d->track_count; i++)
        if (d->tracks[i].uuid == uuid)
            return i;
    return -1;
}

static void decode_descriptor(struct decoded *d, const struct field *descriptor)
{
    struct field process = field_of(descriptor, 3);
    int i = d->track_count++;

    d->tracks[i].uuid = field_of(descriptor, 1).value;
    d->tracks[i].parent = field_of(descriptor, 5).value;
    text_of(descriptor, 2, d->tracks[i].name);
    if (process.number != 0) {
        ck_assert_uint_gt(field_of(&process, 1).value, 0);
        text_of(&process, 6, d->processes[d->process_count++]);
    } else {
        ck_assert_int_ge(track_index(d, d->tracks[i].parent), 0); /* told before */
    }
}

static void decode_event(struct decoded *d, const struct field *event, uint64_t time)
{
    int i = track_index(d, field_of(event, 11).value);

    ck_assert_int_ge(i, 0);
    switch (field_of(event, 9).value) {
    case 1:
        ck_assert_int_eq(d->tracks[i].open++, 0); /* nothing overlaps on these rows, but a request and its part in the device */
        ck_assert_uint_gt(field_of(event, 23).count, 0);
        if (field_of(event, 23).count == 6 && memcmp(field_of(event, 23).bytes, "device", 6) == 0) {
            ck_assert_int_eq(strncmp(d->tracks[i].name, "VBD ", 4), 0);
            ck_assert_uint_lt(time, d->tracks[i].start); /* which is written already */
            d->tracks[i].devices++;
        } else {
            ck_assert_uint_ge(time, d->tracks[i].start);
        }
        d->tracks[i].start = time;
        d->tracks[i].slices++;
        break;
    case 2:
        ck_assert_int_eq(--d->tracks[i].open, 0);
        ck_assert_uint_gt(time, d->tracks[i].start);
        if (time - d->tracks[i].start > d->tracks[i].longest)
            d->tracks[i].longest = time - d->tracks[i].start;
        d->tracks[i].start = time;
        break;
    case 3: d->tracks[i].instants++; break;
    default: ck_abort_msg("type of event");
    }
}

static void decode(struct decoded *d, const unsigned char *bytes, size_t count)
{
    const unsigned char *at = bytes;
    struct field packet;
    bool first = true;

    memset(d, 0, sizeof(*d));
    while (next_field(&at, bytes + count, &packet)) {
        struct field event, descriptor;

        ck_assert_uint_eq(packet.number, 1);
        ck_assert_uint_eq(field_of(&packet, 10).value, 1);
        if (first)
            ck_assert_uint_eq(field_of(&packet, 13).value, 1);
        first = false;
        event = field_of(&packet, 11);
        descriptor = field_of(&packet, 60);
        if (descriptor.number != 0)
            decode_descriptor(d, &descriptor);
        if (event.number != 0)
            decode_event(d, &event, field_of(&packet, 8).value);
    }
}

static size_t read_file(const char *path, unsigned char *to, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t n = file != NULL ? fread(to, 1, room, file) : 0;

    if (file != NULL)
        fclose(file);
    return n;
}

START_TEST(perfetto_decodes_to_the_same_rows)
{
    static unsigned char bytes[65536];
    static struct decoded d;
    char path[] = "/tmp/test-trace.XXXXXX", line[128];
    int fd = mkstemp(path), found = 0;
    size_t count;

    close(fd);
    snprintf(line, sizeof(line), "trace dump --format perfetto -o %s", path);
    ck_assert_int_eq(run(line), 0);
    ck_assert_ptr_nonnull(strstr(complained, "15 records to"));
    count = read_file(path, bytes, sizeof(bytes));
    unlink(path);
    decode(&d, bytes, count);
    ck_assert_int_eq(d.process_count, 3); /* the CPUs, web, db */
    for (int i = 0; i < d.track_count; i++) {
        ck_assert_int_eq(d.tracks[i].open, 0);
        if (strcmp(d.tracks[i].name, "CPU 0") == 0) {
            ck_assert_int_eq(d.tracks[i].slices, 3);
            found++;
        }
        if (strcmp(d.tracks[i].name, "CPU 1") == 0) {
            ck_assert_uint_eq(d.tracks[i].longest, 40000);
            found++;
        }
        if (strcmp(d.tracks[i].name, "vCPU 1") == 0) {
            ck_assert_int_eq(d.tracks[i].slices, 3); /* runnable, running, blocked */
            ck_assert_int_eq(d.tracks[i].instants, 1);
            found++;
        }
        if (strcmp(d.tracks[i].name, "vCPU 1 hypercalls") == 0)
            found++;
    }
    ck_assert_int_eq(found, 4);
}
END_TEST

START_TEST(perfetto_has_requests_of_disks_on_lanes)
{
    static unsigned char bytes[65536];
    static struct decoded d;
    char path[] = "/tmp/test-trace.XXXXXX", line[128];
    int lanes = 0, requests = 0, devices = 0;

    close(mkstemp(path));
    put_requests();
    snprintf(line, sizeof(line), "trace dump --format perfetto -o %s", path);
    ck_assert_int_eq(run(line), 0);
    decode(&d, bytes, read_file(path, bytes, sizeof(bytes)));
    unlink(path);
    for (int i = 0; i < d.track_count; i++)
        if (strcmp(d.tracks[i].name, "VBD 7 on disk1") == 0) {
            lanes++;
            requests += d.tracks[i].slices - d.tracks[i].devices;
            devices += d.tracks[i].devices;
        }
    ck_assert_int_eq(lanes, 2);
    ck_assert_int_eq(requests, 4);
    ck_assert_int_eq(devices, 3);
}
END_TEST

START_TEST(any_records_make_a_trace_that_decodes)
{
    static unsigned char bytes[1 << 22];
    static struct decoded d;
    char path[] = "/tmp/test-trace.XXXXXX", line[128];
    unsigned int seed = 20031019;
    json_t *document;

    close(mkstemp(path));
    fake.record_count[0] = fake.record_count[1] = 0;
    for (int i = 0; i < 3000; i++)
        put(rand_r(&seed) % 2, 10 + (unsigned int)i / 2, rand_r(&seed) % 14, COLLET_TRACE_SUBJECT(3 + rand_r(&seed) % 3, rand_r(&seed) % 2),
            rand_r(&seed) % 4 == 0 ? COLLET_TRACE_IDLE : COLLET_TRACE_SUBJECT(3 + rand_r(&seed) % 3, rand_r(&seed) % 2), (unsigned int)rand_r(&seed));
    snprintf(line, sizeof(line), "trace dump -o %s --format perfetto", path);
    ck_assert_int_eq(run(line), 0);
    decode(&d, bytes, read_file(path, bytes, sizeof(bytes)));
    ck_assert_int_gt(d.track_count, 6);
    unlink(path);
    ck_assert_int_eq(run("trace dump --format chrome"), 0);
    document = said_json();
    ck_assert_ptr_nonnull(document);
    json_decref(document);
}
END_TEST

START_TEST(the_format_follows_the_name_of_the_file)
{
    char path[] = "/tmp/test-trace.XXXXXX.csv", line[128];
    unsigned char bytes[16] = { 0 };

    close(mkstemps(path, 4));
    snprintf(line, sizeof(line), "trace dump -o %s --json", path);
    ck_assert_int_eq(run(line), 0);
    ck_assert_ptr_nonnull(strstr(said, "\"format\": \"csv\""));
    read_file(path, bytes, 15);
    ck_assert_str_eq((char *)bytes, "time_ns,cpu,kin");
    unlink(path);
    ck_assert_int_eq(run("trace dump -o /nonexistent/x.csv"), 1);
}
END_TEST

Suite *suite_trace(void);
Suite *suite_trace(void)
{
    Suite *s = suite_create("trace");
    TCase *t = tcase_create("trace");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, run_end);
    tcase_add_test(t, csv_is_merged_by_time);
    tcase_add_test(t, text_is_for_people_and_json_for_programs);
    tcase_add_test(t, lost_records_are_told);
    tcase_add_test(t, without_a_recording_it_says_how_to_begin);
    tcase_add_test(t, seconds_turn_recording_on_and_off_again);
    tcase_add_test(t, start_keeps_the_size_of_the_rings);
    tcase_add_test(t, chrome_has_a_row_for_each_cpu_and_vcpu);
    tcase_add_test(t, calls_inside_of_a_multicall_do_not_end_it);
    tcase_add_test(t, requests_of_disks_are_async_slices);
    tcase_add_test(t, perfetto_decodes_to_the_same_rows);
    tcase_add_test(t, perfetto_has_requests_of_disks_on_lanes);
    tcase_add_test(t, any_records_make_a_trace_that_decodes);
    tcase_add_test(t, the_format_follows_the_name_of_the_file);
    return s;
}
