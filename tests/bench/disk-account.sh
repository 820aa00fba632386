#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A row's gap between Collet's guest and the native system, by what the instructions are for; after `SYMBOLS=1 disk.sh`.
#
#   disk-account.sh ROW [SYSTEM]      markdown; SYSTEM=collet
set -eu
here=$(cd "$(dirname "$0")" && pwd)
one=$(mktemp)
trap 'rm -f "$one"' EXIT
ALL=1 "$here/disk-profile.sh" "${2:-collet}" "$1" native >"$one"
awk -v row="$1" '
    function group(name) {
        if (name ~ /^collet:/) {
            sub(/^collet:/, "", name)
            if (name ~ /^(ring_|io_|piece_|answer_|block_|want|check_|grant_|frame_|barrier|refuse|limit|extent|segments_for|take_turns|next_)/) return "hypervisor: ring, checks, pins, answers"
            if (name ~ /^(disk|issue|take_|end_|queue_|slot|bucket|elevator|blk_sort|tree_|complete|count_issue|tell|poll_disk|trace_disk)/) return "hypervisor: queue and ordering module"
            if (name ~ /^(virtio|request_put|port_|slot_|blkdev)/) return "hypervisor: device driver"
            return "hypervisor: hypercalls, interrupts, events, switching, idle"
        }
        if (name ~ /^(xen_p[a-z0-9]*_val|__raw_callee_save_xen_p|mfn_to_pfn|xen_make|xen_get_|get_user_pages|internal_get_user|gup_|xen_set_p|xen_flush|arbitrary_virt|pte_mfn|__virt_to_mfn|get_phys_to_machine)/) return "guest: finding frames of the buffer through paravirtual page tables"
        if (name ~ /^(blkif|blkfront|gnttab|get_free_entries|get_id|put_free|free_entries|__radix|radix|add_id|virt[a-z]*q|virtio|virtblk|vring|vp_|detach_buf|sg_|memset|__kmalloc|__kmem_cache|kfree|kmalloc|dma_|iowrite|ioread|__blk_rq_map_sg|alloc_indirect|virtqueue|xa_find|xas_|memcpy|kmem|memcg_slab|bvec)/) return "guest: blkfront and grants, instead of virtio-blk"
        if (name ~ /evtchn|xen_|hypercall|irq|handle_edge|apic|asm_|sysvec|common_interrupt|hypervisor|notify_remote|HYPER|entry|restore_regs|exit_to|iret|error_/) return "guest: events and interrupts"
        if (name ~ /clock|ktime|tsc/) return "guest: clocks"
        return "guest: all else"
    }
    /^#/ { next }
    { sum[group($NF)] += $1; all += $1 }
    END {
        printf "| %s | instructions |\n|---|--:|\n", row
        for (g in sum) printf "| %s | %.0f |\n", g, sum[g] | "sort"
        close("sort")
        printf "| together | %.0f |\n", all
    }' "$one"
