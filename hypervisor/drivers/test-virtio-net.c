// SPDX-License-Identifier: MIT
/*
 * The driver of network cards against a device in memory behind the functions of virtio.h: frames go both ways with what is left to be done to them, in one buffer or many; features, pairs of queues and orders are
 * as the device offers them; lies cost a frame and a count; interrupts for what was sent are few; a reset gives everything back once, also while other CPUs send and receive.
 */
// needs: virtio-net.c virtio-net-transmit.c virtio-net-receive.c virtio-queue.c tests/unit/fakes-machine.c

#include "virtio-net.h"

#include "alloc.h"
#include "apic.h"
#include "virtio-net-card.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUES_MAX   17u
#define WIRE_BYTES   70000u
#define FRAMES_MAX   4096u
#define NO_INTERRUPT 1u

static struct {
    uint64_t offered;
    uint8_t config[16];
    uint16_t queue_count, queue_size, msix_entries;
    bool ready, sticks, dead, mute; /* sticks: reset never ends; mute: sends and answers nothing */
    uint8_t answer;                 /* to orders */
    struct virtio_queue *queues[QUEUES_MAX];
    uint16_t next[QUEUES_MAX], entries[QUEUES_MAX], config_entry;
    uint32_t interrupts[QUEUES_MAX];
    uint64_t features;
    uint32_t orders, pairs_ordered, promiscuous, resets, sent;
    uint8_t wire[WIRE_BYTES]; /* the last frame that was sent, and its header */
    uint32_t wire_bytes;
    struct virtio_net_header header;
    pthread_mutex_t lock;
    uint16_t notify[QUEUES_MAX];
} device;
static uint64_t now_ns;
static struct netdev *card;
static uint32_t card_count, woken, rooms;
static struct timer *timers[MAX_CPUS];

static struct {
    void (*handler)(void *arg);
    void *arg;
} vectors[8];
static int vector_count;
static void *kept[64]; /* cards are for good */
static uint32_t kept_count;

static uint8_t got[WIRE_BYTES];
static uint32_t got_bytes, got_pieces, got_count;
static struct net_offload got_offload;
static uint64_t frames_received;

struct pci_function pci_functions[PCI_FUNCTIONS_MAX];
uint32_t pci_function_count;

/* ---- the device ---- */

static void *device_virt(uint64_t maddr)
{
    return (void *)(maddr + IMAGE_VIRT);
}

static bool event_index(void)
{
    return device.features & VIRTIO_FEATURE_EVENT_INDEX;
}

/* The device shows that it has used a chain, and interrupts if that is wanted (2.7.7.2). */
static void device_use(uint32_t index, const uint16_t *ids, const uint32_t *bytes, uint32_t count)
{
    struct virtio_queue *q = device.queues[index];
    uint16_t old = q->used->index, new = (uint16_t)(old + count), event;
    uint32_t i;

    for (i = 0; i < count; i++) {
        q->used->ring[(uint16_t)(old + i) % q->size].id = ids[i];
        q->used->ring[(uint16_t)(old + i) % q->size].bytes = bytes[i];
    }
    __atomic_store_n(&q->used->index, new, __ATOMIC_SEQ_CST);
    event = *(volatile uint16_t *)&q->available->ring[q->size];
    if (event_index() ? (uint16_t)(new - event - 1) < (uint16_t)(new - old) : !(READ_ONCE(q->available->flags) & NO_INTERRUPT))
        device.interrupts[index]++;
}

static struct virtio_descriptor *device_chain(struct virtio_queue *q, uint16_t head, struct virtio_descriptor **table)
{
    struct virtio_descriptor *d = &q->descriptors[head];

    *table = q->descriptors;
    if (!(d->flags & VIRTIO_DESCRIPTOR_INDIRECT))
        return d;
    ck_assert_uint_eq(d->bytes % sizeof(*d), 0);
    *table = device_virt(d->maddr);
    return *table;
}

static void device_send(uint32_t index, uint16_t head)
{
    struct virtio_queue *q = device.queues[index];
    struct virtio_descriptor *table, *d = device_chain(q, head, &table);
    uint32_t zero = 0, seen = 0;

    ck_assert_uint_eq(d->bytes, sizeof(device.header));
    memcpy(&device.header, device_virt(d->maddr), sizeof(device.header));
    device.wire_bytes = 0;
    do {
        ck_assert(d->flags & VIRTIO_DESCRIPTOR_NEXT);
        d = &table[d->next];
        ck_assert(!(d->flags & VIRTIO_DESCRIPTOR_WRITE));
        memcpy(device.wire + device.wire_bytes, device_virt(d->maddr), d->bytes);
        device.wire_bytes += d->bytes;
        seen++;
    } while (d->flags & VIRTIO_DESCRIPTOR_NEXT);
    if (q->descriptors[head].flags & VIRTIO_DESCRIPTOR_INDIRECT)
        ck_assert_uint_eq(q->descriptors[head].bytes, (seen + 1) * sizeof(*d));
    device.sent++;
    device_use(index, &head, &zero, 1);
}

