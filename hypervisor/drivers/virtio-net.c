// SPDX-License-Identifier: MIT
/*
 * Network cards by virtio (VIRTIO 1.2, section 5.1), behind struct netdev. Contract: netdev.h. Frames: virtio-net-transmit.c, virtio-net-receive.c. The rings: virtio-queue.c; the registers: virtio-pci.c.
 * Page: docs/concepts/net-driver.md. Tests: test-virtio-net.c.
 *
 * A pair of queues for each pCPU as far as the device has them, one interrupt a pair; a CPU's transmit, kick and poll are about its own pair. The card takes every frame from the wire (promiscuous): the router says
 * whose it is.
 */
#include "virtio-net.h"

#include "alloc.h"
#include "apic.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "time.h"
#include "virtio-net-card.h"

#include <hv/errno.h>

#define DEVICE_TRANSITIONAL 0x1000u
#define DEVICE_MODERN       0x1041u

#define FEATURES_WANTED                                                                                                                                        \
    (FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_MTU | FEATURE_MAC | FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6 | FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6 |         \
     FEATURE_MRG_RXBUF | FEATURE_STATUS | FEATURE_CTRL_VQ | FEATURE_CTRL_RX | FEATURE_MQ | VIRTIO_FEATURE_INDIRECT | VIRTIO_FEATURE_EVENT_INDEX |              \
     VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_ACCESS_PLATFORM)

/* The device's configuration (5.1.4). */
#define CONFIG_MAC    0u
#define CONFIG_STATUS 6u
#define CONFIG_PAIRS  8u
#define CONFIG_MTU    10u
#define STATUS_LINK   1u

#define PAIRS_MAX   8u
#define MTU_DEFAULT 1500u
#define MTU_LEAST   68u /* 5.1.4.1 */
#define MTU_OF_PAGE (PAGE_SIZE - sizeof(struct virtio_net_header) - ETHERNET_BYTES - 4)

/* Orders (5.1.6.5). */
enum { CLASS_RX = 0, RX_PROMISCUOUS = 0, CLASS_MQ = 4, MQ_PAIRS = 0 };
#define ORDER_OK      0u
#define ORDER_WAIT_NS (100 * NS_PER_MS)

#define SENT_WAIT_NS NS_PER_MS /* a frame that was sent is told so after this time at most, without an interrupt */
#define NOTICES_MAX  16u       /* of one device, for ever: it must not fill the log */

static inline uint32_t own_pair(const struct net_card *card)
{
    uint32_t cpu = this_cpu_id();

    return likely(cpu < card->pairs) ? cpu : cpu % card->pairs;
}

/* ---- frames ---- */

static int virtio_net_transmit(struct netdev *dev, struct netdev_frame *frame)
{
    struct net_card *card = card_of(dev);

    return net_transmit_put(card, card->transmit[own_pair(card)], frame);
}

static void wait_handler(void *arg)
{
    struct net_wait *wait = arg;

    WRITE_ONCE(wait->armed, false);
    netdev_interrupt(&wait->card->dev);
}

/* Look again, at the latest, when what was sent must be told. */
static inline void wait_arm(struct net_card *card, uint32_t cpu)
{
    struct net_wait *wait = &card->wait[cpu];

    if (likely(READ_ONCE(wait->armed)))
        return;
    WRITE_ONCE(wait->armed, true);
    timer_set(&wait->timer, clock_now_ns() + SENT_WAIT_NS);
}

/* All pairs: who puts a frame in is not always who kicks. */
static void virtio_net_kick(struct netdev *dev)
{
    struct net_card *card = card_of(dev);
    uint32_t pair;

    for (pair = 0; pair < card->pairs; pair++) {
        struct virtio_queue *ring = &card->transmit[pair]->ring;

        if (READ_ONCE(ring->available_next) == READ_ONCE(ring->available_told))
            continue;
        virtio_queue_show(ring);
        wait_arm(card, pair == own_pair(card) ? this_cpu_id() : pair);
    }
}

static void lies_count(struct net_card *card)
{
    uint64_t lies = card->lies;
    uint32_t i;

    for (i = 0; i < card->pairs; i++)
        lies += READ_ONCE(card->transmit[i]->ring.lies) + READ_ONCE(card->receive[i]->ring.lies);
    card->dev.lies = lies;
}

