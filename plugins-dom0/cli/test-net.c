/* SPDX-License-Identifier: MIT */
/* Tests of `collet vif`, `nic`, `rules` (what talks to the hypervisor) and `flows`, run as main() runs them, against fake-net.c. */
#include "fake-collet.h"
#include "fake-net.h"
#include "network.h"
#include "test-run.h"

#include <check.h>
#include <errno.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
    setenv("COLLET_SOCKET", "/nonexistent/colletd.sock", 1);
    snprintf(path, sizeof(path), "/tmp/test-net-%d.rules", (int)getpid());
    fake_reset();
    fake_net_reset();
}

static void teardown(void)
{
    unlink(path);
    run_end();
}

static void rules_file(const char *text)
{
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
}

static int run_on_file(const char *before, const char *after)
{
    char line[256];

    snprintf(line, sizeof(line), "%s %s %s", before, path, after);
    return run(line);
}

#define said_has(text)      ck_assert_msg(strstr(said, text) != NULL, "%s", said)
#define said_not(text)      ck_assert_msg(strstr(said, text) == NULL, "%s", said)
#define complained_of(text) ck_assert_msg(strstr(complained, text) != NULL, "%s", complained)

static json_t *result(void)
{
    json_t *json = said_json();

    ck_assert_msg(json != NULL, "%s", said);
    return json;
}

/* ---- vif, nic ---- */

START_TEST(vifs_are_listed)
{
    json_t *json;

    ck_assert_int_eq(run("vif list"), 0);
    said_has("web.0   3  connected  nic0     00:16:3e:01:02:03   100        90        4  10.0.2.16, fec0::/64");
    said_has("db.0    5  broken     own3     00:16:3e:04:05:06     0         0        0  any");
    ck_assert_int_eq(run("vif list web"), 0);
    said_not("db.0");
    ck_assert_int_eq(run("vif list nobody"), 3);
    ck_assert_int_eq(run("vif list --json"), 0);
    json = result();
    ck_assert_uint_eq(json_array_size(json_object_get(json, "vifs")), 2);
    json_decref(json);
    fake_net.vif_count = 0;
    ck_assert_int_eq(run("vif list"), 0);
    ck_assert_str_eq(said, "no VIFs\n");
}
END_TEST

START_TEST(a_vif_tells_all_about_itself)
{
    json_t *json;
    int drops = 0;

    ck_assert_int_eq(run("vif show web.0"), 0);
    said_has("web.0 (3): connected, device 0 of domain 3, MAC 00:16:3e:01:02:03, on nic0");
    said_has("addresses: 10.0.2.16, fec0::/64; spoofing prevented");
    said_has("rate: 10.0 MiB/s, 500 packets/s");
    said_has("the guest takes: scatter-gather, TCPv4 segments");
    said_has("rule 3, spoofed 1");
    ck_assert_int_eq(run("vif show 5"), 0);
    said_has("broken: requests beyond the ring");
    said_has("spoofing allowed");
    ck_assert_int_eq(run("vif show wbe.0"), 3);
    complained_of("no VIF 'wbe.0'; did you mean web.0?");
    ck_assert_int_eq(run("vif show web.0 --json"), 0);
    json = result();
    ck_assert_int_eq(json_unpack(json, "{s:{s:{s:{s:i}}}}", "vif", "tx", "dropped", "rule", &drops), 0);
    ck_assert_int_eq(drops, 3);
    json_decref(json);
}
END_TEST

START_TEST(settings_of_a_vif_change_and_the_others_stay)
{
    struct collet_vif_settings *s = &fake_net.vifs[0].settings;

    ck_assert_int_eq(run("vif set web.0 --rate 2M --weight 300 --antispoof no"), 0);
    ck_assert_uint_eq(s->bytes_per_s, 2u << 20);
    ck_assert_uint_eq(s->weight, 300);
    ck_assert_uint_eq(s->packets_per_s, 500);
    ck_assert_uint_eq(s->addresses, 2);
    ck_assert_uint_eq(s->flags, COLLET_VIF_SPOOF_OK);
    ck_assert_int_eq(run("vif set web.0 --ip 10.1.0.0/16 --pps none --up no --network own9 --antispoof yes"), 0);
    ck_assert_uint_eq(s->addresses, 1);
    ck_assert_uint_eq(s->address[0].bits, 16);
    ck_assert_uint_eq(s->packets_per_s, 0);
    ck_assert_uint_eq(s->flags, COLLET_VIF_DOWN);
    ck_assert_uint_eq(s->segment, COLLET_SEGMENT_OWN + 9);
    ck_assert_int_eq(run("vif set web.0 --ip any --rate none --up yes"), 0);
    ck_assert_uint_eq(s->addresses, 0);
    ck_assert_uint_eq(s->bytes_per_s, 0);
    ck_assert_uint_eq(s->flags, 0);
}
END_TEST