static void device_order(uint32_t index, uint16_t head)
{
    struct virtio_queue *q = device.queues[index];
    struct virtio_descriptor *d = &q->descriptors[head];
    uint8_t *order = device_virt(d->maddr), *data = device_virt(q->descriptors[d->next].maddr),
            *answer = device_virt(q->descriptors[q->descriptors[d->next].next].maddr);
    uint32_t one = 1;

    device.orders++;
    if (order[0] == 0 && order[1] == 0)
        device.promiscuous = data[0];
    else if (order[0] == 4 && order[1] == 0)
        device.pairs_ordered = data[0] | data[1] << 8;
    *answer = device.answer;
    device_use(index, &head, &one, 1);
}

static uint32_t control_index(void)
{
    return device.features & FEATURE_MQ ? 2u * device.config[8] : 2;
}

static void device_run(void)
{
    uint32_t i;

    pthread_mutex_lock(&device.lock);
    for (i = 0; device.ready && !device.mute && i < QUEUES_MAX; i++) {
        struct virtio_queue *q = device.queues[i];

        while (q != NULL && (i % 2 == 1 || i == control_index()) && device.next[i] != __atomic_load_n(&q->available->index, __ATOMIC_ACQUIRE)) {
            uint16_t head = q->available->ring[device.next[i]++ % q->size];

            i == control_index() ? device_order(i, head) : device_send(i, head);
        }
    }
    pthread_mutex_unlock(&device.lock);
}

/* A frame comes from the wire for a pair, in buffers of which each takes `part` bytes. False: the card has too few buffers. */
static bool device_receive(uint32_t pair, const struct virtio_net_header *header, const uint8_t *data, uint32_t bytes, uint32_t part)
{
    struct virtio_queue *q;
    struct virtio_net_header own = *header;
    uint16_t ids[64];
    uint32_t lengths[64], n = 0, at = 0, all = bytes + sizeof(own);
    uint8_t first[WIRE_BYTES + 16], *buffers[64];
    bool done = false;

    memcpy(first + sizeof(own), data, bytes);
    pthread_mutex_lock(&device.lock);
    q = device.queues[2 * pair];
    while (device.ready && !done) {
        if (device.next[2 * pair] == (uint16_t)(__atomic_load_n(&q->available->index, __ATOMIC_ACQUIRE) - n))
            break;
        ids[n] = q->available->ring[(uint16_t)(device.next[2 * pair] + n) % q->size];
        ck_assert_uint_lt(ids[n], q->size);
        ck_assert_uint_eq(q->descriptors[ids[n]].bytes, 4096);
        ck_assert(q->descriptors[ids[n]].flags == VIRTIO_DESCRIPTOR_WRITE);
        buffers[n] = device_virt(q->descriptors[ids[n]].maddr);
        lengths[n] = all - at < part ? all - at : part;
        at += lengths[n++];
        done = at == all;
    }
    if (done) {
        if (own.buffers == 0)
            own.buffers = (uint16_t)n;
        else if (own.buffers == 0xffff)
            own.buffers = 0;
        memcpy(first, &own, sizeof(own));
        for (at = 0, all = 0; at < n; all += lengths[at++])
            memcpy(buffers[at], first + all, lengths[at]);
        device.next[2 * pair] = (uint16_t)(device.next[2 * pair] + n);
        device_use(2 * pair, ids, lengths, n);
    }
    pthread_mutex_unlock(&device.lock);
    return done;
}

