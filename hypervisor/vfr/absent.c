// SPDX-License-Identifier: MIT
/*
 * Parts of the router that are still being written, said to be absent, so that every state of the tree links. Each weak answer here gives way to the real function when its file comes; the file goes with the last of them.
 */
#include "vfr-internal.h"

#include <hv/errno.h>

#define weak __attribute__((weak))

weak int vfr_engine_create(struct vfr_engine **engine unused_arg, const struct vfr_source *source unused_arg, const struct vfr_memory *memory unused_arg, struct vfr_load_error *error unused_arg)
{
    return -ENOSYS;
}
weak void vfr_engine_destroy(struct vfr_engine *engine unused_arg)
{
}
weak void vfr_engine_inherit(struct vfr_engine *engine unused_arg, struct vfr_engine *old unused_arg, bool settled unused_arg)
{
}
weak void vfr_engine_bind(const struct vfr_engine *engine unused_arg, const struct vfr_iface *iface unused_arg, struct vfr_binding *binding unused_arg)
{
}
weak bool vfr_engine_means(const struct vfr_engine *engine unused_arg, uint32_t target unused_arg, const struct vfr_iface *iface unused_arg)
{
    return false;
}
weak void vfr_engine_judge(struct vfr_engine *engine unused_arg, const struct vfr_packet *packet unused_arg, unsigned int direction unused_arg, const struct vfr_binding *binding unused_arg, uint32_t cpu unused_arg,
                           uint64_t now_ns unused_arg, struct vfr_verdict *verdict)
{
    *verdict = (struct vfr_verdict){.action = VFR_DROP, .rule = VFR_NO_RULE};
}
weak bool vfr_engine_wants_flows(const struct vfr_engine *engine unused_arg)
{
    return false;
}
weak uint32_t vfr_engine_rules(const struct vfr_engine *engine unused_arg)
{
    return 0;
}
weak uint64_t vfr_engine_bytes(const struct vfr_engine *engine unused_arg)
{
    return 0;
}
weak void vfr_engine_rule_info(struct vfr_engine *engine unused_arg, uint32_t rule unused_arg, struct vfr_rule_info *info unused_arg)
{
}

weak int vfr_flows_create(struct vfr_flows **flows unused_arg, uint32_t flows_max unused_arg, const struct vfr_memory *memory unused_arg)
{
    return -ENOSYS;
}
weak void vfr_flows_destroy(struct vfr_flows *flows unused_arg)
{
}
weak void vfr_flows_find(struct vfr_flows *flows unused_arg, struct vfr_packet *packet unused_arg, uint32_t segment unused_arg, uint64_t now_ns unused_arg)
{
}
weak void vfr_flows_keep(struct vfr_flows *flows unused_arg, struct vfr_packet *packet unused_arg, uint32_t segment unused_arg, uint64_t now_ns unused_arg)
{
}
weak void vfr_flows_refuse(struct vfr_flows *flows unused_arg, struct vfr_packet *packet unused_arg)
{
}
weak bool vfr_flows_forget(struct vfr_flows *flows unused_arg, uint32_t domid unused_arg, uint64_t *cursor unused_arg)
{
    return true;
}
weak uint32_t vfr_flows_list(struct vfr_flows *flows unused_arg, uint64_t *cursor, uint32_t domid unused_arg, struct vfr_flow_info *to unused_arg, uint32_t room unused_arg, uint64_t now_ns unused_arg)
{
    *cursor = ~0ull;
    return 0;
}
weak void vfr_flows_stats(struct vfr_flows *flows unused_arg, struct vfr_flows_stats *stats)
{
    *stats = (struct vfr_flows_stats){0};
}

weak long vif_create(struct collet_vif_create *op unused_arg)
{
    return -ENOSYS;
}
weak long vif_destroy(uint32_t id unused_arg)
{
    return -ENOSYS;
}
weak long vif_connect(const struct collet_vif_connect *op unused_arg)
{
    return -ENOSYS;
}
weak long vif_disconnect(uint32_t id unused_arg)
{
    return -ENOSYS;
}
weak long vif_set(const struct collet_vif_set *op unused_arg)
{
    return -ENOSYS;
}
weak long vif_info(uint32_t from unused_arg, uint32_t domid unused_arg, struct collet_vif_info *info unused_arg)
{
    return -ENOENT;
}
weak long nic_info(uint32_t nic unused_arg, struct collet_nic_info *info unused_arg)
{
    return -ENOENT;
}
weak long net_sched_use(const char *module unused_arg)
{
    return -ENOSYS;
}
weak const char *net_sched_active(void)
{
    return "";
}