START_TEST(bad_settings_change_nothing)
{
    static const char *const bad[] = { "--ip 10.0.0", "--ip 10.0.0.0/33", "--ip fec0::/129", "--ip ,", "--rate fast", "--rate 99999999999G", "--pps 0", "--weight 1001", "--network lan", "--network nic256",
                                       "--antispoof maybe", "--up perhaps", "", "--ip 1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9" };
    struct collet_vif_settings before = fake_net.vifs[0].settings;
    char line[256];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(line, sizeof(line), "vif set web.0 %s", bad[i]);
        ck_assert_msg(run(line) == 2, "%s: %s", line, complained);
    }
    ck_assert_mem_eq(&before, &fake_net.vifs[0].settings, sizeof(before));
}
END_TEST

START_TEST(cards_and_packet_schedulers)
{
    ck_assert_int_eq(run("nic list"), 0);
    said_has("nic0  virtio-net  52:54:00:12:34:56  up    1500       1    12        20        4  checksums");
    ck_assert_int_eq(run("nic sched list"), 0);
    said_has("*  round-robin");
    ck_assert_int_eq(run("nic sched use weighted"), 0);
    ck_assert_str_eq(fake_net.sched, "weighted");
    ck_assert_int_eq(run("nic sched use weigthed"), 3);
    complained_of("did you mean weighted?");
    fake_net.nic_count = 0;
    ck_assert_int_eq(run("nic list"), 0);
    said_has("drives no network card");
}
END_TEST

/* ---- rules ---- */

static const char two_rules[] = "drop in on web proto tcp to any port 22\naccept out on web.0\n";

START_TEST(rules_are_loaded_and_shown_with_their_counters)
{
    json_t *json, *rules;

    ck_assert_int_eq(run("rules show"), 0);
    said_has("no rules are in force");
    rules_file(two_rules);
    ck_assert_msg(run_on_file("rules load", "") == 0, "%s", complained);
    ck_assert_str_eq(said, "generation 1: 2 rules in force\n");
    ck_assert_uint_eq(fake_net.load.confirm_ms, 0);
    fake_net.stale_times = 3; /* others load meanwhile: it asks again */
    ck_assert_int_eq(run("rules show"), 0);
    said_has("generation 1: 2 rules, loaded 00:01:39 ago");
    said_has("port 22");
    said_has("(policy)");
    ck_assert_int_eq(run("rules show --used"), 0);
    said_not("port 22");
    ck_assert_int_eq(run("rules show --json"), 0);
    json = result();
    rules = json_object_get(json, "rules");
    ck_assert_uint_eq(json_array_size(rules), 2);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rules, 1), "packets")), 10);
    ck_assert_int_eq((int)json_integer_value(json_object_get(json_array_get(rules, 1), "line")), 2);
    json_decref(json);
}
END_TEST

START_TEST(mistakes_are_told_and_nothing_changes)
{
    json_t *json;

    rules_file("accept in on web proto tcpp\n");
    ck_assert_int_eq(run_on_file("rules load", ""), 1);
    complained_of(":1:");
    complained_of("the rules in force stay as they are");
    ck_assert_uint_eq(fake_net.generation, 0);
    ck_assert_int_eq(run_on_file("rules load", "--json"), 1);
    json = result();
    ck_assert_uint_eq(json_array_size(json_object_get(json, "errors")), 1);
    json_decref(json);
    ck_assert_int_eq(run("rules load /nonexistent/rules"), 1);
    rules_file(two_rules);
    fake_net.load_rc = -EBUSY;
    ck_assert_int_eq(run_on_file("rules load", ""), 1);
    ck_assert_int_eq(run_on_file("rules load", "--confirm soon"), 2);
    fake_net.load_rc = 0;
    ck_assert_int_eq(run_on_file("rules load", "--expect 7"), 1);
    ck_assert_int_eq(run_on_file("rules load", "--expect 0"), 0);
}
END_TEST