int virtio_map(struct virtio_device *v, const struct pci_function *f)
{
    v->pci = f;
    v->msix.entries = device.msix_entries;
    return 0;
}
int virtio_stop(struct virtio_device *v)
{
    (void)v;
    pthread_mutex_lock(&device.lock);
    device.ready = false;
    device.resets++;
    memset(device.queues, 0, sizeof(device.queues));
    memset(device.next, 0, sizeof(device.next));
    pthread_mutex_unlock(&device.lock);
    return device.sticks ? -EIO : 0;
}
int virtio_begin(struct virtio_device *v, uint64_t wanted)
{
    if (virtio_stop(v) != 0)
        return -EIO;
    v->features = device.features = device.offered & wanted;
    return device.dead ? -EIO : 0;
}
void virtio_ready(struct virtio_device *v)
{
    (void)v;
    pthread_mutex_lock(&device.lock);
    device.ready = true;
    pthread_mutex_unlock(&device.lock);
}
void virtio_give_up(struct virtio_device *v)
{
    (void)v;
}
bool virtio_wants_reset(struct virtio_device *v)
{
    (void)v;
    return false;
}
uint16_t virtio_queue_count(struct virtio_device *v)
{
    (void)v;
    return device.queue_count;
}
uint16_t virtio_queue_size(struct virtio_device *v, uint16_t index)
{
    (void)v;
    return index < device.queue_count ? device.queue_size : 0;
}
int virtio_queue_start(struct virtio_device *v, uint16_t index, struct virtio_queue *q, uint16_t entry)
{
    (void)v;
    ck_assert_uint_lt(index, device.queue_count);
    q->notify = &device.notify[index];
    q->index = index;
    device.queues[index] = q;
    device.entries[index] = entry;
    return 0;
}
int virtio_config_vector(struct virtio_device *v, uint16_t entry)
{
    (void)v;
    device.config_entry = entry;
    return 0;
}
uint8_t virtio_config8(struct virtio_device *v, uint32_t offset)
{
    (void)v;
    return device.config[offset];
}
uint16_t virtio_config16(struct virtio_device *v, uint32_t offset)
{
    return (uint16_t)(virtio_config8(v, offset) | virtio_config8(v, offset + 1) << 8);
}
void pci_enable(const struct pci_function *f)
{
    (void)f;
}
void pci_msix_route(struct pci_msix *msix, uint32_t entry, uint32_t cpu, uint8_t vector)
{
    ck_assert_uint_lt(entry, msix->entries);
    ck_assert_uint_lt(cpu, cpu_count);
    ck_assert_uint_lt(vector, vector_count);
}
int irq_vector_alloc(void (*handler)(void *arg), void *arg)
{
    ck_assert_int_lt(vector_count, 8);
    vectors[vector_count].handler = handler;
    vectors[vector_count].arg = kept[kept_count++] = arg;
    return vector_count++;
}
uint64_t clock_now_ns(void)
{
    device_run(); /* while somebody waits, the device works */
    return __atomic_add_fetch(&now_ns, 1000000, __ATOMIC_RELAXED);
}
void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *timer = (struct timer){ .handler = handler, .arg = arg, .cpu = cpu };
    timers[cpu] = timer;
}
void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
}

/* ---- the core ---- */

static bool register_fails;

int netdev_register(struct netdev *dev)
{
    if (register_fails)
        return -ENOMEM;
    card = dev;
    card_count++;
    return 0;
}
void netdev_receive(struct netdev *dev, const struct net_segment *pieces, uint32_t count, uint32_t bytes, const struct net_offload *offload)
{
    static _Thread_local uint8_t frame[WIRE_BYTES];
    uint32_t i, at = 0;

    ck_assert_ptr_eq(dev, card);
    for (i = 0; i < count; i++) {
        memcpy(frame + at, device_virt(pieces[i].maddr), pieces[i].bytes);
        at += pieces[i].bytes;
    }
    ck_assert_uint_eq(at, bytes);
    ck_assert_uint_ge(pieces[0].bytes, bytes < 256 ? bytes : 256);
    memcpy(got, frame, bytes);
    got_bytes = bytes;
    got_pieces = count;
    got_offload = *offload;
    got_count++;
    __atomic_fetch_add(&frames_received, 1, __ATOMIC_SEQ_CST);
}
void netdev_interrupt(struct netdev *dev)
{
    ck_assert_ptr_eq(dev, card);
    woken++;
}
void netdev_room(struct netdev *dev)
{
    ck_assert_ptr_eq(dev, card);
    __atomic_fetch_add(&rooms, 1, __ATOMIC_SEQ_CST);
}

/* ---- helpers ---- */

static struct netdev_frame frames[FRAMES_MAX];
static struct net_segment segments[FRAMES_MAX][NET_SEGMENTS_MAX];
static uint32_t ends[FRAMES_MAX];
static int status_of[FRAMES_MAX];
static uint8_t payload[WIRE_BYTES];

static void frame_sent(struct netdev_frame *frame, int status)
{
    status_of[frame - frames] = status;
    __atomic_fetch_add(&ends[frame - frames], 1, __ATOMIC_SEQ_CST);
}