static bool virtio_net_poll(struct netdev *dev, uint32_t most)
{
    struct net_card *card = card_of(dev);
    uint32_t pair = own_pair(card);
    struct net_transmit *t = card->transmit[pair];
    struct net_receive *r = card->receive[pair];
    bool under_way, more = net_transmit_poll(card, t, most, &under_way);

    more |= net_receive_poll(card, r, most);
    if (under_way)
        wait_arm(card, this_cpu_id());
    if (unlikely((card->lies | t->ring.lies | r->ring.lies) != 0))
        lies_count(card);
    /* Looked at again behind `resetting`: a reset may have ended in between. */
    if (unlikely(t->ring.stopped || r->ring.stopped) && !__atomic_load_n(&card->resetting, __ATOMIC_ACQUIRE) && !card->dead && (READ_ONCE(t->ring.stopped) || READ_ONCE(r->ring.stopped)))
        __atomic_store_n(&dev->wants_reset, true, __ATOMIC_RELAXED);
    return more;
}

/* ---- orders ---- */

/* Give the order in card->order and wait for the answer, in the state before frames go. */
static int order_give(struct net_card *card, uint8_t class, uint8_t command, uint16_t value, uint32_t value_bytes)
{
    struct virtio_queue *q = &card->control;
    uint64_t until = clock_now_ns() + ORDER_WAIT_NS, at = virt_to_maddr(&card->order);
    uint32_t bytes;

    card->order.class = class;
    card->order.command = command;
    card->order.data[0] = (uint8_t)value;
    card->order.data[1] = (uint8_t)(value >> 8);
    card->order.answer = 0xff;
    q->descriptors[0] = (struct virtio_descriptor){ at, 2, VIRTIO_DESCRIPTOR_NEXT, 1 };
    q->descriptors[1] = (struct virtio_descriptor){ at + 2, value_bytes, VIRTIO_DESCRIPTOR_NEXT, 2 };
    q->descriptors[2] = (struct virtio_descriptor){ at + 4, 1, VIRTIO_DESCRIPTOR_WRITE, 0 };
    virtio_queue_push(q, 0);
    virtio_queue_show(q);
    while (virtio_queue_waiting(q) == 0) {
        if (clock_now_ns() > until)
            return -EIO;
        cpu_relax();
    }
    (void)virtio_queue_next(q, &bytes);
    return READ_ONCE(card->order.answer) == ORDER_OK ? 0 : -EIO;
}

static int orders_give(struct net_card *card)
{
    int rc = 0;

    if (!net_has(card, FEATURE_CTRL_VQ))
        return 0;
    virtio_queue_open(&card->control);
    if (net_has(card, FEATURE_CTRL_RX) && order_give(card, CLASS_RX, RX_PROMISCUOUS, 1, 1) != 0 && card->notices < NOTICES_MAX) {
        card->notices++;
        log_warning("network card %02x:%02x.%x: it does not become promiscuous; frames for other addresses than its own may not come", card->virtio.pci->bus,
                    card->virtio.pci->slot, card->virtio.pci->function);
    }
    if (card->pairs > 1)
        rc = order_give(card, CLASS_MQ, MQ_PAIRS, (uint16_t)card->pairs, 2);
    return rc;
}

/* ---- start and reset ---- */

static int pair_start(struct net_card *card, uint16_t pair)
{
    int rc;

    virtio_queue_restart(&card->receive[pair]->ring);
    net_transmit_restart(card->transmit[pair]);
    rc = virtio_queue_start(&card->virtio, (uint16_t)(2 * pair), &card->receive[pair]->ring, pair);
    return rc != 0 ? rc : virtio_queue_start(&card->virtio, (uint16_t)(2 * pair + 1), &card->transmit[pair]->ring, pair);
}

/* Hand all queues to the device, in the state after a reset. */
static int queues_start(struct net_card *card)
{
    uint16_t i;
    int rc = virtio_config_vector(&card->virtio, card->one_entry ? 0 : (uint16_t)card->pairs);

    for (i = 0; rc == 0 && i < card->pairs; i++)
        rc = pair_start(card, i);
    if (rc == 0 && net_has(card, FEATURE_CTRL_VQ)) {
        virtio_queue_restart(&card->control);
        rc = virtio_queue_start(&card->virtio, (uint16_t)(2 * card->device_pairs), &card->control, VIRTIO_NO_VECTOR);
    }
    if (rc != 0)
        return rc;
    virtio_ready(&card->virtio);
    return orders_give(card);
}

