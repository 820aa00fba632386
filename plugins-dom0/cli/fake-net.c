// SPDX-License-Identifier: MIT
/* libcollet's functions on the network, answered from struct fake_net. See fake-net.h. */
#include "fake-net.h"
#include "fake-handle.h"

#include <vfr/ruleset.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_net fake_net;

void fake_net_reset(void)
{
    struct collet_vif_info *web = &fake_net.vifs[0], *db = &fake_net.vifs[1];

    free(fake_net.set);
    memset(&fake_net, 0, sizeof(fake_net));
    fake_net.nic_count = 1;
    fake_net.nics[0] = (struct collet_nic_info){ .flags = COLLET_NIC_LINK | COLLET_NIC_CAN_SUM, .name = "nic0", .driver = "virtio-net", .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, .mtu = 1500, .queues = 1, .depth = 256 };
    fake_net.nics[0].tx = (struct collet_net_counters){ .packets = 10, .bytes = 5000, .segments = 12 };
    fake_net.nics[0].rx = (struct collet_net_counters){ .packets = 20, .bytes = 9000, .segments = 20, .dropped = { [COLLET_NET_DROP_NO_ROUTE] = 4 } };
    fake_net.vif_count = 2;
    *web = (struct collet_vif_info){ .vif = 3, .domid = 3, .flags = COLLET_VIF_CONNECTED, .name = "web.0", .domain = "web", .mac = { 0, 0x16, 0x3e, 1, 2, 3 }, .features = COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 };
    web->settings = (struct collet_vif_settings){ .weight = 100, .addresses = 2, .bytes_per_s = 10u << 20, .packets_per_s = 500 };
    web->settings.address[0] = (struct collet_address){ .bytes = { 10, 0, 2, 16 }, .family = 4, .bits = 32 };
    web->settings.address[1] = (struct collet_address){ .bytes = { 0xfe, 0xc0 }, .family = 6, .bits = 64 };
    web->tx = (struct collet_net_counters){ .packets = 100, .bytes = 64000, .segments = 150, .dropped = { [COLLET_NET_DROP_RULE] = 3, [COLLET_NET_DROP_SPOOF] = 1 } };
    web->rx = (struct collet_net_counters){ .packets = 90, .bytes = 9000, .segments = 90 };
    *db = (struct collet_vif_info){ .vif = 5, .domid = 4, .flags = COLLET_VIF_BROKEN, .name = "db.0", .domain = "db", .mac = { 0, 0x16, 0x3e, 4, 5, 6 }, .broken_why = "requests beyond the ring" };
    db->settings = (struct collet_vif_settings){ .flags = COLLET_VIF_SPOOF_OK, .segment = COLLET_SEGMENT_OWN + 3, .weight = 100 };
    strcpy(fake_net.sched, "round-robin");
    fake_net.flows_room = 32768;
    fake_net.flow_count = 3;
    fake_net.flows[0] = (struct vfr_flow_info){ .domid = 3, .family = 4, .source = { 10, 0, 2, 16 }, .target = { 10, 0, 2, 2 }, .source_port = 40000, .target_port = 80, .protocol = 6, .state = VFR_FLOW_OPEN, .packets = { 7, 5 }, .bytes = { 700, 5000 }, .seen_ns = 1000 };
    fake_net.flows[1] = (struct vfr_flow_info){ .domid = 4, .family = 6, .source = { 0xfe, 0xc0 }, .target = { 0xfe, 0xc0, [15] = 2 }, .source_port = 1, .target_port = 53, .protocol = 17, .state = VFR_FLOW_ONE_WAY, .packets = { 1 }, .bytes = { 70 }, .seen_ns = 3000 };
    fake_net.flows[2] = (struct vfr_flow_info){ .domid = 9, .family = 4, .source = { 1, 1, 1, 1 }, .target = { 10, 0, 2, 16 }, .source_port = 77, .protocol = 1, .state = VFR_FLOW_TWO_WAY, .packets = { 2, 2 }, .bytes = { 168, 168 }, .seen_ns = 2000 };
}

int collet_nic_list(struct collet *c, struct collet_nic_info **nics)
{
    (void)c;
    *nics = copy(fake_net.nics, sizeof(fake_net.nics[0]) * (size_t)fake_net.nic_count);
    return fake_net.nic_count;
}

int collet_vif_list(struct collet *c, uint32_t domid, struct collet_vif_info **vifs)
{
    int n = 0;

    (void)c;
    *vifs = calloc(FAKE_VIFS, sizeof(**vifs));
    for (int i = 0; i < fake_net.vif_count; i++)
        if (domid == COLLET_VIFS_ALL || fake_net.vifs[i].domid == domid)
            (*vifs)[n++] = fake_net.vifs[i];
    return n;
}

int collet_vif_info(struct collet *c, uint32_t vif, struct collet_vif_info *info)
{
    for (int i = 0; i < fake_net.vif_count; i++)
        if (fake_net.vifs[i].vif == vif) {
            *info = fake_net.vifs[i];
            return 0;
        }
    return fail(c, -ENOENT, "there is no such VIF");
}

