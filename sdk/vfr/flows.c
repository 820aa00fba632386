/* SPDX-License-Identifier: MIT */
/*
 * Connection tracking: the table. Contract: <vfr/flows.h>. Inside: flows-internal.h. Tests: test-flows.c. Page: docs/concepts/flows.md.
 *
 * A flow is in the set that its hash names, a list of at most CHAIN_MAX. The hash is keyed by the moment of the first packet, so that nobody can choose addresses that meet in one set. Between find and keep (or refuse)
 * a packet holds its flow by a count, which the set's lock guards: nobody takes the place away from under it.
 *
 * No room: each domain may have its share of the places (all of them, by how many domains have any), and more while nobody else wants them. Who is below its share takes a place from one that is above; who is at it or
 * above gives up a flow of its own that was not answered or is over, or one that was silent for long. A flood of first packets, by whomever, so ends no connection, and takes no other domain's places.
 * What nobody looks up any more is found by a hand that moves on with each new flow.
 */
#include "flows-internal.h"

#include <assert.h>
#include <hv/errno.h>
#include <string.h>

#define CHUNK_BYTES   (1u << 20)
#define CHUNK_FLOWS   4096u /* places in a chunk; power of two */
#define CHUNK_SETS    (CHUNK_BYTES / sizeof(struct flow_set))
#define FLOWS_MAX     (1u << 22)
#define CHUNKS_MAX    (FLOWS_MAX / CHUNK_FLOWS)
#define SET_CHUNKS_MAX (FLOWS_MAX / CHUNK_SETS)
#define CHAIN_MAX     24u
#define ACCOUNTS      1024u /* power of two */
#define ACCOUNT_TRIES 16u
#define HAND_STEPS    4u    /* places looked at with each new flow */
#define VICTIM_STEPS  64u   /* and when there is no room: at places drawn, for those that cost least; then once more, for others */
#define FORGET_STEPS  1024u
#define LIST_STEPS    4096u
#define SILENT_NS     (600 * 1000000000ull) /* then a domain may give up an open flow of its own for a new one */
#define FRAGMENTS     1024u /* first pieces that are remembered; power of two */
#define FRAGMENT_NS   (5 * 1000000000ull)

static_assert(CHUNK_FLOWS * sizeof(struct flow) <= (2u << 20), "one allocation gives at most 2 MiB");

struct flow_set {
    struct flow *first;
    uint32_t lock;
    uint32_t pad;
};
/* Who has how many: the table's lock. */
struct flow_account {
    uint32_t domid, count;
};

struct vfr_flows {
    uint64_t seed[2]; /* set by the first packet; seeded says so */
    uint32_t seeded;
    uint32_t flows_max, sets; /* sets: power of two */
    uint32_t lock;            /* of: accounts, active, free, used, hand */
    uint32_t used, active, hand;
    struct flow *free;
    struct flow_account accounts[ACCOUNTS];
    struct vfr_flows_stats stats; /* added to atomically */
    uint64_t fragments[FRAGMENTS]; /* hash 32 bits, until in tenths of seconds 24, state and direction 8 */
    void (*memory_free)(void *ptr);
    struct flow *flow_chunks[CHUNKS_MAX];
    struct flow_set *set_chunks[SET_CHUNKS_MAX];
};

