// SPDX-License-Identifier: MIT
/*
 * `collet rules check`, `test`, `explain` and `diff`, run as main() runs them. Judging itself: plugins-dom0/rules/test-judge.c.
 */
#include "capture.h"
#include "fake-net.h"
#include "judge.h"
#include "test-run.h"

#include <check.h>
#include <pcap/pcap.h>
#include <unistd.h>

static char folder[64];

static void setup(void)
{
    strcpy(folder, "/tmp/test-rules-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    fake_net_reset();
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    run_end();
    said = complained = NULL;
}

static void file(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

/* F stands for the folder. */
static int run_in(const char *line)
{
    char words[512] = "";

    for (const char *c = line; *c != 0; c++)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), *c == '@' ? "%s/" : "%.1s", *c == '@' ? folder : c);
    return run(words);
}

static void capture(const char *name, const char *const *packets)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    char path[128];
    pcap_dumper_t *dumper;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    dumper = pcap_dump_open(pcap, path);
    for (int i = 0; packets[i] != NULL; i++) {
        struct rules_worded w;
        struct pcap_pkthdr header = { .ts = { .tv_sec = 100 + i } };

        ck_assert_int_eq(rules_packet_in_words(packets[i], &w), 0);
        header.caplen = header.len = w.frame.length;
        pcap_dump((u_char *)dumper, &header, w.bytes);
    }
    pcap_dump_close(dumper);
    pcap_close(pcap);
}

START_TEST(check_tells_mistakes_and_what_would_be_right)
{
    json_t *json;

    file("good", "drop in on web port 22\naccept\n");
    file("bad", "drop in on web prto tcp\naccept port shs\n");
    ck_assert_int_eq(run_in("rules check @good"), 0);
    ck_assert_ptr_nonnull(strstr(said, "2 rules"));
    ck_assert_int_eq(run_in("rules check @bad"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(complained, "bad:1:16: 'prto' is not understood here (did you mean 'proto'?)"));
    ck_assert_ptr_nonnull(strstr(complained, "bad:2:13: 'shs' is no port, and no set (did you mean 'ssh'?)"));
    ck_assert_ptr_nonnull(strstr(complained, "2 errors"));
    ck_assert_int_eq(run_in("rules check @bad --json"), CLI_FAILED);
    json = said_json();
    ck_assert_uint_eq(json_array_size(json_object_get(json, "errors")), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(json_object_get(json, "errors"), 0), "column")), 16);
    json_decref(json);
    ck_assert_int_eq(run_in("rules check @none"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(complained, "No such file"));
}
END_TEST

START_TEST(test_tells_which_rule_decides_each_packet)
{
    static const char *const packets[] = { "tcp from 1.2.3.4 to 10.0.2.16 port 22", "tcp from 1.2.3.4 to 10.0.2.16 port 80", "udp from 10.0.2.16 to 10.0.2.17 port 53", "arp from 10.0.2.17 to 10.0.2.16", NULL };
    json_t *json, *list;

    file("r", "drop in on web port 22\nreject out on web port 53\ncount on *\n");
    capture("c", packets);
    ck_assert_int_eq(run_in("rules test @r @c --to web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "drop    in on web.0"));
    ck_assert_ptr_nonnull(strstr(said, "4 packets: 3 accepted, 1 not"));
    ck_assert_int_eq(run_in("rules test @r @c --vifs web.0=10.0.2.16,db.0=10.0.2.17 --json"), 0);
    json = said_json();
    list = json_object_get(json, "verdicts");
    ck_assert_uint_eq(json_array_size(list), 4);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "verdict")), "drop");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 2), "verdict")), "reject");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 2), "direction")), "out");
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_object_get(json_array_get(list, 2), "rule"), "line")), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json, "accepted")), 2);
    json_decref(json);
    ck_assert_int_eq(run_in("rules test @r @c --vifs web.0=10.0.2.16 --only drop"), 0);
    ck_assert_ptr_null(strstr(said, "reject  out"));
    ck_assert_int_eq(run_in("rules test @r @r"), CLI_FAILED);
    ck_assert_int_eq(run_in("rules test @r @c --vifs web"), CLI_USAGE);
}
END_TEST

