// SPDX-License-Identifier: MIT
/*
 * The data path under real concurrency: some threads are CPUs, each with netfronts of its own that send to each other and to the card, and give rounds; another one disconnects and connects VIFs and changes their
 * settings meanwhile. What was sent is what was received, dropped or sent by the card, to the frame; who was left alone got in order and whole what it was given; every slot has one answer, every page comes back, and a
 * ring that was disconnected is not written to. DATAPATH_SECONDS=n: longer than the usual 2; DATAPATH_SEED=n.
 */
// needs: vif.c tx.c rx.c nic.c switch.c turn.c cut.c sdk/vfr/packet.c sdk/vfr/reject.c sdk/vfr/antispoof.c vfr-rules/round-robin.c tests/unit/fakes-machine.c
#include "test-datapath.h"

#include <time.h>
#include <unistd.h>

enum { WORKERS = 4, EACH = 3, ALL = WORKERS * EACH }; /* the last VIF of each worker is disconnected and connected again and again */
enum { UP, GONE, FRESH }; /* a netfront: serves its rings; its backend has let go of them; they are new */

static struct guest *vif[ALL];
static uint32_t state[ALL];   /* atomic */
static uint32_t sequence[ALL], last_from[ALL][ALL]; /* of frames: sent by; what a receiver had last from a sender */
static uint64_t seen[ALL];
static bool stop, quiet;      /* atomic: nothing more is sent; and then all is over */
static uint64_t reconnects;
static unsigned int seed;

static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static bool reconnected(uint32_t i)
{
    return i % EACH == EACH - 1;
}

/* Half to others, half to the wire; some long ones: to those who take them whole, and to the card, for which they are cut. */
static void send_some(uint32_t i, uint8_t *frame, uint32_t *random)
{
    struct guest *g = vif[i];

    for (uint32_t n = next_random(random) % 12; n > 0 && g->put - g->seen + 8 < TX_PAGES; n--) {
        uint32_t to = next_random(random) % (2 * ALL), payload = 8 + next_random(random) % 1400;
        uint32_t length;

        if (to == i)
            continue;
        if ((to % 2 != 0 || to >= ALL) && payload < 200)
            payload = 5000;
        length = frame_make(frame, false, to < ALL ? vif[to]->mac : outside, g->mac, payload);
        put_be16(frame + 36, ++sequence[i]); /* in the port: the sum of the pseudo header does not know of it */
        put_be16(frame + 34, i);
        guest_put(g, frame, length, NETTXF_csum_blank | NETTXF_data_validated, payload > 1460 ? 1000 : 0, 2000, 40);
    }
    guest_push(g);
}

static void receive_all(uint32_t i, struct got *got)
{
    while (guest_receive(vif[i], got)) {
        uint32_t from = be16(got->data + 34), at = (be32(got->data + 38) - 0xfffff000) / 1000 * 1000;

        ck_assert_uint_lt(from, ALL);
        seen[i]++;
        ck_assert_mem_eq(got->data, vif[i]->mac, 6);
        ck_assert_mem_eq(got->data + 6, vif[from]->mac, 6);
        for (uint32_t n = 0; n + TCP4 < got->bytes; n += 97)
            ck_assert_uint_eq(got->data[TCP4 + n], (uint8_t)((at + n) * 7 + (at + n) / 251));
        /* In order: pieces of one frame have the same number. */
        ck_assert_int_ge((int16_t)(be16(got->data + 36) - last_from[i][from]), 0);
        last_from[i][from] = be16(got->data + 36);
    }
}