/* Everything but that frames go. */
static int device_start(struct net_card *card)
{
    int rc;

    pci_enable(card->virtio.pci);
    rc = virtio_begin(&card->virtio, card->features);
    if (rc == 0 && card->virtio.features != card->features)
        rc = -EIO;
    if (rc == 0)
        rc = queues_start(card);
    if (rc != 0)
        virtio_give_up(&card->virtio);
    return rc;
}

static void link_read(struct net_card *card)
{
    __atomic_store_n(&card->dev.link, !net_has(card, FEATURE_STATUS) || (virtio_config16(&card->virtio, CONFIG_STATUS) & STATUS_LINK), __ATOMIC_RELAXED);
}

static void frames_open(struct net_card *card)
{
    uint32_t i;

    link_read(card);
    for (i = 0; i < card->pairs; i++) {
        net_receive_open(card->receive[i]);
        virtio_queue_open(&card->transmit[i]->ring);
    }
}

/* The device is stopped, its queues are ours until they are opened. Returns what it had. */
static int device_again(struct net_card *card, struct netdev_frame **lists)
{
    int rc = virtio_stop(&card->virtio);
    uint32_t i;

    for (i = 0; i < card->pairs; i++)
        lists[i] = net_transmit_abandon(card->transmit[i]); /* reset or cut off the bus: its memory is nobody's but ours again */
    if (rc == 0)
        rc = device_start(card);
    card->dead = rc != 0;
    if (rc == 0)
        frames_open(card);
    return rc;
}

static int virtio_net_reset(struct netdev *dev)
{
    struct net_card *card = card_of(dev);
    struct netdev_frame *lists[PAIRS_MAX];
    uint32_t i;
    int rc;

    if (__atomic_exchange_n(&card->resetting, true, __ATOMIC_ACQUIRE))
        return 0; /* somebody else is at it */
    for (i = 0; i < card->pairs; i++) {
        virtio_queue_stop(&card->transmit[i]->ring);
        net_receive_hold(card->receive[i]);
        virtio_queue_stop(&card->receive[i]->ring);
    }
    rc = device_again(card, lists);
    __atomic_store_n(&dev->wants_reset, false, __ATOMIC_RELAXED);
    lies_count(card);
    for (i = 0; i < card->pairs; i++)
        net_receive_release(card->receive[i]);
    __atomic_store_n(&card->resetting, false, __ATOMIC_RELEASE);
    for (i = 0; i < card->pairs; i++)
        net_frames_tell(lists[i], -EIO);
    if (rc == 0)
        netdev_room(dev);
    return rc;
}

static const struct netdev_ops virtio_net_ops = {
    .name = "virtio-net",
    .transmit = virtio_net_transmit,
    .kick = virtio_net_kick,
    .poll = virtio_net_poll,
    .reset = virtio_net_reset,
};

/* ---- interrupts ---- */

static void config_interrupt(void *arg)
{
    struct net_card *card = arg;
    bool link = READ_ONCE(card->dev.link), wants_reset = virtio_wants_reset(&card->virtio);

    link_read(card);
    if (wants_reset && card->registered && !card->dead) {
        __atomic_store_n(&card->dev.wants_reset, true, __ATOMIC_RELAXED);
        netdev_interrupt(&card->dev);
    }
    if (!card->registered || card->notices >= NOTICES_MAX || (!wants_reset && link == card->dev.link))
        return;
    card->notices++;
    if (wants_reset)
        log_warning("nic%u: the device asks to be reset", card->dev.id);
    else
        log_info("nic%u: the link is %s", card->dev.id, card->dev.link ? "up" : "down");
}

static void queue_interrupt(void *arg)
{
    struct net_card *card = arg;

    card->dev.interrupts++;
    if (unlikely(card->one_entry))
        config_interrupt(card);
    if (likely(card->registered))
        netdev_interrupt(&card->dev);
}

static int vectors_init(struct net_card *card)
{
    int vector = irq_vector_alloc(queue_interrupt, card), config_vector = 0;
    uint32_t i;

    if (vector >= 0 && !card->one_entry)
        config_vector = irq_vector_alloc(config_interrupt, card);
    card->routed = vector >= 0;
    if (vector < 0 || config_vector < 0)
        return -ENOSPC;
    for (i = 0; i < card->pairs; i++)
        pci_msix_route(&card->virtio.msix, i, i, (uint8_t)vector);
    if (!card->one_entry)
        pci_msix_route(&card->virtio.msix, card->pairs, 0, (uint8_t)config_vector);
    return 0;
}

