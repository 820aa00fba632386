/* SPDX-License-Identifier: MIT */
/*
 * Tests of `collet capture`: options, what is said of frames, and the files, which tshark and tcpdump read where they are installed (make deps).
 */
#include "capture.h"
#include "fake-capture.h"
#include "fake-collet.h"
#include "fake-net.h"
#include "test-run.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <hv/vfr-ops.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vfr/ruleset.h>

static char path[64], command[512], output[16384];

/* A set of two rules, with a line of text for each: place, label, words. */
static struct {
    struct vfr_set_header header;
    struct vfr_set_name name;
    struct vfr_set_rule rules[2];
    char text[64];
} set;

static void make_set(void)
{
    static const char text[] = "w:2\t\tdrop in on web port 22\nw:3\t\taccept out on web\n";

    memset(&set, 0, sizeof(set));
    set.header = (struct vfr_set_header){ .magic = VFR_SET_MAGIC, .version = VFR_SET_VERSION, .header_bytes = sizeof(set.header), .bytes = sizeof(set.header) + 64 + sizeof(set.rules) + 56 };
    set.header.count[VFR_SET_NAMES] = 1;
    set.header.count[VFR_SET_RULES] = 2;
    set.header.count[VFR_SET_TEXT] = sizeof(text) - 1;
    ck_assert_uint_le(sizeof(text) - 1, 56);
    set.rules[0].line = 2;
    set.rules[1].line = 3;
    memcpy(set.text, text, sizeof(text) - 1);
    fake_net.set_bytes = sizeof(set.header) + 64 + sizeof(set.rules) + (sizeof(text) - 1 + 7) / 8 * 8;
    free(fake_net.set);
    fake_net.set = malloc(fake_net.set_bytes); /* fake_net_reset() frees it */
    memcpy(fake_net.set, &set, fake_net.set_bytes);
}

/* A TCP segment 10.0.2.16:1025 -> 10.0.2.2:80 of 20 bytes, its checksum that of the pseudo header as Linux leaves it to a card. */
static const uint8_t tcp_frame[] = {
    0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x00, 0x16, 0x3e, 0x00, 0x00, 0x01, 0x08, 0x00, /* Ethernet */
    0x45, 0x00, 0x00, 0x3c, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0x22, 0xab, 0x0a, 0x00, 0x02, 0x10, 0x0a, 0x00, 0x02, 0x02, /* IPv4 */
    0x04, 0x01, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x50, 0x18, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, /* TCP */
    'G',  'E',  'T',  ' ',  '/',  ' ',  'H',  'T',  'T',  'P',  '/',  '1',  '.',  '0',  '\r', '\n', '\r', '\n', '\r', '\n',
};

static struct collet_capture_record *add_frame(const char *name, uint64_t time_ns, uint8_t direction)
{
    int n = fake_capture.count++;
    struct collet_capture_record *r = &fake_capture.records[n];
    uint32_t sum = 0x0a00 + 0x0210 + 0x0a00 + 0x0202 + 6 + 40;
    uint8_t *frame = fake_capture.frames[n];

    memcpy(frame, tcp_frame, sizeof(tcp_frame));
    frame[50] = (uint8_t)(sum >> 8);
    frame[51] = (uint8_t)sum;
    *r = (struct collet_capture_record){ .bytes = sizeof(*r) + 80,
                                         .captured = sizeof(tcp_frame),
                                         .frame_bytes = sizeof(tcp_frame),
                                         .time_ns = time_ns,
                                         .number = (uint64_t)n + 1,
                                         .domid = 1,
                                         .rule = VFR_NO_RULE,
                                         .action = VFR_ACCEPT,
                                         .drop = COLLET_CAPTURED_PASSED,
                                         .flags = COLLET_CAPTURED_SUM,
                                         .sum_start = 34,
                                         .sum_offset = 16,
                                         .direction = direction };
    snprintf(r->name, sizeof(r->name), "%s", name);
    return r;
}