/* As `collet capture -w` writes it: the same packet at both of its ends, and one that a card sent. */
static void our_capture(const char *name)
{
    static const struct {
        const char *packet, *interface;
        uint8_t direction;
    } frames[] = {
        { "tcp from 10.0.2.17 to 10.0.2.16 port 22", "db.0", COLLET_CAPTURE_OUT },
        { "tcp from 10.0.2.17 to 10.0.2.16 port 22", "web.0", COLLET_CAPTURE_IN },
        { "tcp from 10.0.2.16 to 10.0.2.2 port 80", "nic0", COLLET_CAPTURE_OUT },
        { "tcp from 10.0.2.2 to 10.0.2.16 port 80", "nic0", COLLET_CAPTURE_IN },
    };
    struct capture_file f = { .format = CAPTURE_PCAPNG };
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f.file = fopen(path, "w");
    capture_file_begin(&f);
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct collet_capture_record record = { .direction = frames[i].direction };
        struct rules_worded w;
        struct capture_frame frame = { .record = &record, .bytes = w.bytes, .time_ns = 1700000000123456789ull + i };

        ck_assert_int_eq(rules_packet_in_words(frames[i].packet, &w), 0);
        snprintf(record.name, sizeof(record.name), "%s", frames[i].interface);
        record.captured = record.frame_bytes = w.frame.length;
        capture_file_frame(&f, &frame);
    }
    capture_file_end(&f, NULL, 0);
    fclose(f.file);
}