static inline void count_one(uint64_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static inline struct flow_set *set_of(const struct vfr_flows *flows, uint32_t set)
{
    return &flows->set_chunks[set / CHUNK_SETS][set % CHUNK_SETS];
}

static inline struct flow *flow_at(const struct vfr_flows *flows, uint32_t index)
{
    return &flows->flow_chunks[index / CHUNK_FLOWS][index % CHUNK_FLOWS];
}

/* In which set it is now; only that set's lock keeps it there. */
static inline uint32_t place_of(const struct flow *flow)
{
    return __atomic_load_n(&flow->set, __ATOMIC_RELAXED);
}

/* ---- Making and ending the table ---- */

static int table_fill(struct vfr_flows *flows, const struct vfr_memory *memory)
{
    for (uint32_t i = 0; i < (flows->sets + CHUNK_SETS - 1) / CHUNK_SETS; i++) {
        uint32_t here = flows->sets < CHUNK_SETS ? flows->sets : CHUNK_SETS;

        flows->set_chunks[i] = memory->alloc(here * sizeof(struct flow_set));
        if (flows->set_chunks[i] == NULL)
            return -ENOMEM;
        if (memory->pause != NULL)
            memory->pause();
    }
    for (uint32_t i = 0; i < flows->flows_max; i++) {
        uint32_t here = flows->flows_max - i < CHUNK_FLOWS ? flows->flows_max - i : CHUNK_FLOWS;
        struct flow *flow;

        if (i % CHUNK_FLOWS == 0) {
            if (memory->pause != NULL)
                memory->pause();
            flows->flow_chunks[i / CHUNK_FLOWS] = memory->alloc(here * sizeof(struct flow));
            if (flows->flow_chunks[i / CHUNK_FLOWS] == NULL)
                return -ENOMEM;
        }
        flow = flow_at(flows, i);
        flow->set = FLOW_NO_SET;
        flow->next = flows->free;
        flows->free = flow;
    }
    return 0;
}

int vfr_flows_create(struct vfr_flows **flows, uint32_t flows_max, const struct vfr_memory *memory)
{
    struct vfr_flows *made;
    int rc;

    if (flows_max == 0 || flows_max > FLOWS_MAX)
        return -EINVAL;
    made = memory->alloc(sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    made->memory_free = memory->free;
    made->flows_max = flows_max;
    for (made->sets = 16; made->sets < flows_max;)
        made->sets *= 2;
    made->stats.flows_max = flows_max;
    rc = table_fill(made, memory);
    if (rc != 0)
        vfr_flows_destroy(made);
    else
        *flows = made;
    return rc;
}

void vfr_flows_destroy(struct vfr_flows *flows)
{
    if (flows == NULL)
        return;
    for (uint32_t i = 0; i < CHUNKS_MAX; i++)
        if (flows->flow_chunks[i] != NULL)
            flows->memory_free(flows->flow_chunks[i]);
    for (uint32_t i = 0; i < SET_CHUNKS_MAX; i++)
        if (flows->set_chunks[i] != NULL)
            flows->memory_free(flows->set_chunks[i]);
    flows->memory_free(flows);
}

/* Once: the key of the hash is made of the moment of the first packet. */
static void seed_once(struct vfr_flows *flows, uint64_t now_ns)
{
    flow_lock(&flows->lock);
    if (flows->seeded == 0) {
        flows->seed[0] = flow_mix(now_ns ^ 0x243f6a8885a308d3ull, 0x9e3779b97f4a7c15ull);
        flows->seed[1] = flow_mix(flows->seed[0] ^ now_ns, 0xd6e8feb86659fd93ull);
        __atomic_store_n(&flows->seeded, 1, __ATOMIC_RELEASE);
    }
    flow_unlock(&flows->lock);
}

static uint64_t hash_of(struct vfr_flows *flows, const struct flow_key *key, uint64_t now_ns)
{
    if (__atomic_load_n(&flows->seeded, __ATOMIC_ACQUIRE) == 0)
        seed_once(flows, now_ns);
    return flow_key_hash(key, flows->seed);
}

/* ---- Places: who has how many. The table's lock is held ---- */

static struct flow_account *account_of(struct vfr_flows *flows, uint32_t domid)
{
    struct flow_account *unused = NULL;

    for (uint32_t i = 0; i < ACCOUNT_TRIES; i++) {
        struct flow_account *account = &flows->accounts[(domid * 0x9e3779b1u / (0x100000000ull / ACCOUNTS) + i) % ACCOUNTS];

        if (account->count != 0 && account->domid == domid)
            return account;
        if (account->count == 0 && unused == NULL)
            unused = account;
    }
    /* Seventeen domains that meet here: the last ones share an account. */
    if (unused == NULL)
        return &flows->accounts[domid * 0x9e3779b1u / (0x100000000ull / ACCOUNTS)];
    unused->domid = domid;
    return unused;
}

static void place_return(struct vfr_flows *flows, struct flow *flow)
{
    struct flow_account *account;

    flow_lock(&flows->lock);
    account = &flows->accounts[flow->account];
    if (__atomic_sub_fetch(&account->count, 1, __ATOMIC_RELAXED) == 0)
        flows->active--;
    flow->next = flows->free;
    flows->free = flow;
    flows->used--;
    flow_unlock(&flows->lock);
}

/* ---- Sets. The set's lock is held ---- */

static void set_unlink(struct flow_set *set, struct flow *flow)
{
    struct flow **at = &set->first;

    while (*at != flow)
        at = &(*at)->next;
    *at = flow->next;
    __atomic_store_n(&flow->set, FLOW_NO_SET, __ATOMIC_RELAXED);
}

/* The flow of a key, and which way. One that nobody remembers any more is no flow: *stale, and off the set. */
static struct flow *set_find(struct flow_set *set, const struct flow_key *key, uint64_t now_ns, int *direction, struct flow **stale)
{
    struct flow *flow = set->first;

    for (; flow != NULL; flow = flow->next) {
        *direction = flow_key_compare(&flow->key, key);
        if (*direction >= 0)
            break;
    }
    if (flow != NULL && flow->ends_ns <= now_ns && flow->busy == 0) {
        set_unlink(set, flow);
        *stale = flow;
        flow = NULL;
    }
    return flow;
}

/* ---- Taking places back. No lock is held ---- */

/* What a place is looked at for: that its flow is expired; or also to be given up for a new flow of `wanted`. */
struct claim {
    bool anyhow;         /* there is no room: give up one that is not expired, too */
    bool cheap;          /* only one that is cheap */
    uint32_t wanted;     /* domid of the new one */
    bool wanted_below;   /* it has less than its share */
    uint32_t share;
    uint64_t now_ns;
};

static bool claim_allows(struct vfr_flows *flows, const struct claim *claim, const struct flow *flow)
{
    if (flow->busy != 0)
        return false;
    if (flow->ends_ns <= claim->now_ns)
        return true;
    if (!claim->anyhow || (claim->cheap && !flow_is_cheap(flow)))
        return false;
    if (flow->domid == claim->wanted)
        return !claim->wanted_below && (claim->cheap || claim->now_ns > flow->seen_ns + SILENT_NS);
    return claim->wanted_below && __atomic_load_n(&flows->accounts[flow->account].count, __ATOMIC_RELAXED) > claim->share;
}

/* Take the flow at index off its set, if the claim allows. */
static struct flow *claim_take(struct vfr_flows *flows, const struct claim *claim, uint32_t index, bool *was_expired)
{
    struct flow *flow = flow_at(flows, index);
    uint32_t number = place_of(flow);
    struct flow_set *set;
    bool taken = false;

    if (number == FLOW_NO_SET)
        return NULL;
    set = set_of(flows, number);
    flow_lock(&set->lock);
    if (place_of(flow) == number && claim_allows(flows, claim, flow)) {
        *was_expired = flow->ends_ns <= claim->now_ns;
        set_unlink(set, flow);
        taken = true;
    }
    flow_unlock(&set->lock);
    return taken ? flow : NULL;
}

/* Look at `steps` places: the next ones, or, to give one up, anywhere, for a flood's lie together. True: at least one has become free. */
static bool places_reclaim(struct vfr_flows *flows, const struct claim *claim, uint32_t steps)
{
    uint32_t at = __atomic_fetch_add(&flows->hand, steps, __ATOMIC_RELAXED);
    bool any = false;

    for (uint32_t i = 0; i < steps && !(any && claim->anyhow); i++) {
        uint64_t index = claim->anyhow ? flow_mix(at + i + flows->seed[0], 0x9e3779b97f4a7c15ull) : at + i;
        bool expired = false;
        struct flow *flow = claim_take(flows, claim, (uint32_t)(index % flows->flows_max), &expired);

        if (flow == NULL)
            continue;
        count_one(expired ? &flows->stats.expired : &flows->stats.evicted);
        place_return(flows, flow);
        any = true;
    }
    return any;
}

/* A place for a flow of this domain, its account charged; NULL: there is none for it. */
static struct flow *place_try(struct vfr_flows *flows, uint32_t domid, struct claim *claim)
{
    struct flow_account *account;
    struct flow *flow;
    uint32_t active;

    flow_lock(&flows->lock);
    account = account_of(flows, domid);
    flow = flows->free;
    active = flows->active + (account->count == 0);
    claim->share = flows->flows_max / active;
    claim->wanted_below = account->count < claim->share;
    if (flow != NULL) {
        flows->free = flow->next;
        flows->used++;
        flow->domid = domid;
        flow->account = (uint16_t)(account - flows->accounts);
        if (__atomic_fetch_add(&account->count, 1, __ATOMIC_RELAXED) == 0)
            flows->active++;
    }
    flow_unlock(&flows->lock);
    return flow;
}

static struct flow *place_take(struct vfr_flows *flows, uint32_t domid, uint64_t now_ns)
{
    struct claim claim = { .wanted = domid, .now_ns = now_ns };
    struct flow *flow;

    places_reclaim(flows, &claim, HAND_STEPS);
    flow = place_try(flows, domid, &claim);
    if (flow != NULL)
        return flow;
    claim.anyhow = claim.cheap = true;
    if (!places_reclaim(flows, &claim, VICTIM_STEPS)) {
        claim.cheap = false;
        places_reclaim(flows, &claim, VICTIM_STEPS);
    }
    flow = place_try(flows, domid, &claim);
    if (flow == NULL)
        count_one(&flows->stats.refused_full);
    return flow;
}

/* ---- Pieces of packets: the later ones are what their first one was ---- */

static uint64_t fragment_hash(struct vfr_flows *flows, const struct vfr_packet *packet, struct flow_key *key, uint64_t now_ns)
{
    const uint8_t *p = packet->header + packet->l3;
    uint64_t hash;
    uint32_t id = 0;

    if (packet->family == 4) {
        id = (uint32_t)p[4] << 8 | p[5];
    } else {
        /* The identification ends the fragment header, which is somewhere in the chain: walk as far as it. */
        uint32_t at = 40, next = p[6], left = packet->header_bytes - packet->l3;

        for (uint32_t n = 0; n < 8 && next != 44 && at + 2 <= left; n++) {
            next = p[at];
            at += (p[at + 1] + 1u) * 8;
        }
        if (next == 44 && at + 8 <= left)
            memcpy(&id, p + at + 4, sizeof(id));
    }
    /* One way only, and no ports: unlike any flow. */
    key->ends[0].port = id;
    key->ends[1].port = 0x10000;
    key->protocol = packet->protocol;
    hash = hash_of(flows, key, now_ns);
    return flow_mix(hash ^ key->ends[0].low, flows->seed[1] | 1);
}

static void fragment_remember(struct vfr_flows *flows, const struct vfr_packet *packet, struct flow_key *key, uint64_t now_ns)
{
    uint64_t hash = fragment_hash(flows, packet, key, now_ns), until = (now_ns + FRAGMENT_NS) / 100000000u & 0xffffff;

    __atomic_store_n(&flows->fragments[hash % FRAGMENTS], (hash & 0xffffffff00000000ull) | until << 8 | (packet->reply ? 0x80u : 0) | packet->state, __ATOMIC_RELAXED);
}

static void fragment_recall(struct vfr_flows *flows, struct vfr_packet *packet, struct flow_key *key, uint64_t now_ns)
{
    uint64_t hash = fragment_hash(flows, packet, key, now_ns), word = __atomic_load_n(&flows->fragments[hash % FRAGMENTS], __ATOMIC_RELAXED);
    uint32_t left = ((uint32_t)(word >> 8) - (uint32_t)(now_ns / 100000000u)) & 0xffffff;

    if ((word ^ hash) >> 32 != 0 || word == 0 || left > FRAGMENT_NS / 100000000u) {
        packet->state = VFR_STATE_INVALID;
        return;
    }
    packet->state = word & 0x7f;
    packet->reply = (word & 0x80) != 0;
}

/* ---- Packets ---- */

/* The flow of a key, held if hold. */
static struct flow *flow_look(struct vfr_flows *flows, const struct flow_key *key, const struct vfr_packet *packet, bool hold, uint64_t now_ns, int *direction)
{
    struct flow_set *set = set_of(flows, (uint32_t)hash_of(flows, key, now_ns) & (flows->sets - 1));
    struct flow *flow, *stale = NULL;

    flow_lock(&set->lock);
    flow = set_find(set, key, now_ns, direction, &stale);
    if (flow != NULL && hold) {
        if (flow_begins_anew(flow, packet) || flow->busy == 0xffff)
            flow = NULL;
        else
            flow->busy++;
    }
    flow_unlock(&set->lock);
    if (stale != NULL) {
        count_one(&flows->stats.expired);
        place_return(flows, stale);
    }
    return flow;
}

void vfr_flows_find(struct vfr_flows *flows, struct vfr_packet *packet, uint32_t segment, uint64_t now_ns)
{
    struct flow_key key;
    struct flow *flow;
    bool may_begin;
    int direction;

    packet->state = VFR_STATE_NONE;
    packet->reply = false;
    packet->flow = NULL;
    switch (flow_key_make(packet, segment, &key, &may_begin)) {
    case FLOW_UNTRACKED: return;
    case FLOW_INVALID: packet->state = VFR_STATE_INVALID; break;
    case FLOW_LATER_FRAGMENT: fragment_recall(flows, packet, &key, now_ns); break;
    case FLOW_ERROR: packet->state = flow_look(flows, &key, packet, false, now_ns, &direction) != NULL ? VFR_STATE_RELATED : VFR_STATE_INVALID; break;
    case FLOW_PLAIN:
        flow = flow_look(flows, &key, packet, true, now_ns, &direction);
        packet->flow = flow;
        if (flow == NULL) {
            packet->state = may_begin ? VFR_STATE_NEW : VFR_STATE_INVALID;
            break;
        }
        packet->reply = direction == 1;
        packet->state = packet->reply || __atomic_load_n(&flow->answered, __ATOMIC_RELAXED) ? VFR_STATE_ESTABLISHED : VFR_STATE_NEW;
    }
    if (packet->state == VFR_STATE_INVALID)
        count_one(&flows->stats.invalid);
}

/* Into its set, unless another CPU was faster, or the one before it is over and gives way to it. True: the place is used. */
static bool flow_enter(struct vfr_flows *flows, struct flow *place, const struct vfr_packet *packet, const struct flow_key *key, uint64_t now_ns)
{
    uint32_t number = (uint32_t)flow_key_hash(key, flows->seed) & (flows->sets - 1), length = 0;
    struct flow_set *set = set_of(flows, number);
    struct flow *there;
    int direction = 0;

    flow_lock(&set->lock);
    for (there = set->first; there != NULL; there = there->next, length++) {
        direction = flow_key_compare(&there->key, key);
        if (direction >= 0)
            break;
    }
    if (there == NULL && length < CHAIN_MAX) {
        place->key = *key;
        place->busy = 0;
        flow_begin(place, packet, now_ns);
        place->from = packet->from->id;
        place->to = packet->to != NULL ? packet->to->id : ~0u;
        place->next = set->first;
        set->first = place;
        __atomic_store_n(&place->set, number, __ATOMIC_RELAXED);
        flow_advance(place, packet, 0, now_ns);
    } else if (there != NULL) {
        if (flow_begins_anew(there, packet)) {
            there->key = *key;
            there->from = packet->from->id;
            there->to = packet->to != NULL ? packet->to->id : ~0u;
            flow_begin(there, packet, now_ns);
            direction = 0;
        }
        flow_advance(there, packet, (unsigned int)direction, now_ns);
        length = CHAIN_MAX;
    }
    flow_unlock(&set->lock);
    return length < CHAIN_MAX;
}

static void flow_make(struct vfr_flows *flows, const struct vfr_packet *packet, const struct flow_key *key, uint64_t now_ns)
{
    bool from_nic = (packet->from->id & VFR_IFACE_NIC) != 0;
    uint32_t domid = from_nic && packet->to != NULL ? packet->to->domid : from_nic ? ~0u : packet->from->domid;
    struct flow *place = place_take(flows, domid, now_ns);

    if (place == NULL)
        return;
    if (flow_enter(flows, place, packet, key, now_ns)) {
        count_one(&flows->stats.begun);
        return;
    }
    count_one(&flows->stats.refused_full);
    place_return(flows, place);
}

void vfr_flows_keep(struct vfr_flows *flows, struct vfr_packet *packet, uint32_t segment, uint64_t now_ns)
{
    struct flow *flow = packet->flow;
    struct flow_key key;
    bool may_begin;

    if (flow != NULL) {
        struct flow_set *set = set_of(flows, flow->set); /* held: it stays there */

        flow_lock(&set->lock);
        flow_advance(flow, packet, packet->reply, now_ns);
        flow->busy--;
        flow_unlock(&set->lock);
        packet->flow = NULL;
    } else if (packet->state == VFR_STATE_NEW && flow_key_make(packet, segment, &key, &may_begin) == FLOW_PLAIN) {
        flow_make(flows, packet, &key, now_ns);
    }
    if (packet->more_fragments && !packet->fragment && packet->state != VFR_STATE_INVALID && flow_key_make(packet, segment, &key, &may_begin) != FLOW_UNTRACKED)
        fragment_remember(flows, packet, &key, now_ns);
}

void vfr_flows_refuse(struct vfr_flows *flows, struct vfr_packet *packet)
{
    struct flow *flow = packet->flow;
    struct flow_set *set;

    if (flow == NULL)
        return;
    set = set_of(flows, flow->set);
    flow_lock(&set->lock);
    flow->busy--;
    flow_unlock(&set->lock);
    packet->flow = NULL;
}

/* ---- The whole table ---- */

static void forget_one(struct vfr_flows *flows, struct flow *flow, uint32_t domid)
{
    uint32_t number = place_of(flow);
    struct flow_set *set;
    bool taken = false;

    if (number == FLOW_NO_SET)
        return;
    set = set_of(flows, number);
    flow_lock(&set->lock);
    if (place_of(flow) == number && flow->domid == domid) {
        flow->ends_ns = 0; /* held by a packet: the hand will find it */
        taken = flow->busy == 0;
        if (taken)
            set_unlink(set, flow);
    }
    flow_unlock(&set->lock);
    if (taken) {
        count_one(&flows->stats.ended);
        place_return(flows, flow);
    }
}

bool vfr_flows_forget(struct vfr_flows *flows, uint32_t domid, uint64_t *cursor)
{
    for (uint32_t n = 0; n < FORGET_STEPS && *cursor < flows->flows_max; n++, ++*cursor)
        forget_one(flows, flow_at(flows, (uint32_t)*cursor), domid);
    return *cursor >= flows->flows_max;
}

static void end_bytes(const struct flow_end *end, unsigned int family, uint8_t *to)
{
    memset(to, 0, 16);
    if (family == 4) {
        uint32_t v = (uint32_t)end->low;

        memcpy(to, &v, 4);
    } else {
        memcpy(to, &end->high, 8);
        memcpy(to + 8, &end->low, 8);
    }
}

static void flow_describe(const struct flow *flow, struct vfr_flow_info *info)
{
    const struct flow_key *key = &flow->key;
    bool icmp = key->protocol == 1 || key->protocol == 58;

    memset(info, 0, sizeof(*info));
    info->domid = flow->domid;
    info->family = key->family;
    end_bytes(&key->ends[0], key->family, info->source);
    end_bytes(&key->ends[1], key->family, info->target);
    info->source_port = (uint16_t)(icmp ? key->ends[0].port >> 8 : key->ends[0].port);
    info->target_port = (uint16_t)(icmp ? 0 : key->ends[1].port);
    info->protocol = key->protocol;
    info->state = flow->state;
    info->segment = key->segment;
    info->from = flow->from;
    info->to = flow->to;
    memcpy(info->packets, flow->packets, sizeof(info->packets));
    memcpy(info->bytes, flow->bytes, sizeof(info->bytes));
    info->begun_ns = flow->begun_ns;
    info->seen_ns = flow->seen_ns;
    info->ends_ns = flow->ends_ns;
}

static bool list_one(struct vfr_flows *flows, struct flow *flow, uint32_t domid, uint64_t now_ns, struct vfr_flow_info *info)
{
    uint32_t number = place_of(flow);
    struct flow_set *set;
    bool listed;

    if (number == FLOW_NO_SET)
        return false;
    set = set_of(flows, number);
    flow_lock(&set->lock);
    listed = place_of(flow) == number && flow->ends_ns > now_ns && (domid == ~0u || flow->domid == domid);
    if (listed)
        flow_describe(flow, info);
    flow_unlock(&set->lock);
    return listed;
}

uint32_t vfr_flows_list(struct vfr_flows *flows, uint64_t *cursor, uint32_t domid, struct vfr_flow_info *to, uint32_t room, uint64_t now_ns)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < LIST_STEPS && count < room && *cursor < flows->flows_max; n++, ++*cursor)
        if (list_one(flows, flow_at(flows, (uint32_t)*cursor), domid, now_ns, &to[count]))
            count++;
    if (*cursor >= flows->flows_max)
        *cursor = ~0ull;
    return count;
}

void vfr_flows_stats(struct vfr_flows *flows, struct vfr_flows_stats *stats)
{
    *stats = flows->stats;
    stats->flows = __atomic_load_n(&flows->used, __ATOMIC_RELAXED);
    stats->ended += stats->expired + stats->evicted;
}