static void setup(void)
{
    struct collet_capture_record *r;

    fake_reset();
    fake_net_reset();
    memset(&fake_capture, 0, sizeof(fake_capture));
    make_set();
    snprintf(path, sizeof(path), "/tmp/test-capture-%d.pcapng", (int)getpid());
    add_frame("web.0", 1000000001, COLLET_CAPTURE_OUT);
    r = add_frame("nic0", 1000000002, COLLET_CAPTURE_OUT);
    r->generation = 3;
    r->rule = 1;
    r = add_frame("web.0", 1000000003, COLLET_CAPTURE_IN);
    r->generation = 3;
    r->rule = 0;
    r->action = VFR_DROP;
    r->drop = COLLET_NET_DROP_RULE;
    r->number = 6; /* three before it were dropped for want of room */
    r->flags = 0;
    r->captured = 40;
    strcpy(fake_capture.counters[0].name, "web.0");
    fake_capture.counters[0].seen = 900;
    fake_capture.counters[0].recorded = 2;
    fake_capture.counters[0].dropped = 3;
    strcpy(fake_capture.counters[1].name, "db.0"); /* all of its frames were dropped */
    fake_capture.counters[1].seen = fake_capture.counters[1].dropped = 2;
    fake_capture.counter_count = 2;
}

static void teardown(void)
{
    unlink(path);
    fake_net_reset();
    run_end();
}

#define said_has(text)      ck_assert_msg(strstr(said, text) != NULL, "%s", said)
#define complained_of(text) ck_assert_msg(strstr(complained, text) != NULL, "%s", complained)

static int run_to(const char *format, const char *file)
{
    snprintf(command, sizeof(command), format, file);
    return run(command);
}

/* What a program of the host says of the file; false: it is not installed. */
static bool host_reads(const char *program, const char *arguments)
{
    char line[512];
    size_t n;
    FILE *pipe;

    snprintf(line, sizeof(line), "command -v %s >/dev/null", program);
    if (system(line) != 0) {
        fprintf(stderr, "skipped: %s is not installed (make deps)\n", program);
        return false;
    }
    snprintf(line, sizeof(line), "%s %s %s 2>&1", program, arguments, path);
    pipe = popen(line, "re");
    ck_assert_ptr_nonnull(pipe);
    n = fread(output, 1, sizeof(output) - 1, pipe);
    output[n] = '\0';
    ck_assert_msg(pclose(pipe) == 0, "%s: %s", line, output);
    return true;
}

static uint8_t *file_read(size_t *bytes)
{
    static uint8_t data[65536];
    FILE *file = fopen(path, "re");

    ck_assert_ptr_nonnull(file);
    *bytes = fread(data, 1, sizeof(data), file);
    fclose(file);
    return data;
}

START_TEST(a_line_for_each_frame)
{
    ck_assert_int_eq(run("capture web -c 3"), 0);
    ck_assert_str_eq(said, "22:13:21.000000 web.0 out 10.0.2.16:1025 > 10.0.2.2:80 TCP [P.], 74 bytes (accepted: no rules are loaded)\n"
                           "22:13:21.000000 nic0 out 10.0.2.16:1025 > 10.0.2.2:80 TCP [P.], 74 bytes (accepted by w:3 of generation 3: accept out on web)\n"
                           "22:13:21.000000 web.0 in  10.0.2.16 > 10.0.2.2 TCP, 74 bytes (dropped by w:2 of generation 3: drop in on web port 22)\n");
    complained_of("3 frames captured of 1000 that passed by; 5 more were dropped");
    ck_assert_str_eq(fake_capture.open.targets, "web");
    ck_assert_uint_eq(fake_capture.open.flags, 0);
    ck_assert_uint_eq(fake_capture.open.pages, 256);
    ck_assert_int_eq(fake_capture.closes, 1);
}
END_TEST

START_TEST(json_has_an_object_for_each_frame)
{
    json_t *j;

    ck_assert_int_eq(run("capture web -c 3 --json"), 0);
    *strchr(said, '\n') = '\0';
    j = json_loads(said, 0, NULL);
    ck_assert_ptr_nonnull(j);
    ck_assert_str_eq(json_string_value(json_object_get(j, "interface")), "web.0");
    ck_assert_int_eq(json_integer_value(json_object_get(j, "time_ns")), 1700000001000000001);
    ck_assert_int_eq(json_integer_value(json_object_get(j, "target_port")), 80);
    ck_assert(json_is_true(json_object_get(j, "passed")));
    json_decref(j);
}
END_TEST