START_TEST(our_own_captures_say_where_each_packet_was_seen)
{
    static const char *const expected[][3] = { { "reject", "out", "db.0" }, { "drop", "in", "web.0" }, { "accept", "out", "nic0" }, { "drop", "in", "nic0" } };
    json_t *json, *list;

    file("r", "drop in on web port 22\nreject out on db port 22\naccept out on nic0\ndrop in on nic0\n");
    our_capture("c");
    ck_assert_int_eq(run_in("rules test @r @c --json"), 0);
    json = said_json();
    list = json_object_get(json, "verdicts");
    ck_assert_uint_eq(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *v = json_array_get(list, i);

        ck_assert_str_eq(json_string_value(json_object_get(v, "verdict")), expected[i][0]);
        ck_assert_str_eq(json_string_value(json_object_get(v, "direction")), expected[i][1]);
        ck_assert_str_eq(json_string_value(json_object_get(v, "interface")), expected[i][2]);
        ck_assert_int_eq(json_integer_value(json_object_get(v, "time_ns")), 1700000000123456789ll + (json_int_t)i);
    }
    ck_assert(json_is_null(json_object_get(json, "assumed")));
    json_decref(json);
    /* What is said goes before what the file says. */
    ck_assert_int_eq(run_in("rules test @r @c --to web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "4 packets: 2 accepted, 2 not"));
}
END_TEST

START_TEST(what_a_capture_does_not_say_is_assumed_aloud)
{
    static const char *const packets[] = { "tcp from 1.2.3.4 to 10.0.2.16 port 22", NULL };

    file("r", "drop in on nic0\n");
    capture("c", packets);
    ck_assert_int_eq(run_in("rules test @r @c"), 0);
    ck_assert_ptr_nonnull(strstr(said, "drop    in on nic0"));
    ck_assert_ptr_nonnull(strstr(said, "1 packets without an interface were taken as coming in on nic0; --from, --to and --vifs say otherwise"));
    ck_assert_int_eq(run_in("rules test @r @c --from nic0"), 0);
    ck_assert_ptr_null(strstr(said, "taken as"));
}
END_TEST

START_TEST(damaged_captures_are_told)
{
    uint8_t bytes[4096];
    char path[128];
    size_t size;
    FILE *f;

    file("r", "accept\n");
    file("empty", "");
    our_capture("c");
    ck_assert_int_eq(run_in("rules test @r @empty"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(complained, "an empty file"));
    ck_assert_int_eq(run_in("rules test @r @none"), CLI_FAILED);
    ck_assert_ptr_nonnull(strstr(complained, "No such file"));
    snprintf(path, sizeof(path), "%s/c", folder);
    f = fopen(path, "r");
    size = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/d", folder);
    for (size_t cut = 1; cut < size; cut += 13) {
        f = fopen(path, "w");
        fwrite(bytes, 1, cut, f);
        fclose(f);
        run_in("rules test @r @d");
    }
    for (size_t at = 0; at < size; at++) {
        f = fopen(path, "w");
        bytes[at] ^= 0x80;
        fwrite(bytes, 1, size, f);
        bytes[at] ^= 0x80;
        fclose(f);
        run_in("rules test @r @d");
    }
}
END_TEST

static const struct {
    const char *line;
    int exit;
    const char *told;
} clumsy[] = {
    { "rules check @", CLI_FAILED, "is a folder, not a file" },
    { "rules check @none", CLI_FAILED, "none: No such file or directory" },
    { "rules check @zeros", CLI_FAILED, "zeros: no text: it has zeros in it" },
    { "rules check @r --nonsense", CLI_USAGE, "no option '--nonsense'" },
    { "rules check", CLI_USAGE, "something is missing: collet rules check FILE..." },
    { "rules test @r", CLI_USAGE, "something is missing" },
    { "rules test @r @", CLI_FAILED, "Is a directory" },
    { "rules test @r @c --from web*", CLI_USAGE, "--from: 'web*' is not the name of one interface" },
    { "rules test @r @c --to .0", CLI_USAGE, "--to: '.0' is not the name" },
    { "rules test @r @c --only nonsense", CLI_USAGE, "there are accept, drop, reject, forward, spoofed and malformed" },
    { "rules test @r @c --count 0", CLI_USAGE, "--count: '0' is not a number from 1" },
    { "rules test @r @c --vifs =1.2.3.4", CLI_USAGE, "--vifs: '' is not the name" },
    { "rules test @r @c --vifs web.0=1.2.3.4.5", CLI_USAGE, "web.0: '1.2.3.4.5' are no addresses; as 10.0.2.16" },
    { "rules explain -f @r banana", CLI_USAGE, "'banana' is no word for packets; as: tcp from" },
    { "rules explain -f @r tcp from", CLI_USAGE, "behind 'from' comes a value" },
    { "rules explain -f @r from 1.2.3.4.5", CLI_USAGE, "behind 'from' comes an address" },
    { "rules explain -f @r port 99999", CLI_USAGE, "behind 'port' comes a port, or a service" },
    { "rules explain -f @r size 99999", CLI_USAGE, "behind 'size' comes a number up to 65535" },
    { "rules explain -f @r on web*", CLI_USAGE, "behind 'on' comes the name of one interface" },
    { "rules explain -f @r flags XYZ", CLI_USAGE, "letters of FSRPAUEW" },
    { "rules explain -f @r arp from fec0::1", CLI_USAGE, "ARP has addresses of IPv4" },
    { "rules explain -f @r from fec0::1 to 1.2.3.4", CLI_USAGE, "IPv4 and IPv6 in one packet" },
    { "rules explain -f @none tcp", CLI_FAILED, "No such file" },
    { "rules explain -f @r \x1b[31m", CLI_USAGE, "'?[31m' is no word" },
    { "rules diff @r @r @r", CLI_USAGE, "one word too many" },
};

START_TEST(clumsy_commands_get_one_clear_line)
{
    static const char *const packets[] = { "tcp from 1.2.3.4 to 10.0.2.16 port 22", NULL };
    char path[128];
    FILE *f;

    file("r", "accept\n");
    capture("c", packets);
    snprintf(path, sizeof(path), "%s/zeros", folder);
    f = fopen(path, "w");
    fwrite("accept\0\n", 1, 8, f);
    fclose(f);
    ck_assert_msg(run_in(clumsy[_i].line) == clumsy[_i].exit, "%s: %s", clumsy[_i].line, complained);
    ck_assert_msg(strstr(complained, clumsy[_i].told) != NULL, "%s: %s", clumsy[_i].line, complained);
}
END_TEST

START_TEST(what_rules_cannot_read_is_malformed)
{
    static const char *const packets[] = { "tcp to 10.0.2.16 port 22", NULL };
    struct rules_worded w;
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    struct pcap_pkthdr header = { .ts = { .tv_sec = 100 } };
    char path[128];
    pcap_dumper_t *dumper;

    /* A first fragment that ends in the middle of its ports. */
    ck_assert_int_eq(rules_packet_in_words(packets[0], &w), 0);
    w.bytes[14 + 3] = 20 + 8;
    w.bytes[14 + 6] = 0x20;
    snprintf(path, sizeof(path), "%s/c", folder);
    dumper = pcap_dump_open(pcap, path);
    header.caplen = header.len = 14 + 20 + 8;
    pcap_dump((u_char *)dumper, &header, w.bytes);
    pcap_dump_close(dumper);
    pcap_close(pcap);
    file("r", "drop port 22\n");
    ck_assert_int_eq(run_in("rules test @r @c"), 0);
    ck_assert_msg(strstr(said, "malformed") != NULL && strstr(said, "1 packets: 0 accepted, 1 not") != NULL, "%s", said);
    ck_assert_int_eq(run_in("rules test @r @c --only malformed --json"), 0);
}
END_TEST

START_TEST(files_of_other_systems_are_right)
{
    file("empty", "");
    file("crlf", "drop on web\r\n\r\naccept\r\n");
    file("tabs", "\tdrop\ton\tweb\n");
    file("utf8", "\xef\xbb\xbf# f\xc3\xbcr web\ndrop on web label \"f\xc3\xbcr\"");
    ck_assert_int_eq(run_in("rules check @empty"), 0);
    ck_assert_ptr_nonnull(strstr(said, "0 rules"));
    ck_assert_int_eq(run_in("rules check @crlf"), 0);
    ck_assert_ptr_nonnull(strstr(said, "2 rules"));
    ck_assert_int_eq(run_in("rules check @tabs @utf8"), 0);
    ck_assert_ptr_nonnull(strstr(said, "2 rules"));
}
END_TEST

START_TEST(spoofed_packets_are_told)
{
    static const char *const packets[] = { "udp from 10.0.2.16 to 10.0.2.17 mac 00:16:3e:00:00:01", "udp from 10.0.2.99 to 10.0.2.17 mac 00:16:3e:00:00:01", NULL };

    file("r", "accept\n");
    capture("c", packets);
    /* Blanks separate words here: a VIF with its MAC alone would do for who sent it, and its address comes from --from. */
    ck_assert_int_eq(run_in("rules test @r @c --vifs web.0=00:16:3e:00:00:01 --antispoof"), 0);
    ck_assert_ptr_nonnull(strstr(said, "2 packets: 2 accepted"));
    ck_assert_int_eq(run_in("rules test @r @c --vifs web.0=10.0.2.16 --antispoof --from web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "2 packets: 2 accepted"));
}
END_TEST

START_TEST(explain_names_the_rule)
{
    file("r", "count on web\ndrop in on web port 22 label ssh\n");
    ck_assert_int_eq(run_in("rules explain --file @r tcp to 10.0.2.16 port 22 in on web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "matches, and goes on: "));
    ck_assert_ptr_nonnull(strstr(said, "drop, by "));
    ck_assert_ptr_nonnull(strstr(said, "r:2: drop in on web port 22"));
    ck_assert_int_eq(run_in("rules explain --file @r tcp to 10.0.2.16 port 80 in on web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "accept, by policy in accept"));
    ck_assert_int_eq(run_in("rules explain --file @r tpc"), CLI_USAGE);
    ck_assert_ptr_nonnull(strstr(complained, "did you mean 'tcp'?"));
    ck_assert_int_eq(run_in("rules explain tcp"), CLI_NO_SUCH);
    ck_assert_int_eq(run_in("rules load @r"), 0);
    ck_assert_int_eq(run_in("rules explain tcp to 10.0.2.16 port 22 in on web.0"), 0);
    ck_assert_ptr_nonnull(strstr(said, "drop, by "));
}
END_TEST

START_TEST(diff_tells_what_comes_goes_and_moves)
{
    json_t *json;

    file("old", "set a { 10.0.0.1 }\ndrop port 1\ndrop port 2\ndrop port 3\naccept from a\n");
    file("new", "set a { 10.0.0.1 }\npolicy in drop\ndrop port 2\ndrop port 4\ndrop port 3\n\naccept   from a # same\ndrop port 1\n");
    file("sets", "set a { 10.0.0.2 }\ndrop port 1\ndrop port 2\ndrop port 3\naccept from a\n");
    ck_assert_int_eq(run_in("rules diff @old @new"), 0);
    ck_assert_str_eq(said, "- policy in accept\n+ policy in drop\n+ drop port 4\n~ drop port 1\n");
    ck_assert_int_eq(run_in("rules diff @old @old"), 0);
    ck_assert_str_eq(said, "no difference\n");
    ck_assert_int_eq(run_in("rules diff @new @old"), 0);
    ck_assert_ptr_nonnull(strstr(said, "- drop port 4\n"));
    ck_assert_int_eq(run_in("rules diff @old @sets"), 0);
    ck_assert_ptr_nonnull(strstr(said, "the same rules; elements of sets"));
    ck_assert_int_eq(run_in("rules diff @old --json"), 0);
    json = said_json();
    ck_assert_uint_eq(json_array_size(json_object_get(json, "changes")), 4);
    json_decref(json);
    ck_assert_int_eq(run_in("rules load @old"), 0);
    ck_assert_int_eq(run_in("rules diff @old"), 0);
    ck_assert_str_eq(said, "no difference\n");
}
END_TEST

Suite *suite_rules_cli(void);
Suite *suite_rules_cli(void)
{
    Suite *suite = suite_create("rules-cli");
    TCase *c = tcase_create("rules");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, check_tells_mistakes_and_what_would_be_right);
    tcase_add_test(c, test_tells_which_rule_decides_each_packet);
    tcase_add_test(c, our_own_captures_say_where_each_packet_was_seen);
    tcase_add_test(c, what_a_capture_does_not_say_is_assumed_aloud);
    tcase_add_test(c, damaged_captures_are_told);
    tcase_add_loop_test(c, clumsy_commands_get_one_clear_line, 0, (int)(sizeof(clumsy) / sizeof(clumsy[0])));
    tcase_add_test(c, files_of_other_systems_are_right);
    tcase_add_test(c, what_rules_cannot_read_is_malformed);
    tcase_add_test(c, spoofed_packets_are_told);
    tcase_add_test(c, explain_names_the_rule);
    tcase_add_test(c, diff_tells_what_comes_goes_and_moves);
    suite_add_tcase(suite, c);
    return suite;
}
