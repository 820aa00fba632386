// SPDX-License-Identifier: MIT
/* A netfront for tiny kernels (net.h). */
#include "net.h"

/* ---- control ---- */

long net_create(uint32_t domid, struct net_front *f, const char *name, const struct collet_vif_settings *settings)
{
    static uint32_t device = 100;
    struct collet_vif_create a = {.domid = domid, .device = device++, .settings = *settings};
    long rc;

    memcpy(a.mac, f->mac, sizeof(a.mac));
    memcpy(a.name, name, MIN(strlen(name) + 1, sizeof(a.name)));
    memcpy(a.domain, "tiny", 5);
    rc = control(COLLET_OP_VIF_CREATE, &a);
    f->vif = a.vif;
    f->segment = settings->segment;
    return rc;
}

static int backend_port(void)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = BLK_BACKEND};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);

    if (rc != 0)
        give_up("port for the backend: %ld\n", rc);
    return (int)a.port;
}

void net_rings(struct net_front *f, bool one_port)
{
    if (f->tx == NULL) {
        f->tx = page_alloc();
        f->rx = page_alloc();
    }
    memset(f->tx, 0, PAGE_SIZE);
    memset(f->rx, 0, PAGE_SIZE);
    f->tx->req_event = f->tx->rsp_event = f->rx->req_event = f->rx->rsp_event = 1;
    f->tx_prod = f->tx_cons = f->rx_prod = f->rx_cons = f->bad_answers = 0;
    f->status = 0;
    memset(f->busy, 0, sizeof(f->busy));
    f->tx_ref = blk_grant(f->tx, 0);
    f->rx_ref = blk_grant(f->rx, 0);
    f->tx_port = backend_port();
    f->rx_port = one_port ? f->tx_port : backend_port();
}

void net_rings_away(struct net_front *f)
{
    check("ring-refs-given-back", blk_ungrant(f->tx_ref) && blk_ungrant(f->rx_ref));
    port_close(f->tx_port);
    if (f->rx_port != f->tx_port)
        port_close(f->rx_port);
}

long net_connect(struct net_front *f, uint32_t features)
{
    struct collet_vif_connect a = {
        .vif = f->vif, .features = features, .tx_ref = f->tx_ref, .rx_ref = f->rx_ref, .tx_port = (uint32_t)f->tx_port, .rx_port = (uint32_t)f->rx_port};

    return control(COLLET_OP_VIF_CONNECT, &a);
}

static long ref_call(unsigned int op, uint32_t vif)
{
    struct collet_vif_ref a = {.vif = vif};
    uint64_t until = now_ns() + 60000000000;
    long rc;

    do
        rc = control(op, &a);
    while (rc == X_EINTR && now_ns() < until);
    return rc;
}

long net_disconnect(uint32_t vif)
{
    return ref_call(COLLET_OP_VIF_DISCONNECT, vif);
}

long net_destroy(uint32_t vif)
{
    return ref_call(COLLET_OP_VIF_DESTROY, vif);
}

bool net_info(uint32_t vif, struct collet_vif_info *info)
{
    struct collet_vif_list list = {.first_vif = vif, .count = 1, .buffer = (uint64_t)info, .entry_bytes = sizeof(*info), .domid = ~0u};

    return control(COLLET_OP_VIF_LIST, &list) == 0 && list.count == 1 && info->vif == vif;
}

bool net_nic(uint32_t nic, struct collet_nic_info *info)
{
    struct collet_nic_list list = {.first = nic, .count = 1, .buffer = (uint64_t)info, .entry_bytes = sizeof(*info)};

    return control(COLLET_OP_NIC_LIST, &list) == 0 && list.count == 1 && info->nic == nic;
}

void net_attach(struct net_front *f, const char *name, uint32_t segment, unsigned int number, uint32_t features)
{
    struct collet_vif_settings settings = {.flags = COLLET_VIF_SPOOF_OK, .segment = segment};
    long rc;

    memcpy(f->mac, (const uint8_t[6]){0x00, 0x16, 0x3e, 0, 0, (uint8_t)number}, 6);
    rc = net_create(0, f, name, &settings);
    if (rc != 0)
        give_up("vif %s: create: %ld\n", name, rc);
    net_rings(f, false);
    net_post(f, NET_BUFFERS);
    rc = net_connect(f, features);
    if (rc != 0)
        give_up("vif %s: connect: %ld\n", name, rc);
}

void net_detach(struct net_front *f)
{
    long rc = net_destroy(f->vif);

    if (rc != 0)
        give_up("vif %u: destroy: %ld\n", f->vif, rc);
    net_rings_away(f);
}

/* ---- waiting ---- */