static void begin(uint64_t without, uint8_t pairs, uint16_t entries)
{
    uint32_t i;

    memset(&device, 0, sizeof(device));
    pthread_mutex_init(&device.lock, NULL);
    device.offered = ~0ull & ~without;
    device.queue_count = (uint16_t)(2 * pairs + 1);
    device.queue_size = 256;
    device.msix_entries = entries;
    memcpy(device.config, (const uint8_t[16]){ 0x52, 0x54, 0, 1, 2, 3, 1, 0, pairs, 0, 0xdc, 5 }, 16);
    memset(ends, 0, sizeof(ends));
    for (i = 0; i < WIRE_BYTES; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    pci_functions[0] = (struct pci_function){ .vendor = 0x1af4, .device = 0x1041 };
    pci_function_count = 1;
    card = NULL;
    card_count = woken = rooms = got_count = 0;
    got_bytes = 0;
    vector_count = 0;
    now_ns = 0;
    cpu_count = 4;
    fake_cpu_id = 0;
    register_fails = false;
}

/* Frame n: `bytes` of the payload in pieces of `part`. */
static struct netdev_frame *frame(uint32_t n, uint32_t bytes, uint32_t part)
{
    uint32_t at = 0, count = 0;

    while (at < bytes) {
        uint32_t size = bytes - at < part ? bytes - at : part;

        segments[n][count++] = (struct net_segment){ .maddr = virt_to_maddr(payload + at), .bytes = size };
        at += size;
    }
    frames[n] = (struct netdev_frame){ .segments = segments[n], .segment_count = count, .bytes = bytes, .sent = frame_sent };
    return &frames[n];
}

static int transmit(uint32_t n, uint32_t bytes, uint32_t part)
{
    return card->ops->transmit(card, frame(n, bytes, part));
}

static bool receive(const struct virtio_net_header *header, uint32_t bytes, uint32_t part)
{
    bool done = device_receive(0, header, payload, bytes, part);

    while (card->ops->poll(card, 64))
        ;
    return done;
}

static const struct virtio_net_header plain;

/* ---- tests ---- */

START_TEST(a_card_tells_what_it_is)
{
    begin(0, 8, 64);
    virtio_net_init();
    ck_assert_uint_eq(card_count, 1);
    ck_assert_int_eq(memcmp(card->mac, device.config, 6), 0);
    ck_assert_uint_eq(card->mtu, 1500);
    ck_assert_uint_eq(card->queues, 4); /* as many pairs as CPUs */
    ck_assert_uint_eq(card->depth, 4 * 256);
    ck_assert(card->can_sum && card->can_segment4 && card->can_segment6 && card->link);
    ck_assert_uint_eq(device.promiscuous, 1);
    ck_assert_uint_eq(device.pairs_ordered, 4);
    ck_assert_uint_eq(device.entries[6], 3);
    ck_assert_uint_eq(device.entries[7], 3);
    ck_assert_uint_eq(device.entries[16], VIRTIO_NO_VECTOR);
    ck_assert_uint_eq(device.config_entry, 4);
    ck_assert_ptr_null(device.queues[8]);
    ck_assert_uint_eq(device.queues[0]->available->index, 256);
}
END_TEST

START_TEST(a_poor_card_is_used_as_it_is)
{
    begin(~VIRTIO_FEATURE_VERSION_1, 1, 1);
    device.queue_count = 2;
    virtio_net_init();
    ck_assert_uint_eq(card_count, 1);
    ck_assert_uint_eq(card->queues, 1);
    ck_assert_uint_eq(card->depth, 8); /* slots in the queue's own table */
    ck_assert(!card->can_sum && !card->can_segment4 && !card->can_segment6 && card->link);
    ck_assert_uint_eq(card->mac[0], 2); /* one of our own */
    ck_assert_uint_eq(card->mtu, 1500);
    ck_assert_uint_eq(device.orders, 0);
    fake_cpu_id = 3; /* every CPU uses the one pair */
    ck_assert_int_eq(transmit(0, 3000, 150), 0);
    card->ops->kick(card);
    device_run();
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_uint_eq(device.wire_bytes, 3000);
    ck_assert_int_eq(memcmp(device.wire, payload, 3000), 0);
    ck_assert(receive(&plain, 1514, 4096));
    ck_assert_uint_eq(got_bytes, 1514);
    vectors[0].handler(vectors[0].arg);
    ck_assert_uint_eq(woken, 1);
}
END_TEST

START_TEST(what_hangs_on_a_feature_that_is_not_offered_is_left_alone)
{
    begin(FEATURE_CSUM | FEATURE_MRG_RXBUF | FEATURE_CTRL_VQ, 4, 8);
    virtio_net_init();
    ck_assert_uint_eq(device.features & (FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6 | FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6 | FEATURE_MQ | FEATURE_CTRL_RX), 0);
    ck_assert(device.features & FEATURE_GUEST_CSUM);
    ck_assert_uint_eq(card->queues, 1);
    begin(0, 4, 3); /* interrupts for two pairs and the changes */
    virtio_net_init();
    ck_assert_uint_eq(card->queues, 2);
    ck_assert_uint_eq(device.pairs_ordered, 2);
    begin(0, 4, 8);
    cpu_count = 1;
    virtio_net_init();
    ck_assert_uint_eq(card->queues, 1);
    ck_assert_uint_eq(device.entries[2], VIRTIO_NO_VECTOR); /* orders go by the third queue then */
}
END_TEST

START_TEST(cards_that_cannot_be_used_are_left_out)
{
    begin(0, 4, 5);
    device.dead = true;
    virtio_net_init();
    begin(FEATURE_MRG_RXBUF, 4, 5);
    device.config[11] = 0x22; /* frames of 8 KiB, and each in one buffer */
    virtio_net_init();
    begin(0, 4, 5);
    device.queue_size = 0;
    virtio_net_init();
    begin(0, 4, 5);
    device.queue_size = 16; /* no frame would fit */
    virtio_net_init();
    begin(0, 4, 5);
    device.mute = true; /* the order for several pairs is not answered */
    virtio_net_init();
    begin(0, 4, 5);
    register_fails = true;
    virtio_net_init();
    begin(0, 4, 5);
    pci_functions[0].device = 0x1042; /* a disk */
    virtio_net_init();
    ck_assert_ptr_null(card);
    begin(0, 1, 5);
    device.answer = 1; /* not promiscuous: less than wished, but a card */
    virtio_net_init();
    ck_assert_ptr_nonnull(card);
}
END_TEST

START_TEST(frames_are_sent_with_what_is_left_to_be_done)
{
    begin(0, 2, 3);
    virtio_net_init();
    ck_assert_int_eq(transmit(0, 60, 60), 0);
    card->ops->kick(card);
    device_run();
    ck_assert_uint_eq(device.wire_bytes, 60);
    ck_assert_uint_eq(device.header.flags | device.header.segmentation | device.header.header_bytes, 0);
    ck_assert_uint_eq(ends[0], 0); /* told in poll only */
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_int_eq(status_of[0], 0);

    frame(1, 65550, 3300)->offload = (struct net_offload){
        .sum_wanted = true, .sum_start = 34, .sum_offset = 16, .segmentation = NET_SEGMENTATION_TCP4, .segment_bytes = 1448, .header_bytes = 66
    };
    fake_cpu_id = 1;
    ck_assert_int_eq(card->ops->transmit(card, &frames[1]), 0);
    card->ops->kick(card);
    device_run();
    ck_assert_uint_eq(device.wire_bytes, 65550);
    ck_assert_int_eq(memcmp(device.wire, payload, 65550), 0);
    ck_assert_int_eq(memcmp(&device.header, &(const struct virtio_net_header){ 1, 1, 66, 1448, 34, 16, 0 }, sizeof(device.header)), 0);
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[1], 1);
    frames[1].offload.segmentation = NET_SEGMENTATION_TCP6;
    ck_assert_int_eq(card->ops->transmit(card, &frames[1]), 0);
    card->ops->kick(card);
    device_run();
    ck_assert_uint_eq(device.header.segmentation, 4);
}
END_TEST