START_TEST(rules_are_confirmed_or_put_back)
{
    rules_file(two_rules);
    ck_assert_int_eq(run("rules confirm"), 1);
    complained_of("no set of rules waits");
    ck_assert_int_eq(run_on_file("rules load", "--confirm 60"), 0);
    said_has("put back in 60.0 s unless you say: collet rules confirm");
    ck_assert_uint_eq(fake_net.load.confirm_ms, 60000);
    ck_assert_int_eq(run("rules show"), 0);
    said_has("waits to be confirmed: in 60");
    ck_assert_int_eq(run("rules confirm 9"), 1);
    ck_assert_int_eq(run("rules confirm"), 0);
    ck_assert_int_eq(fake_net.confirms, 1);
    ck_assert_int_eq(run_on_file("rules load", "--confirm 0.5"), 0);
    ck_assert_int_eq(run("rules confirm --undo"), 0);
    ck_assert_int_eq(fake_net.undone, 1);
    ck_assert_int_eq(run("rules flush"), 0);
    ck_assert_uint_eq(fake_net.generation, 0);
    ck_assert_uint_eq(fake_net.set_bytes, 0);
    ck_assert_int_eq(run("rules kinds"), 0);
    said_has("limit           4      2  so many a second");
}
END_TEST

/* ---- flows ---- */

START_TEST(flows_are_shown_the_latest_first)
{
    json_t *json;

    ck_assert_int_eq(run("flows"), 0);
    said_has("web     tcp       10.0.2.16:40000  10.0.2.2:80   open");
    said_has("[fec0::]:1");
    said_has("icmp");
    said_has("--track on");
    ck_assert(strstr(said, "udp") < strstr(said, "tcp"));
    ck_assert_int_eq(run("flows web"), 0);
    said_not("udp");
    ck_assert_int_eq(run("flows --track on --room 1000"), 0);
    ck_assert(fake_net.flows_on);
    ck_assert_uint_eq(fake_net.flows_room, 1000);
    said_not("--track on");
    ck_assert_int_eq(run("flows --count 1"), 0);
    said_has("... and 2 more");
    ck_assert_int_eq(run("flows --json"), 0);
    json = result();
    ck_assert_uint_eq(json_array_size(json_object_get(json, "flows")), 3);
    json_decref(json);
    ck_assert_int_eq(run("flows --track perhaps"), 2);
    ck_assert_int_eq(run("flows nobody"), 3);
}
END_TEST

START_TEST(words_are_completed)
{
    ck_assert_int_eq(run("__complete words vif show w"), 0);
    ck_assert_str_eq(said, "web.0\n");
    ck_assert_int_eq(run("__complete words nic sched use w"), 0);
    ck_assert_str_eq(said, "weighted\n");
    ck_assert_int_eq(run("__complete words vif set web.0 --network n"), 0);
    ck_assert_str_eq(said, "nic0\n");
    ck_assert_int_eq(run("__complete words vif set web.0 --up y"), 0);
    ck_assert_str_eq(said, "yes\n");
    ck_assert_int_eq(run("__complete words rules lo"), 0);
    ck_assert_str_eq(said, "load\n");
}
END_TEST

Suite *suite_net(void);
Suite *suite_net(void)
{
    Suite *s = suite_create("net");
    TCase *t = tcase_create("net");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, vifs_are_listed);
    tcase_add_test(t, a_vif_tells_all_about_itself);
    tcase_add_test(t, settings_of_a_vif_change_and_the_others_stay);
    tcase_add_test(t, bad_settings_change_nothing);
    tcase_add_test(t, cards_and_packet_schedulers);
    tcase_add_test(t, rules_are_loaded_and_shown_with_their_counters);
    tcase_add_test(t, mistakes_are_told_and_nothing_changes);
    tcase_add_test(t, rules_are_confirmed_or_put_back);
    tcase_add_test(t, flows_are_shown_the_latest_first);
    tcase_add_test(t, words_are_completed);
    suite_add_tcase(s, t);
    return s;
}