static void poll_port(int port, uint64_t until)
{
    evtchn_port_t ports[1] = {(evtchn_port_t)port};
    struct sched_poll p = {.nr_ports = 1, .timeout = until};

    set_xen_guest_handle(p.ports, ports);
    sched_op(SCHEDOP_poll, &p);
}

/* Until the other end's index is beyond `seen`. */
static bool ring_wait(volatile uint32_t *rsp_prod, volatile uint32_t *rsp_event, uint32_t seen, int port, uint64_t ns)
{
    uint64_t until = 0;

    while (__atomic_load_n(rsp_prod, __ATOMIC_ACQUIRE) == seen) {
        uint64_t now = now_ns();

        if (until == 0)
            until = now + ns;
        if (now >= until)
            return false;
        port_forget(port);
        *rsp_event = seen + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (__atomic_load_n(rsp_prod, __ATOMIC_ACQUIRE) == seen)
            poll_port(port, until + 1000);
    }
    return true;
}

/* ---- sending ---- */

struct netif_tx_request *net_slot(struct net_front *f)
{
    uint32_t slot = f->tx_prod++ % NET_RING;
    struct netif_tx_request *req = &f->tx->ring[slot].req;

    memset(req, 0, sizeof(*req));
    req->id = (uint16_t)slot;
    f->busy[slot] = true;
    return req;
}

void net_push(struct net_front *f)
{
    uint32_t old = f->tx->req_prod, new = f->tx_prod;

    __atomic_store_n(&f->tx->req_prod, new, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (new - *(volatile uint32_t *)&f->tx->req_event < new - old)
        port_send(f->tx_port);
}

static void answer_take(struct net_front *f)
{
    struct netif_tx_response rsp = f->tx->ring[f->tx_cons++ % NET_RING].rsp;

    if (rsp.status == NETIF_RSP_NULL)
        return;
    if (rsp.id >= NET_RING || !f->busy[rsp.id]) {
        note("vif %u: an answer to id %u, which was not sent\n", f->vif, rsp.id);
        check("answers-have-ids-that-were-sent", false);
        return;
    }
    f->busy[rsp.id] = false;
    if (rsp.status != NETIF_RSP_OKAY) {
        f->bad_answers++;
        f->status = MIN(f->status, rsp.status);
    }
}

bool net_answered(struct net_front *f, uint64_t ns)
{
    while (f->tx_cons != f->tx_prod) {
        if (!ring_wait(&f->tx->rsp_prod, &f->tx->rsp_event, f->tx_cons, f->tx_port, ns)) {
            note("vif %u: %u slots sent, %u answered\n", f->vif, f->tx_prod, f->tx_cons);
            return false;
        }
        answer_take(f);
    }
    return true;
}

unsigned int net_chain(struct net_front *f, const void *data, uint32_t bytes, const struct net_how *how)
{
    const uint8_t *at = data;
    uint32_t left = bytes, begin = f->tx_prod, part = how->part != 0 ? how->part : PAGE_SIZE;

    while (left > 0) {
        uint32_t offset = (uint32_t)((uint64_t)at & (PAGE_SIZE - 1)), size = MIN(MIN(left, part), (uint32_t)PAGE_SIZE - offset);
        bool first = left == bytes;
        struct netif_tx_request *req = net_slot(f);

        if (first && how->first != 0)
            size = MIN(how->first, size);
        req->gref = blk_ref_of(at);
        req->offset = (uint16_t)offset;
        req->size = (uint16_t)(first ? bytes : size);
        req->flags = (first ? how->flags : 0) | (left > size ? NETTXF_more_data : 0);
        if (first && how->segmentation != XEN_NETIF_GSO_TYPE_NONE) {
            struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = how->segment_bytes, .type = how->segmentation}};
            uint32_t slot = f->tx_prod++ % NET_RING;

            req->flags |= NETTXF_extra_info;
            memcpy(&f->tx->ring[slot], &extra, sizeof(extra));
        }
        at += size;
        left -= size;
    }
    return f->tx_prod - begin;
}

int net_send(struct net_front *f, const void *data, uint32_t bytes, const struct net_how *how)
{
    f->status = 0;
    net_chain(f, data, bytes, how);
    net_push(f);
    return net_answered(f, NET_WAIT_NS) ? f->status : NET_NO_ANSWER;
}

/* ---- receiving ---- */

static void post_one(struct net_front *f, uint16_t buffer)
{
    uint32_t slot = f->rx_prod++ % NET_RING;

    f->posted[slot] = buffer;
    f->rx->ring[slot].req = (struct netif_rx_request){.id = buffer, .gref = blk_ref_of(f->buffers + buffer * PAGE_SIZE)};
}