START_TEST(what_a_card_cannot_send_is_refused)
{
    begin(FEATURE_HOST_TSO6, 1, 3);
    virtio_net_init();
    frame(0, 100, 100)->segment_count = 21;
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE);
    frame(0, 100, 100)->segment_count = 0;
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE);
    frame(0, 100, 100)->bytes = 65551;
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE);
    frame(0, 100, 100)->offload = (struct net_offload){ .sum_wanted = true, .segmentation = NET_SEGMENTATION_TCP6 };
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE);
    frame(0, 100, 100)->offload = (struct net_offload){ .segmentation = NET_SEGMENTATION_TCP4 };
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE); /* segments without sums */
    begin(FEATURE_CSUM, 1, 3);
    virtio_net_init();
    frame(0, 100, 100)->offload = (struct net_offload){ .sum_wanted = true };
    ck_assert_int_eq(card->ops->transmit(card, &frames[0]), -EMSGSIZE);
    ck_assert_uint_eq(ends[0], 0);
}
END_TEST

START_TEST(frames_are_received_in_one_buffer_or_many)
{
    uint32_t n;

    begin(0, 1, 3);
    virtio_net_init();
    for (n = 0; n < 1000; n++) {
        payload[20] = (uint8_t)n;
        ck_assert(receive(&plain, 60 + n, 4096));
        ck_assert_uint_eq(got_count, n + 1);
        ck_assert_uint_eq(got_bytes, 60 + n);
        ck_assert_int_eq(memcmp(got, payload, 60 + n), 0);
        ck_assert(!got_offload.sum_wanted && !got_offload.sum_good && got_offload.segmentation == 0);
    }
    for (n = 0; n < 100; n++) {
        const struct virtio_net_header big = { 1, 1, 66, 1448, 34, 16, 0 };

        ck_assert(receive(&big, 65550, 4096));
        ck_assert_uint_eq(got_bytes, 65550);
        ck_assert_uint_eq(got_pieces, 17);
        ck_assert_int_eq(memcmp(got, payload, 65550), 0);
        ck_assert(got_offload.sum_wanted && got_offload.segmentation == NET_SEGMENTATION_TCP4);
        ck_assert_uint_eq(got_offload.sum_start, 34);
        ck_assert_uint_eq(got_offload.segment_bytes, 1448);
        ck_assert_uint_eq(got_offload.header_bytes, 66);
    }
    ck_assert(receive(&(const struct virtio_net_header){ .flags = 2 }, 60, 4096));
    ck_assert(got_offload.sum_good && !got_offload.sum_wanted);
    ck_assert(receive(&(const struct virtio_net_header){ 1, 0x84, 60000, 1000, 34, 16, 0 }, 5000, 4096));
    ck_assert_uint_eq(got_offload.segmentation, NET_SEGMENTATION_TCP6);
    ck_assert_uint_eq(got_offload.header_bytes, 0); /* longer than the frame */
    ck_assert_uint_eq(card->lies, 0);
}
END_TEST