START_TEST(options_reach_the_hypervisor)
{
    ck_assert_int_eq(run("capture web.0,nic0 tcp port 80 -c 1 -s 96 --dropped --direction in --buffer 16"), 0);
    ck_assert_str_eq(fake_capture.open.targets, "web.0,nic0");
    ck_assert_uint_eq(fake_capture.open.flags, COLLET_CAPTURE_DROPPED | COLLET_CAPTURE_IN);
    ck_assert_uint_eq(fake_capture.open.snap_bytes, 96);
    ck_assert_uint_eq(fake_capture.open.pages, 16);
    ck_assert_uint_gt(fake_capture.open.filter_count, 5);
    ck_assert_uint_eq(fake_capture.filter[0].code, 0x28); /* ldh: the ethertype */
    ck_assert_uint_eq(fake_capture.filter[0].k, 12);
}
END_TEST

START_TEST(words_are_completed)
{
    ck_assert_int_eq(run("__complete words capture we"), 0);
    said_has("web");
    said_has("web.0");
    ck_assert_int_eq(run("__complete words capture ni"), 0);
    said_has("nic0");
    ck_assert_int_eq(run("__complete words capture web --direction o"), 0);
    said_has("out");
}
END_TEST

START_TEST(mistakes_are_told_and_open_nothing)
{
    ck_assert_int_eq(run("capture"), CLI_USAGE);
    complained_of("no domain, VIF or card is named");
    ck_assert_int_eq(run("capture web tcp prot 80"), CLI_USAGE);
    complained_of("filter 'tcp prot 80': ");
    complained_of("pcap-filter(7)");
    ck_assert_int_eq(run("capture web --direction up"), CLI_USAGE);
    ck_assert_int_eq(run("capture web --buffer 100"), CLI_USAGE);
    ck_assert_int_eq(run("capture web --format xml"), CLI_USAGE);
    ck_assert_int_eq(run("capture web --interface a-name-that-is-long"), CLI_USAGE);
    ck_assert_int_eq(run("capture web -w - --json"), CLI_USAGE);
    ck_assert_int_eq(run("capture wbe"), CLI_NO_SUCH);
    complained_of("did you mean web?");
    ck_assert_int_eq(run("capture nic0,sdfjhsdfkj"), CLI_NO_SUCH);
    complained_of("collet nic list");
    ck_assert_int_eq(fake_capture.opens, 0);
    ck_assert_int_eq(run("capture wbe,w* --later -c 1"), CLI_OK);
    ck_assert_int_eq(run("capture web -w /nonexistent/x.pcap"), CLI_FAILED);
    complained_of("nothing is captured");
    ck_assert_int_eq(fake_capture.open_now, 0);
}
END_TEST

START_TEST(tshark_reads_interfaces_verdicts_and_nanoseconds)
{
    ck_assert_int_eq(run_to("capture web -c 3 -w %s", path), 0);
    if (!host_reads("tshark", "-o tcp.check_checksum:TRUE -o ip.check_checksum:FALSE -T fields -e frame.interface_name -e frame.time_epoch -e frame.packet_flags_direction -e tcp.checksum.status -e frame.len -e frame.cap_len "
                              "-e frame.drop_count -e frame.comment -r"))
        return;
    ck_assert_msg(strstr(output, "web.0\t1700000001.000000001\t0x00000002\t1\t74\t74\t\taccepted: no rules are loaded\n") != NULL, "%s", output);
    ck_assert_msg(strstr(output, "nic0\t1700000001.000000002\t0x00000002\t1\t74\t74\t\taccepted by w:3 of generation 3: accept out on web\n") != NULL, "%s", output);
    ck_assert_msg(strstr(output, "web.0\t1700000001.000000003\t0x00000001\t\t74\t40\t3\tdropped by w:2 of generation 3: drop in on web port 22\n") != NULL, "%s", output);
}
END_TEST

START_TEST(tcpdump_reads_both_formats)
{
    ck_assert_int_eq(run_to("capture web -c 3 -w %s", path), 0);
    if (host_reads("tcpdump", "-n --time-stamp-precision=nano -tt -r"))
        ck_assert_msg(strstr(output, "1700000001.000000002 ") != NULL && strstr(output, "10.0.2.16.1025 > 10.0.2.2.80: Flags [P.]") != NULL, "%s", output);
    fake_capture.next = 0;
    ck_assert_int_eq(run_to("capture web -c 3 --format pcap -w %s", path), 0);
    if (host_reads("tcpdump", "-n -v --time-stamp-precision=nano -tt -r")) {
        ck_assert_msg(strstr(output, "1700000001.000000003 ") != NULL, "%s", output);
        ck_assert_msg(strstr(output, "(correct)") != NULL && strstr(output, "incorrect") == NULL, "%s", output);
    }
}
END_TEST