/* ---- what the device is ---- */

/* Those that hang on others which are not offered are left alone (5.1.3.1); frames of 64 KiB are taken only where they may be in pieces. */
static uint64_t features_choose(uint64_t offered)
{
    if (!(offered & FEATURE_CSUM))
        offered &= ~(FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6);
    if (!(offered & FEATURE_GUEST_CSUM) || !(offered & FEATURE_MRG_RXBUF))
        offered &= ~(FEATURE_GUEST_TSO4 | FEATURE_GUEST_TSO6);
    if (!(offered & FEATURE_CTRL_VQ) || cpu_count == 1)
        offered &= ~FEATURE_MQ;
    if (!(offered & FEATURE_CTRL_VQ))
        offered &= ~FEATURE_CTRL_RX;
    return offered;
}

static int features_agree(struct net_card *card)
{
    int rc = virtio_begin(&card->virtio, FEATURES_WANTED);

    card->features = features_choose(card->virtio.features);
    if (rc == 0 && card->features != card->virtio.features)
        rc = virtio_begin(&card->virtio, card->features);
    return rc != 0 || card->virtio.features != card->features ? -EIO : 0;
}

/* As many pairs as the device, the CPUs and the interrupts (one more for changes, if there are two) allow. */
static void pairs_choose(struct net_card *card)
{
    uint32_t pairs = net_has(card, FEATURE_MQ) ? virtio_config16(&card->virtio, CONFIG_PAIRS) : 1;

    card->device_pairs = max(pairs, 1u);
    pairs = min(min(pairs, virtio_queue_count(&card->virtio) / 2u), min(cpu_count, PAIRS_MAX));
    if (pairs > 1 && pairs + 1 > card->virtio.msix.entries)
        pairs = max((uint32_t)card->virtio.msix.entries, 2u) - 1;
    card->pairs = max(pairs, 1u);
    card->one_entry = card->virtio.msix.entries == 1;
}

static int pair_create(struct net_card *card, uint16_t i)
{
    bool event_index = net_has(card, VIRTIO_FEATURE_EVENT_INDEX);
    struct net_transmit *t = heap_alloc(sizeof(*t));
    struct net_receive *r = heap_alloc(sizeof(*r));
    int rc;

    card->transmit[i] = t;
    card->receive[i] = r;
    if (t == NULL || r == NULL)
        return -ENOMEM;
    rc = net_receive_create(r, virtio_queue_size(&card->virtio, (uint16_t)(2 * i)), event_index);
    if (rc == 0)
        rc = net_transmit_create(t, virtio_queue_size(&card->virtio, (uint16_t)(2 * i + 1)), net_has(card, VIRTIO_FEATURE_INDIRECT), event_index);
    card->dev.depth += t->slots;
    return rc;
}

static int queues_create(struct net_card *card)
{
    uint32_t i;
    int rc = 0;

    card->wait = heap_alloc(cpu_count * sizeof(*card->wait));
    for (i = 0; card->wait != NULL && i < cpu_count; i++) {
        card->wait[i].card = card;
        timer_init(&card->wait[i].timer, wait_handler, &card->wait[i], i);
    }
    for (i = 0; rc == 0 && i < card->pairs; i++)
        rc = pair_create(card, (uint16_t)i);
    if (rc == 0 && net_has(card, FEATURE_CTRL_VQ))
        rc = virtio_queue_create_rings(&card->control, virtio_queue_size(&card->virtio, (uint16_t)(2 * card->device_pairs)), false);
    return card->wait == NULL ? -ENOMEM : rc;
}

static void mac_read(struct net_card *card)
{
    static uint8_t cards;
    uint32_t i;

    for (i = 0; net_has(card, FEATURE_MAC) && i < sizeof(card->dev.mac); i++)
        card->dev.mac[i] = virtio_config8(&card->virtio, CONFIG_MAC + i);
    if ((card->dev.mac[0] & 1) || !(card->dev.mac[0] | card->dev.mac[1] | card->dev.mac[2] | card->dev.mac[3] | card->dev.mac[4] | card->dev.mac[5]))
        memcpy(card->dev.mac, (const uint8_t[6]){ 0x02, 'c', 'o', 'l', 0, cards++ }, sizeof(card->dev.mac)); /* none, or one for a group: a local one */
}