START_TEST(a_poll_takes_no_more_than_it_may)
{
    uint32_t i;

    begin(0, 1, 3);
    virtio_net_init();
    for (i = 0; i < 100; i++)
        ck_assert(device_receive(0, &plain, payload, 60, 4096));
    ck_assert(card->ops->poll(card, 30));
    ck_assert_uint_eq(got_count, 30);
    ck_assert(card->ops->poll(card, 60));
    ck_assert_uint_eq(got_count, 90);
    ck_assert(!card->ops->poll(card, 60));
    ck_assert_uint_eq(got_count, 100);
    i = device.interrupts[0];
    ck_assert_uint_eq(i, 1); /* for the first; the others came while nothing was asked for */
    ck_assert(device_receive(0, &plain, payload, 60, 4096));
    ck_assert_uint_eq(device.interrupts[0], 2);
    while (device_receive(0, &plain, payload, 60, 4096))
        i++;
    ck_assert_uint_eq(i, 256); /* all buffers are the device's when nobody has taken any */
    while (card->ops->poll(card, 64))
        ;
    ck_assert_uint_eq(got_count, 356);
}
END_TEST

static void bad_frame(const struct virtio_net_header *header, uint32_t bytes, uint32_t part)
{
    uint64_t lies = card->lies, dropped = card->receive_dropped;
    uint32_t before = got_count;

    ck_assert(receive(header, bytes, part));
    ck_assert_uint_eq(got_count, before);
    ck_assert_uint_gt(card->lies, lies);
    ck_assert_uint_gt(card->receive_dropped, dropped);
}

START_TEST(lies_about_frames_cost_the_frame)
{
    struct virtio_queue *q;
    uint32_t i;

    begin(FEATURE_GUEST_TSO6, 1, 3);
    virtio_net_init();
    for (i = 0; i < 300; i++) {
        bad_frame(&plain, 2000, 100);                                                /* many small buffers: headers not in the first */
        bad_frame(&(const struct virtio_net_header){ .buffers = 9 }, 60, 4096);      /* more than there are */
        bad_frame(&(const struct virtio_net_header){ .buffers = 0xffff }, 60, 4096); /* none */
        bad_frame(&plain, 13, 4096);                                                 /* less than an Ethernet header */
        bad_frame(&(const struct virtio_net_header){ .flags = 1, .sum_start = 50, .sum_offset = 9 }, 60, 4096);
        bad_frame(&(const struct virtio_net_header){ .flags = 1, .sum_start = 0xffff, .sum_offset = 0xffff }, 60, 4096);
        bad_frame(&(const struct virtio_net_header){ .flags = 1, .segmentation = 1 }, 60, 4096); /* segments of nothing */
        bad_frame(&(const struct virtio_net_header){ .segmentation = 1, .segment_bytes = 1000 }, 2000, 4096);
        bad_frame(&(const struct virtio_net_header){ .flags = 1, .segmentation = 4, .segment_bytes = 1000 }, 2000, 4096); /* not agreed on */
        bad_frame(&(const struct virtio_net_header){ .flags = 1, .segmentation = 3, .segment_bytes = 1000 }, 2000, 4096);
        bad_frame(&(const struct virtio_net_header){ 0 }, 66000, 4096);
    }
    q = device.queues[0];
    ck_assert(device_receive(0, &plain, payload, 60, 4096));
    q->used->ring[(uint16_t)(q->used->index - 1) % q->size].bytes = 5000; /* past the page */
    ck_assert(!card->ops->poll(card, 64));
    q->used->ring[q->used->index++ % q->size].id = 99999;
    ck_assert(!card->ops->poll(card, 64));
    ck_assert(receive(&plain, 60, 4096)); /* every buffer is in its place still */
    ck_assert_uint_eq(got_count, 1);
    ck_assert_uint_eq((uint16_t)(q->available->index - q->used->index + 1), 256); /* one entry was invented */
    q->used->index += 3000;
    ck_assert(!card->ops->poll(card, 64));
    ck_assert(!device_receive(0, &plain, payload, 60, 4096) || !card->ops->poll(card, 64));
    ck_assert_uint_eq(got_count, 1);
    ck_assert_int_eq(card->ops->reset(card), 0);
    ck_assert(receive(&plain, 60, 4096));
    ck_assert_uint_eq(got_count, 2);
}
END_TEST

START_TEST(lies_about_what_was_sent_are_counted)
{
    struct virtio_queue *q;

    begin(0, 1, 3);
    virtio_net_init();
    q = device.queues[1];
    device.mute = true;
    ck_assert_int_eq(transmit(0, 60, 60), 0);
    card->ops->kick(card);
    q->used->ring[q->used->index++ % q->size].id = 7; /* nothing is there */
    q->used->ring[q->used->index++ % q->size].id = 70000;
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(card->lies, 2);
    ck_assert(!card->wants_reset);
    q->used->index += 30000;
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(card->lies, 3);
    ck_assert(card->wants_reset);
    ck_assert_int_eq(transmit(1, 60, 60), -ENOSPC);
    ck_assert_uint_eq(ends[0], 0);
    device.mute = false;
    ck_assert_int_eq(card->ops->reset(card), 0);
    ck_assert(!card->wants_reset);
    ck_assert_uint_eq(rooms, 1);
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_int_eq(status_of[0], -EIO);
    ck_assert_int_eq(transmit(1, 60, 60), 0);
    card->ops->kick(card);
    device_run();
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[1], 1);
}
END_TEST