/* The blocks of a file: sums of what its statistics say. */
static void statistics_read(uint64_t *received, uint64_t *dropped, unsigned int *interfaces)
{
    size_t bytes, at = 0;
    const uint8_t *data = file_read(&bytes);
    uint32_t head[2], last;

    *received = *dropped = *interfaces = 0;
    while (at < bytes) {
        memcpy(head, data + at, 8);
        ck_assert(head[1] >= 12 && head[1] % 4 == 0 && head[1] <= bytes - at);
        memcpy(&last, data + at + head[1] - 4, 4);
        ck_assert_uint_eq(last, head[1]);
        *interfaces += head[0] == 1;
        for (size_t o = 20; head[0] == 5 && o + 4 <= head[1] - 4;) {
            uint16_t option[2];
            uint64_t value = 0;

            memcpy(option, data + at + o, 4);
            if (option[1] == 8)
                memcpy(&value, data + at + o + 4, 8);
            *received += option[0] == 4 ? value : 0;
            *dropped += option[0] == 7 ? value : 0;
            o += 4 + (option[1] + 3u) / 4 * 4;
        }
        at += head[1];
    }
    ck_assert_uint_eq(at, bytes);
}

START_TEST(statistics_tell_what_was_dropped)
{
    uint64_t received, dropped;
    unsigned int interfaces;

    ck_assert_int_eq(run_to("capture web -c 3 -w %s", path), 0);
    statistics_read(&received, &dropped, &interfaces);
    ck_assert_uint_eq(received, 902);
    ck_assert_uint_eq(dropped, 5);
    ck_assert_uint_eq(interfaces, 3); /* web.0, nic0, and db.0 at the end */
    if (host_reads("capinfos", "-m"))
        ck_assert_msg(strstr(output, "db.0") != NULL && strstr(output, "Capture duration") != NULL, "%s", output);
}
END_TEST

START_TEST(a_pipe_gets_a_whole_file)
{
    ck_assert_int_eq(run("capture web -c 3 -w -"), 0);
    ck_assert_mem_eq(said, "\x0a\x0d\x0d\x0a", 4);
    fake_capture.next = 0;
    ck_assert_int_eq(run("capture web -c 3 --format pcap -w -"), 0);
    ck_assert_mem_eq(said, "\x4d\x3c\xb2\xa1", 4);
}
END_TEST

START_TEST(a_full_disk_is_told_and_the_capture_closed)
{
    if (access("/dev/full", W_OK) != 0)
        return;
    ck_assert_int_eq(run("capture web -c 3 -w /dev/full"), CLI_FAILED);
    complained_of("No space left on device");
    ck_assert_int_eq(fake_capture.open_now, 0);
}
END_TEST

START_TEST(seconds_end_a_capture_and_one_that_was_closed_tells)
{
    ck_assert_int_eq(run("capture web --seconds 0.05"), 0);
    complained_of("3 frames captured");
    ck_assert_int_eq(fake_capture.open_now, 0);
    fake_capture.release_rc = -ENOENT;
    ck_assert_int_ne(run("capture web"), 0);
    complained_of("it was closed by somebody");
    ck_assert_int_eq(fake_capture.open_now, 0);
}
END_TEST

START_TEST(those_that_are_open_are_listed_and_ended)
{
    ck_assert_int_eq(run("capture --list"), 0);
    said_has("nothing is being captured");
    fake_capture.open_now = 1;
    ck_assert_int_eq(run("capture --list"), 0);
    said_has("     7  web,nic0                  1000          10           5      20\n");
    ck_assert_int_eq(run("capture --end 7"), 0);
    ck_assert_int_eq(fake_capture.ended, 7);
    ck_assert_int_ne(run("capture --end 8"), 0);
    complained_of("there is no such capture");
}
END_TEST