static void abilities_read(struct net_card *card)
{
    struct netdev *dev = &card->dev;
    uint32_t mtu = net_has(card, FEATURE_MTU) ? virtio_config16(&card->virtio, CONFIG_MTU) : MTU_DEFAULT;

    mac_read(card);
    dev->ops = &virtio_net_ops;
    dev->mtu = (uint16_t)(mtu >= MTU_LEAST ? mtu : MTU_DEFAULT);
    dev->queues = card->pairs;
    dev->can_sum = net_has(card, FEATURE_CSUM);
    dev->can_segment4 = net_has(card, FEATURE_HOST_TSO4);
    dev->can_segment6 = net_has(card, FEATURE_HOST_TSO6);
}

/* Everything up to a device that works, but takes and brings no frames; the reason why not in *why. */
static int card_start(struct net_card *card, const char **why)
{
    *why = "it takes no part in the negotiation";
    if (features_agree(card) != 0)
        return -EIO;
    abilities_read(card);
    *why = "its frames are longer than a page, and it cannot part them";
    if (card->dev.mtu > MTU_OF_PAGE && !net_has(card, FEATURE_MRG_RXBUF))
        return -EIO;
    *why = "no memory, or no queue";
    pairs_choose(card);
    card->dev.queues = card->pairs;
    if (queues_create(card) != 0)
        return -ENOMEM;
    *why = "no interrupt vectors are left";
    if (vectors_init(card) != 0)
        return -ENOSPC;
    *why = "it does not take its queues, or no orders";
    return device_start(card);
}

static void card_log(const struct net_card *card)
{
    const struct netdev *dev = &card->dev;
    const struct pci_function *f = card->virtio.pci;
    const uint8_t *m = dev->mac;

    log_info("nic%u: at %02x:%02x.%x, %02x:%02x:%02x:%02x:%02x:%02x, mtu %u, %u pair%s of queues of %u, sums by %s, segments by %s, link %s", dev->id, f->bus,
             f->slot, f->function, m[0], m[1], m[2], m[3], m[4], m[5], dev->mtu, dev->queues, dev->queues == 1 ? "" : "s", dev->depth / dev->queues,
             dev->can_sum ? "card" : "hand", dev->can_segment4 ? "card" : "hand", dev->link ? "up" : "down");
}

/* The device has been stopped, or cut off. What a vector leads to is kept. */
static void card_forget(struct net_card *card)
{
    uint32_t i;

    for (i = 0; i < card->pairs; i++) {
        if (card->transmit[i] != NULL)
            net_transmit_destroy(card->transmit[i]);
        if (card->receive[i] != NULL)
            net_receive_destroy(card->receive[i]);
        heap_free(card->transmit[i]);
        heap_free(card->receive[i]);
        card->transmit[i] = NULL;
        card->receive[i] = NULL;
    }
    virtio_queue_destroy(&card->control);
    heap_free(card->wait);
    card->wait = NULL;
    if (!card->routed)
        heap_free(card);
}

static void card_add(const struct pci_function *f)
{
    struct net_card *card = heap_alloc(sizeof(*card));
    const char *why = "no memory";

    if (card == NULL || virtio_map(&card->virtio, f) != 0) {
        heap_free(card);
        return;
    }
    if (card_start(card, &why) == 0) {
        link_read(card);
        why = "the router has no room for it";
        if (netdev_register(&card->dev) == 0) {
            card->registered = true;
            card_log(card);
            frames_open(card); /* not before: the first frame must find the core ready */
            return;            /* for good */
        }
    }
    log_warning("PCI %02x:%02x.%x: a network card is left out: %s", f->bus, f->slot, f->function, why);
    if (virtio_stop(&card->virtio) == 0)
        virtio_give_up(&card->virtio);
    card_forget(card);
}

void virtio_net_init(void)
{
    uint32_t i;

    for (i = 0; i < pci_function_count; i++) {
        const struct pci_function *f = &pci_functions[i];

        if (f->vendor == VIRTIO_PCI_VENDOR && (f->device == DEVICE_MODERN || f->device == DEVICE_TRANSITIONAL))
            card_add(f);
    }
}