/* 4,000 frames, eight a kick: polled as a core does that looks once a turn. */
START_TEST(interrupts_for_what_was_sent_are_few)
{
    uint32_t i, event;

    for (event = 0; event < 2; event++) {
        begin(event ? 0 : VIRTIO_FEATURE_EVENT_INDEX, 1, 3);
        virtio_net_init();
        for (i = 0; i < 4000; i++) {
            ck_assert_int_eq(transmit(i, 60, 60), 0);
            if (i % 8 != 7)
                continue;
            card->ops->kick(card);
            device_run();
            card->ops->poll(card, 32);
        }
        for (i = 0; i < 4000; i++)
            ck_assert_uint_eq(ends[i], 1);
        ck_assert_uint_lt(device.interrupts[1], 20);
    }
}
END_TEST

START_TEST(what_was_sent_is_told_in_bounded_time)
{
    begin(0, 1, 3);
    virtio_net_init();
    fake_cpu_id = 2;
    ck_assert_int_eq(transmit(0, 60, 60), 0);
    card->ops->kick(card);
    device_run();
    ck_assert_uint_eq(device.interrupts[1], 0);
    ck_assert(timers[2]->armed);
    timers[2]->armed = false;
    timers[2]->handler(timers[2]->arg);
    ck_assert_uint_eq(woken, 1);
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[0], 1);
    ck_assert(!timers[2]->armed); /* nothing more to look for */
    device.mute = true;
    ck_assert_int_eq(transmit(1, 60, 60), 0);
    card->ops->kick(card);
    timers[2]->armed = false;
    timers[2]->handler(timers[2]->arg);
    ck_assert(!card->ops->poll(card, 32));
    ck_assert(timers[2]->armed); /* again */
}
END_TEST

START_TEST(a_full_card_says_so_and_when_there_is_room)
{
    uint32_t i;

    begin(0, 1, 3);
    virtio_net_init();
    device.mute = true;
    for (i = 0; i < 256; i++)
        ck_assert_int_eq(transmit(i, 60, 60), 0);
    card->ops->kick(card);
    ck_assert_int_eq(transmit(256, 60, 60), -ENOSPC);
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(rooms, 0);
    device.mute = false;
    device_run();
    ck_assert_uint_eq(device.interrupts[1], 1); /* when half of it was out */
    ck_assert(card->ops->poll(card, 32));
    ck_assert_uint_eq(rooms, 1);
    ck_assert_uint_eq(ends[31], 1);
    ck_assert_uint_eq(ends[32], 0);
    /* Who sends and never polls makes room himself; nobody is told meanwhile. */
    for (i = 300; i < 1300; i++) {
        ck_assert_int_eq(transmit(i, 60, 60), 0);
        card->ops->kick(card);
        device_run();
    }
    ck_assert_uint_eq(ends[300], 0);
    while (card->ops->poll(card, 32))
        ;
    for (i = 300; i < 1300; i++)
        ck_assert_uint_eq(ends[i], 1);
}
END_TEST

START_TEST(a_reset_gives_all_back_once_and_the_card_goes_on)
{
    uint32_t i;

    begin(0, 2, 3);
    virtio_net_init();
    device.mute = true;
    for (i = 0; i < 100; i++) {
        fake_cpu_id = i % 4;
        ck_assert_int_eq(transmit(i, 60, 60), 0);
    }
    device.mute = false; /* orders are answered; the frames were never shown */
    ck_assert_int_eq(card->ops->reset(card), 0);
    for (i = 0; i < 100; i++) {
        ck_assert_uint_eq(ends[i], 1);
        ck_assert_int_eq(status_of[i], -EIO);
    }
    ck_assert_uint_eq(device.promiscuous, 1);
    ck_assert_uint_eq(device.pairs_ordered, 2);
    fake_cpu_id = 0;
    ck_assert_int_eq(transmit(200, 60, 60), 0);
    card->ops->kick(card);
    device_run();
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_int_eq(status_of[200], 0);
    ck_assert(receive(&plain, 60, 4096));
    ck_assert_uint_eq(got_count, 1);
}
END_TEST

START_TEST(a_card_that_does_not_come_back_stays_down)
{
    begin(0, 1, 3);
    virtio_net_init();
    device.sticks = true;
    ck_assert_int_eq(transmit(0, 60, 60), 0);
    ck_assert_int_eq(card->ops->reset(card), -EIO);
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_int_eq(transmit(0, 60, 60), -EIO);
    ck_assert(!card->ops->poll(card, 32));
    device.sticks = false;
    device.offered &= ~FEATURE_MRG_RXBUF; /* another device than before */
    ck_assert_int_eq(card->ops->reset(card), -EIO);
    device.offered |= FEATURE_MRG_RXBUF;
    ck_assert_int_eq(card->ops->reset(card), 0); /* it may be tried again */
    ck_assert_int_eq(transmit(1, 60, 60), 0);
    card->ops->kick(card);
    device_run();
    ck_assert(!card->ops->poll(card, 32));
    ck_assert_uint_eq(ends[1], 1);
}
END_TEST