START_TEST(every_reason_has_its_words)
{
    struct capture_rules *rules = capture_rules_new(NULL);
    struct collet_capture_record r = { .rule = VFR_NO_RULE, .generation = 9, .action = VFR_REJECT, .drop = COLLET_NET_DROP_RULE };

    ck_assert_str_eq(capture_comment(rules, &r), "rejected by the policy of generation 9");
    r.rule = 4;
    ck_assert_str_eq(capture_comment(rules, &r), "rejected by rule #4 of generation 9");
    r.drop = COLLET_CAPTURED_PASSED;
    r.action = VFR_FORWARD;
    ck_assert_str_eq(capture_comment(rules, &r), "forwarded by rule #4 of generation 9");
    r.action = VFR_CONTINUE;
    ck_assert_str_eq(capture_comment(rules, &r), "sent by the router itself, because a frame was rejected");
    for (unsigned int drop = COLLET_NET_DROP_SPOOF; drop <= COLLET_NET_DROP_MEMORY; drop++) {
        r.drop = (uint8_t)drop;
        ck_assert_ptr_null(strstr(capture_comment(rules, &r), "unknown"));
    }
    r.drop = 200;
    ck_assert_ptr_nonnull(strstr(capture_comment(rules, &r), "unknown"));
    capture_rules_free(rules);
}
END_TEST

/* What the rule language compiles to: sets, ports, patterns before the text. */
START_TEST(a_real_set_gives_its_lines)
{
    struct collet_capture_record r = { .rule = 1, .generation = 1, .action = VFR_DROP, .drop = COLLET_NET_DROP_RULE };
    struct capture_rules *rules;
    FILE *file = fopen(path, "we");

    fputs("# of a test\nset servers { 10.0.2.16, 10.0.2.32/28, fec0::/64 }\naccept out on web proto tcp from any to servers port { 80, 8000-8080 }\n"
          "drop in on a proto tcp from any to any port 80 label \"no-web\"\naccept in match 'icmp'\n", file);
    fclose(file);
    ck_assert_msg(run_to("rules load %s", path) == 0, "%s", complained);
    rules = capture_rules_new((struct collet *)(void *)&set);
    snprintf(command, sizeof(command), "dropped by %s:4 of generation 1: drop in on a proto tcp from any to any port 80 label \"no-web\"", path);
    ck_assert_str_eq(capture_comment(rules, &r), command);
    capture_rules_free(rules);
}
END_TEST

/* A set that lies about its lengths is not read beyond its end. */
START_TEST(a_damaged_set_gives_numbers)
{
    for (size_t bytes = 0; bytes <= fake_net.set_bytes; bytes += 8) {
        struct capture_rules *rules;
        struct collet_capture_record r = { .rule = 1, .generation = 3, .action = VFR_ACCEPT, .drop = COLLET_CAPTURED_PASSED };

        fake_net.set_bytes -= bytes;
        rules = capture_rules_new((struct collet *)(void *)&set);
        ck_assert_ptr_nonnull(strstr(capture_comment(rules, &r), bytes == 0 ? "w:3" : "generation 3"));
        capture_rules_free(rules);
        fake_net.set_bytes += bytes;
    }
}
END_TEST

Suite *suite_capture(void);
Suite *suite_capture(void)
{
    Suite *s = suite_create("capture");
    TCase *t = tcase_create("commands");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_line_for_each_frame);
    tcase_add_test(t, json_has_an_object_for_each_frame);
    tcase_add_test(t, options_reach_the_hypervisor);
    tcase_add_test(t, words_are_completed);
    tcase_add_test(t, mistakes_are_told_and_open_nothing);
    tcase_add_test(t, tshark_reads_interfaces_verdicts_and_nanoseconds);
    tcase_add_test(t, tcpdump_reads_both_formats);
    tcase_add_test(t, statistics_tell_what_was_dropped);
    tcase_add_test(t, a_pipe_gets_a_whole_file);
    tcase_add_test(t, a_full_disk_is_told_and_the_capture_closed);
    tcase_add_test(t, seconds_end_a_capture_and_one_that_was_closed_tells);
    tcase_add_test(t, those_that_are_open_are_listed_and_ended);
    tcase_add_test(t, every_reason_has_its_words);
    tcase_add_test(t, a_real_set_gives_its_lines);
    tcase_add_test(t, a_damaged_set_gives_numbers);
    return s;
}