static void post_show(struct net_front *f)
{
    uint32_t old = f->rx->req_prod, new = f->rx_prod;

    __atomic_store_n(&f->rx->req_prod, new, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (new - *(volatile uint32_t *)&f->rx->req_event < new - old)
        port_send(f->rx_port);
}

void net_post(struct net_front *f, unsigned int count)
{
    if (f->buffers == NULL)
        f->buffers = blk_pages(NET_BUFFERS);
    for (unsigned int i = 0; i < count; i++)
        post_one(f, (uint16_t)i);
    post_show(f);
}

/* A slot's answer; its buffer is posted again by the caller. */
static bool slot_take(struct net_front *f, uint8_t *to, struct net_got *got)
{
    uint32_t slot = f->rx_cons++ % NET_RING;
    struct netif_rx_response rsp = f->rx->ring[slot].rsp;

    if (rsp.status < 0) {
        got->bad = true;
        return rsp.flags & NETRXF_more_data;
    }
    if (rsp.id != f->posted[slot] || rsp.status == 0 || rsp.offset + (uint32_t)rsp.status > PAGE_SIZE) {
        note("vif %u: slot %u: buffer %u, answer id %u, offset %u, status %d\n", f->vif, slot, f->posted[slot], rsp.id, rsp.offset, rsp.status);
        check("frames-come-into-the-buffers-posted", false);
        got->bad = true;
        return false;
    }
    if (got->buffers++ == 0)
        got->flags = rsp.flags;
    if (to != NULL)
        memcpy(to + got->bytes, f->buffers + f->posted[slot] * PAGE_SIZE + rsp.offset, (size_t)rsp.status);
    got->bytes += (uint32_t)rsp.status;
    return rsp.flags & NETRXF_more_data;
}

static bool extra_take(struct net_front *f, struct net_got *got)
{
    uint32_t slot = f->rx_cons % NET_RING;
    struct netif_extra_info extra;

    if (!ring_wait(&f->rx->rsp_prod, &f->rx->rsp_event, f->rx_cons, f->rx_port, NET_WAIT_NS))
        return false;
    memcpy(&extra, &f->rx->ring[slot], sizeof(extra));
    f->rx_cons++;
    post_one(f, f->posted[slot]);
    check("extra-is-of-segmentation", extra.type == XEN_NETIF_EXTRA_TYPE_GSO && extra.flags == 0);
    got->segmentation = extra.u.gso.type;
    got->segment_bytes = extra.u.gso.size;
    return true;
}

bool net_receive(struct net_front *f, void *to, struct net_got *got, uint64_t ns)
{
    bool more = true;

    memset(got, 0, sizeof(*got));
    while (more) {
        uint32_t slot = f->rx_cons % NET_RING;
        bool first = got->buffers == 0;

        if (!ring_wait(&f->rx->rsp_prod, &f->rx->rsp_event, f->rx_cons, f->rx_port, first ? ns : NET_WAIT_NS))
            return false;
        more = slot_take(f, to, got);
        post_one(f, f->posted[slot]);
        if (first && got->buffers == 1 && (got->flags & NETRXF_extra_info) && !extra_take(f, got))
            return false;
    }
    post_show(f);
    return true;
}

unsigned int net_drain(struct net_front *f)
{
    unsigned int n = 0;
    struct net_got got;

    while (net_receive(f, NULL, &got, 0))
        n++;
    return n;
}

/* ---- frames ---- */

static uint32_t sum_add(const uint8_t *at, uint32_t bytes, uint32_t sum)
{
    uint64_t all = sum;

    for (uint32_t i = 0; i + 1 < bytes; i += 2)
        all += (uint32_t)(at[i] << 8 | at[i + 1]);
    if (bytes & 1)
        all += (uint32_t)(at[bytes - 1] << 8);
    while (all >> 16)
        all = (all & 0xffff) + (all >> 16);
    return (uint32_t)all;
}

uint16_t net_sum(const void *at, uint32_t bytes, uint32_t sum)
{
    return (uint16_t)~sum_add(at, bytes, sum);
}

static uint32_t pseudo(const uint8_t *ip, unsigned int family, unsigned int protocol, uint32_t bytes)
{
    return family == 4 ? sum_add(ip + 12, 8, protocol + bytes) : sum_add(ip + 8, 32, protocol + bytes);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static uint8_t payload_byte(uint32_t i, uint64_t tag)
{
    return (uint8_t)((i + tag) * 7 + (i >> 8) * 13 + (tag >> 8));
}

static void ip_fill(uint8_t *ip, uint8_t from, uint8_t to, unsigned int family, unsigned int protocol, uint32_t bytes)
{
    if (family == 4) {
        memcpy(ip, (const uint8_t[20]){0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, (uint8_t)protocol, 0, 0, 10, 9, 0, from, 10, 9, 0, to}, 20);
        put16(ip + 2, bytes + 20);
        put16(ip + 10, net_sum(ip, 20, 0));
        return;
    }
    memset(ip, 0, 40);
    ip[0] = 0x60;
    put16(ip + 4, bytes);
    ip[6] = (uint8_t)protocol;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd;
    ip[23] = from;
    ip[39] = to;
}

uint32_t net_frame(void *at, const struct net_front *from, const uint8_t *to, unsigned int family, unsigned int protocol, uint32_t payload, uint64_t tag, bool blank)
{
    uint8_t *frame = at, *ip = frame + 14, *l4 = ip + (family == 4 ? 20 : 40), *data = l4 + (protocol == NET_TCP ? 20 : 8);
    uint8_t *sum = l4 + (protocol == NET_TCP ? 16 : protocol == NET_UDP ? 6 : 2);
    uint32_t bytes = payload + (uint32_t)(data - l4), over;

    memcpy(frame, to, 6);
    memcpy(frame + 6, from->mac, 6);
    put16(frame + 12, family == 4 ? 0x0800 : 0x86dd);
    ip_fill(ip, from->mac[5], to[5], family, protocol, bytes);
    memset(l4, 0, (size_t)(data - l4));
    if (protocol == NET_TCP) {
        put16(l4, 1000);
        put16(l4 + 2, 2000);
        put16(l4 + 6, (uint32_t)tag);
        l4[12] = 5 << 4;
        l4[13] = 0x18;
        put16(l4 + 14, 0xffff);
    } else if (protocol == NET_UDP) {
        put16(l4, 3000);
        put16(l4 + 2, 4000);
        put16(l4 + 4, bytes);
    } else {
        l4[0] = 8; /* echo */
        put16(l4 + 6, (uint32_t)tag);
    }
    for (uint32_t i = 0; i < payload; i++)
        data[i] = payload_byte(i, tag);
    over = protocol == NET_ICMP ? 0 : pseudo(ip, family, protocol, bytes);
    put16(sum, blank ? over : net_sum(l4, bytes, over));
    return (uint32_t)(data - frame) + payload;
}

void net_readdress(void *at, uint32_t bytes, const uint8_t *from, const uint8_t *to, bool blank)
{
    uint8_t *ip = (uint8_t *)at + 14, *l4 = ip + 20, *sum = l4 + (ip[9] == NET_TCP ? 16 : 6);
    uint32_t over;

    memcpy(ip + 12, from, 4);
    memcpy(ip + 16, to, 4);
    put16(ip + 10, 0);
    put16(ip + 10, net_sum(ip, 20, 0));
    if (ip[9] == NET_ICMP)
        return;
    put16(sum, 0);
    over = pseudo(ip, 4, ip[9], bytes - 34);
    put16(sum, blank ? over : net_sum(l4, bytes - 34, over));
}

bool net_payload_good(const void *payload, uint32_t offset, uint32_t bytes, uint64_t tag)
{
    const uint8_t *at = payload;

    for (uint32_t i = 0; i < bytes; i++)
        if (at[i] != payload_byte(offset + i, tag)) {
            note("payload %u of %u: %x for %x\n", offset + i, bytes, at[i], payload_byte(offset + i, tag));
            return false;
        }
    return true;
}

bool net_frame_good(const void *at, uint32_t bytes, uint32_t offset, uint64_t tag, bool blank)
{
    const uint8_t *frame = at, *ip = frame + 14, *l4, *data;
    unsigned int family = ip[0] >> 4, protocol = family == 4 ? ip[9] : ip[6];
    uint32_t header = family == 4 ? 20 : 40, l4_bytes = bytes - 14 - header, over;

    l4 = ip + header;
    data = l4 + (protocol == NET_TCP ? 20 : 8);
    if (bytes < (uint32_t)(data - frame) || (family == 4 ? get16(ip + 2) != bytes - 14 || net_sum(ip, 20, 0) != 0 : get16(ip + 4) != l4_bytes)) {
        note("frame of %u: family %u, length %u, sum %x\n", bytes, family, get16(ip + (family == 4 ? 2 : 4)), net_sum(ip, 20, 0));
        return false;
    }
    if (protocol == NET_TCP && (get16(l4 + 4) << 16 | get16(l4 + 6)) != (uint32_t)(tag & 0xffff) + offset) {
        note("sequence %u, offset %u\n", get16(l4 + 4) << 16 | get16(l4 + 6), offset);
        return false;
    }
    over = pseudo(ip, family, protocol, l4_bytes);
    if (!blank && net_sum(l4, l4_bytes, over) != 0) {
        note("frame of %u: the sum is wrong by %x\n", bytes, net_sum(l4, l4_bytes, over));
        return false;
    }
    return net_payload_good(data, offset, bytes - (uint32_t)(data - frame), tag);
}
