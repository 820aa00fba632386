/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own memory: powers of two from 16 bytes to half a page carved out of single frames, whole frames above.
 *
 * A heap frame notes its size class in the frame table, so heap_free needs no header and objects are aligned at their size. Frames of
 * small classes are kept for that class: the heap serves long-lived objects, none of it on a hot path. Contract: alloc.h.
 */
#include "alloc.h"
#include "frame.h"
#include "lib/string.h"
#include "log.h"
#include "spinlock.h"

#define CLASS_MIN_SHIFT 4
#define CLASS_COUNT 8 /* 16 .. 2048 bytes */
#define LARGE 0x100u  /* in frame.next: | order */

struct free_object {
    struct free_object *next;
};

static struct spinlock heap_lock; /* protects heap_free_objects */
static struct free_object *heap_free_objects[CLASS_COUNT];

static unsigned int class_of(size_t bytes)
{
    unsigned int class = 0;

    while (((size_t)1 << (CLASS_MIN_SHIFT + class)) < bytes)
        class++;
    return class;
}

static bool class_refill(unsigned int class)
{
    size_t size = (size_t)1 << (CLASS_MIN_SHIFT + class);
    mfn_t mfn = frames_alloc(0);
    char *page;
    size_t at;

    if (!mfn_valid_number(mfn))
        return false;
    frame_of(mfn)->next = class;
    page = mfn_to_virt(mfn);
    spin_lock(&heap_lock);
    for (at = 0; at < PAGE_SIZE; at += size) {
        struct free_object *object = (struct free_object *)(page + at);

        object->next = heap_free_objects[class];
        heap_free_objects[class] = object;
    }
    spin_unlock(&heap_lock);
    return true;
}

static void *large_alloc(size_t bytes)
{
    unsigned int order = 0;
    mfn_t mfn;

    while ((PAGE_SIZE << order) < bytes)
        order++;
    mfn = frames_alloc(order);
    if (!mfn_valid_number(mfn))
        return NULL;
    frame_of(mfn)->next = LARGE | order;
    return memset(mfn_to_virt(mfn), 0, PAGE_SIZE << order);
}

void *heap_alloc(size_t bytes)
{
    unsigned int class;
    struct free_object *object;

    if (bytes > PAGE_SIZE / 2)
        return bytes <= (2ul << 20) ? large_alloc(bytes) : NULL;
    class = class_of(bytes);
    for (;;) {
        spin_lock(&heap_lock);
        object = heap_free_objects[class];
        if (object != NULL)
            heap_free_objects[class] = object->next;
        spin_unlock(&heap_lock);
        if (object != NULL)
            return memset(object, 0, (size_t)1 << (CLASS_MIN_SHIFT + class));
        if (!class_refill(class))
            return NULL;
    }
}

void heap_free(void *ptr)
{
    struct free_object *object = ptr;
    uint32_t class;

    if (ptr == NULL)
        return;
    class = frame_of(virt_to_mfn(ptr))->next;
    if (class & LARGE) {
        frames_free_unmapped(virt_to_mfn(ptr), class & ~LARGE); /* what guests map are pages of page_alloc */
        return;
    }
    BUG_ON(class >= CLASS_COUNT);
    spin_lock(&heap_lock);
    object->next = heap_free_objects[class];
    heap_free_objects[class] = object;
    spin_unlock(&heap_lock);
}

void *page_alloc(void)
{
    mfn_t mfn = frames_alloc(0);

    return mfn_valid_number(mfn) ? memset(mfn_to_virt(mfn), 0, PAGE_SIZE) : NULL;
}

void page_free(void *page)
{
    frames_free(virt_to_mfn(page), 0);
}