START_TEST(a_change_of_the_link_is_seen)
{
    begin(0, 1, 3);
    virtio_net_init();
    ck_assert(card->link);
    device.config[6] = 0;
    vectors[1].handler(vectors[1].arg);
    ck_assert(!card->link);
    ck_assert_uint_eq(woken, 0);
    device.config[6] = 1;
    vectors[1].handler(vectors[1].arg);
    ck_assert(card->link);
}
END_TEST

/* ---- several CPUs ---- */

static bool threads_end, cpus_end;
static uint64_t given, arrived;

static void *play_device(void *arg)
{
    while (!__atomic_load_n(&threads_end, __ATOMIC_SEQ_CST)) {
        device_run();
        arrived += device_receive(0, &plain, payload, 60, 4096);
        arrived += device_receive(1, &plain, payload, 5000, 4096);
        sched_yield();
    }
    return arg;
}

/* Each has frames of its own; one is given anew when it has ended. */
static void *play_cpu(void *arg)
{
    uint32_t cpu = (uint32_t)(uintptr_t)arg, i, mine[16] = { 0 };

    fake_cpu_id = cpu;
    while (!__atomic_load_n(&cpus_end, __ATOMIC_SEQ_CST)) {
        for (i = 0; i < 16; i++) {
            uint32_t n = cpu * 16 + i;
            int rc;

            if (__atomic_load_n(&ends[n], __ATOMIC_SEQ_CST) != mine[i])
                continue;
            rc = transmit(n, 60, 60);
            ck_assert(rc == 0 || rc == -ENOSPC);
            mine[i] += rc == 0;
            if (rc == 0)
                __atomic_fetch_add(&given, 1, __ATOMIC_SEQ_CST);
        }
        card->ops->kick(card);
        sched_yield();
        card->ops->poll(card, 8);
    }
    return arg;
}

START_TEST(resets_while_others_send_and_receive_lose_and_repeat_nothing)
{
    pthread_t threads[5];
    uint64_t ended = 0;
    uint32_t i;

    begin(0, 2, 3); /* two pairs for four CPUs */
    virtio_net_init();
    threads_end = cpus_end = false;
    pthread_create(&threads[4], NULL, play_device, NULL);
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, play_cpu, (void *)(uintptr_t)i);
    for (i = 0; i < 30; i++) {
        usleep(2000);
        ck_assert_int_eq(card->ops->reset(card), 0);
    }
    /* How long it takes until enough has passed is the host's affair. */
    for (i = 0; i < 200000 && (__atomic_load_n(&given, __ATOMIC_SEQ_CST) <= 500 || __atomic_load_n(&frames_received, __ATOMIC_SEQ_CST) <= 500); i++)
        usleep(1000);
    __atomic_store_n(&cpus_end, true, __ATOMIC_SEQ_CST);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    __atomic_store_n(&threads_end, true, __ATOMIC_SEQ_CST);
    pthread_join(threads[4], NULL);
    ck_assert_int_eq(card->ops->reset(card), 0);
    for (i = 0; i < 2; i++) {
        fake_cpu_id = i;
        while (card->ops->poll(card, 64))
            ;
    }
    for (i = 0; i < 64; i++)
        ended += ends[i];
    ck_assert_uint_eq(ended, given);
    ck_assert_uint_gt(given, 500);
    ck_assert_uint_gt(frames_received, 500);
    ck_assert_uint_le(frames_received, arrived);
    ck_assert_uint_eq(card->lies, 0);
}
END_TEST

Suite *suite_virtio_net(void);
Suite *suite_virtio_net(void)
{
    Suite *s = suite_create("virtio-net");
    TCase *t = tcase_create("card");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_card_tells_what_it_is);
    tcase_add_test(t, a_poor_card_is_used_as_it_is);
    tcase_add_test(t, what_hangs_on_a_feature_that_is_not_offered_is_left_alone);
    tcase_add_test(t, cards_that_cannot_be_used_are_left_out);
    tcase_add_test(t, frames_are_sent_with_what_is_left_to_be_done);
    tcase_add_test(t, what_a_card_cannot_send_is_refused);
    tcase_add_test(t, frames_are_received_in_one_buffer_or_many);
    tcase_add_test(t, a_poll_takes_no_more_than_it_may);
    tcase_add_test(t, lies_about_frames_cost_the_frame);
    tcase_add_test(t, lies_about_what_was_sent_are_counted);
    tcase_add_test(t, interrupts_for_what_was_sent_are_few);
    tcase_add_test(t, what_was_sent_is_told_in_bounded_time);
    tcase_add_test(t, a_full_card_says_so_and_when_there_is_room);
    tcase_add_test(t, a_reset_gives_all_back_once_and_the_card_goes_on);
    tcase_add_test(t, a_card_that_does_not_come_back_stays_down);
    tcase_add_test(t, a_change_of_the_link_is_seen);
    tcase_add_test(t, resets_while_others_send_and_receive_lose_and_repeat_nothing);
    suite_add_tcase(s, t);
    return s;
}