/* One netfront. */
static void front(uint32_t i, uint8_t *frame, struct got *got, uint32_t *random)
{
    struct guest *g = vif[i];

    if (__atomic_load_n(&state[i], __ATOMIC_ACQUIRE) == GONE) {
        receive_all(i, got); /* what was shown before */
        guest_rings_reset(g);
        memset(g->tx->ring, 0xa5, 1000);
        sched_yield();
        for (uint32_t n = 0; n < 1000; n++)
            ck_assert_uint_eq(((uint8_t *)g->tx->ring)[n], 0xa5);
        ck_assert_uint_eq(g->tx->rsp_prod + g->rx->rsp_prod, 0);
        guest_post(g, RX_PAGES);
        __atomic_store_n(&state[i], FRESH, __ATOMIC_RELEASE);
    }
    if (__atomic_load_n(&state[i], __ATOMIC_ACQUIRE) == FRESH)
        return;
    guest_answers(g);
    receive_all(i, got);
    if (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        send_some(i, frame, random);
}

static void *worker(void *arg)
{
    uint32_t cpu = (uint32_t)(uintptr_t)arg, random = seed + 77 * cpu + 1;
    uint8_t *frame = malloc(FRAME);
    struct got *got = malloc(sizeof(*got));

    fake_cpu_id = cpu;
    fake_vcpu = idle;
    while (!__atomic_load_n(&quiet, __ATOMIC_ACQUIRE)) {
        for (uint32_t i = cpu * EACH; i < (cpu + 1) * EACH; i++)
            front(i, frame, got, &random);
        __atomic_fetch_add(&now_ns, 3000, __ATOMIC_RELAXED);
        for (uint32_t n = 0; n < 4 && step(); n++)
            ;
        if (next_random(&random) % 8 == 0)
            netdev_interrupt(&card.dev);
        if (next_random(&random) % 16 == 0)
            sched_yield();
    }
    free(frame);
    free(got);
    return NULL;
}

static void reconnect(uint32_t i)
{
    uint32_t tries = 0;
    long rc;

    while ((rc = vif_disconnect(vif[i]->vif)) == -EINTR) {
        ck_assert_uint_lt(++tries, 10000000);
        step();
        sched_yield();
    }
    ck_assert_int_eq(rc, 0);
    __atomic_store_n(&state[i], GONE, __ATOMIC_RELEASE);
    while (__atomic_load_n(&state[i], __ATOMIC_ACQUIRE) != FRESH)
        step();
    ck_assert_int_eq(guest_connect(vif[i]), 0);
    __atomic_store_n(&state[i], UP, __ATOMIC_RELEASE);
    reconnects++;
}

/* All that was taken has been answered, and nothing is on its way. */
static bool at_rest(void)
{
    for (uint32_t i = 0; i < ALL; i++)
        if (guest_info(vif[i]).in_flight != 0)
            return false;
    return __atomic_load_n(&nics[0]->in_flight, __ATOMIC_SEQ_CST) == 0;
}

START_TEST(all_at_once)
{
    const char *seconds = getenv("DATAPATH_SECONDS"), *given = getenv("DATAPATH_SEED");
    time_t until = time(NULL) + (seconds != NULL ? atoi(seconds) : 2);
    uint64_t sent = 0, received = 0, dropped = 0, lost;
    struct collet_net_counters out;
    pthread_t threads[WORKERS];

    seed = given != NULL ? (unsigned int)atoi(given) : (unsigned int)time(NULL);
    fprintf(stderr, "seed %u\n", seed);
    world_begin(WORKERS + 1);
    card.room = 24;
    card.dev.can_segment4 = false;
    fake_cpu_id = WORKERS;
    for (uint32_t i = 0; i < ALL; i++)
        vif[i] = guest_on(0, i % 2 != 0 ? COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 : 0);
    for (uintptr_t i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    for (uint32_t n = 0; time(NULL) < until || (reconnects < 50 && time(NULL) < until + 200); n++) {
        uint32_t i = n % WORKERS * EACH + EACH - 1;

        if (n % 3 == 0)
            guest_set(vif[i], &(struct collet_vif_settings){.weight = 1 + n % 200, .packets_per_s = n % 7 == 0 ? 100000 : 0});
        reconnect(i);
        step();
        usleep(200);
    }
    for (uint32_t i = EACH - 1; i < ALL; i += EACH)
        guest_set(vif[i], &(struct collet_vif_settings){0});
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (uint32_t n = 0; n < 100 || (!at_rest() && n < 20000); n++) {
        step();
        usleep(1000);
    }
    __atomic_store_n(&quiet, true, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < ALL; i++) {
        struct collet_vif_info info = guest_info(vif[i]);
        static struct got got;

        receive_all(i, &got);
        ck_assert_uint_eq(info.in_flight, 0);
        ck_assert_msg(guest_unanswered(vif[i]) == 0, "vif %u: %u slots of its ring were never answered", i, vif[i]->put - vif[i]->seen);
        ck_assert_uint_eq(vif[i]->errors, 0);
        ck_assert_uint_eq(all_drops(info.tx), 0);
        sent += info.tx.packets;
        received += info.rx.packets;
        dropped += all_drops(info.rx);
        ck_assert_uint_eq(all_drops(info.rx), info.rx.dropped[COLLET_NET_DROP_NO_BUFFER] + info.rx.dropped[COLLET_NET_DROP_NOT_CONNECTED]);
        if (reconnected(i)) /* what was not shown when it was disconnected is lost with its ring */
            ck_assert_uint_le(seen[i], info.rx.packets);
        else
            ck_assert_uint_eq(seen[i], info.rx.packets);
    }
    out = card_info().tx;
    lost = sent - received - dropped - out.packets;
    fprintf(stderr, "%llu frames sent, %llu received, %llu dropped, %llu to the wire; %llu times connected anew, with %llu frames that waited for the card\n", (unsigned long long)sent, (unsigned long long)received,
            (unsigned long long)dropped, (unsigned long long)out.packets, (unsigned long long)reconnects, (unsigned long long)lost);
    ck_assert_uint_le(lost, reconnects);
    ck_assert_uint_eq(all_drops(out), 0);
    ck_assert_uint_ge(card.segments, out.segments);
    ck_assert_uint_le(card.segments, out.segments + 5 * lost);
    ck_assert_uint_eq(pinned(), 2 * ALL);
    ck_assert_uint_gt(reconnects, 20);
    fake_cpu_id = 0;
    world_end();
}
END_TEST

Suite *suite_datapath_threads(void);
Suite *suite_datapath_threads(void)
{
    Suite *s = suite_create("datapath-threads");
    TCase *t = tcase_create("threads");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, all_at_once);
    suite_add_tcase(s, t);
    return s;
}