int collet_vif_find(struct collet *c, const char *name_or_id, struct collet_vif_info *info)
{
    for (int i = 0; i < fake_net.vif_count; i++)
        if (strcmp(fake_net.vifs[i].name, name_or_id) == 0)
            return collet_vif_info(c, fake_net.vifs[i].vif, info);
    return collet_vif_info(c, (uint32_t)strtoul(name_or_id, NULL, 10), info);
}

int collet_vif_set(struct collet *c, uint32_t vif, const struct collet_vif_settings *settings)
{
    for (int i = 0; i < fake_net.vif_count; i++)
        if (fake_net.vifs[i].vif == vif) {
            fake_net.vifs[i].settings = *settings;
            return 0;
        }
    return fail(c, -ENOENT, "there is no such VIF");
}

int collet_net_sched_list(struct collet *c, struct collet_sched_module **modules)
{
    struct collet_sched_module all[] = { { .name = "round-robin", .summary = "in turn" }, { .name = "weighted", .summary = "by weight" } };

    (void)c;
    for (int i = 0; i < 2; i++)
        all[i].active = strcmp(all[i].name, fake_net.sched) == 0;
    *modules = copy(all, sizeof(all));
    return 2;
}

int collet_net_sched_use(struct collet *c, const char *module)
{
    if (strcmp(module, "round-robin") != 0 && strcmp(module, "weighted") != 0)
        return fail(c, -ENOENT, "there is no packet scheduler of that name");
    strcpy(fake_net.sched, module);
    return 0;
}

int collet_rule_kinds(struct collet *c, struct collet_sched_module **kinds)
{
    static const struct collet_sched_module all[] = { { .name = "limit", .summary = "so many a second", .params = 4, .active = 2 } };

    (void)c;
    *kinds = copy(all, sizeof(all));
    return 1;
}

/* ---- Rules ---- */

int collet_rules_load(struct collet *c, const void *set, size_t bytes, struct collet_rules_load *load)
{
    if (fake_net.load_rc != 0)
        return fail(c, fake_net.load_rc, "the hypervisor refused the rules");
    if (load->expect != ~0ull && load->expect != fake_net.generation)
        return fail(c, -ESTALE, "other rules were loaded meanwhile");
    free(fake_net.set);
    fake_net.set = copy(set != NULL ? set : "", bytes);
    fake_net.set_bytes = bytes;
    fake_net.rules = bytes >= sizeof(struct vfr_set_header) ? ((const struct vfr_set_header *)set)->count[VFR_SET_RULES] : 0;
    fake_net.generation = load->generation = bytes != 0 ? ++fake_net.generations : 0;
    fake_net.confirm_left_ns = load->confirm_ms * 1000000ull;
    fake_net.load = *load;
    return 0;
}

int collet_rules_confirm(struct collet *c, uint64_t generation, bool keep)
{
    if (fake_net.confirm_left_ns == 0 || generation != fake_net.generation)
        return fail(c, -ESTALE, "that generation does not wait to be confirmed");
    fake_net.confirm_left_ns = 0;
    fake_net.confirms += keep;
    fake_net.undone += !keep;
    return 0;
}

int collet_rules_info(struct collet *c, struct collet_rules_info *info)
{
    (void)c;
    *info = (struct collet_rules_info){ .generation = fake_net.generation,
                                        .confirm_left_ns = fake_net.confirm_left_ns,
                                        .loaded_ns = 1000000000,
                                        .bytes = fake_net.set_bytes,
                                        .memory_bytes = 40960,
                                        .rules = fake_net.rules,
                                        .flows_on = fake_net.flows_on,
                                        .flows_max = fake_net.flows_room };
    return 0;
}

int collet_rules_read(struct collet *c, uint64_t generation, void **set, size_t *bytes)
{
    (void)generation;
    if (fake_net.stale_times > 0) {
        fake_net.stale_times--;
        return fail(c, -ESTALE, "other rules are in force now");
    }
    *set = fake_net.set != NULL ? copy(fake_net.set, fake_net.set_bytes) : NULL;
    *bytes = fake_net.set_bytes;
    return 0;
}

int collet_rules_counters(struct collet *c, uint64_t generation, struct collet_rule_counter **counters)
{
    (void)c, (void)generation;
    *counters = calloc(fake_net.rules + 1, sizeof(**counters));
    for (uint32_t i = 0; i <= fake_net.rules; i++)
        (*counters)[i] = (struct collet_rule_counter){ .packets = i * 10, .bytes = i * 1000, .last_ns = i * 1000000000ull };
    return (int)fake_net.rules + 1;
}

/* ---- Flows ---- */

int collet_flows_set(struct collet *c, bool on, uint32_t flows_max)
{
    (void)c;
    fake_net.flows_on = on;
    fake_net.flows_sets++;
    if (flows_max != 0)
        fake_net.flows_room = flows_max;
    return 0;
}

int collet_flows_list(struct collet *c, uint32_t domid, struct vfr_flow_info **flows)
{
    int n = 0;

    (void)c;
    *flows = calloc(FAKE_FLOWS, sizeof(**flows));
    for (int i = 0; i < fake_net.flow_count; i++)
        if (domid == COLLET_VIFS_ALL || fake_net.flows[i].domid == domid)
            (*flows)[n++] = fake_net.flows[i];
    return n;
}
