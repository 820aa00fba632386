/* SPDX-License-Identifier: MIT */
/*
 * What the files of libcollet share: the handle, and the transport below it.
 *
 * The transport is all that touches the kernel's devices (transport.c); tests put a hypervisor of their own in its place (fake-hypervisor.c). Functions answer 0 or more, or -errno.
 */
#pragma once

#include <collet/collet.h>
#include <image/elf-image.h>

#include <assert.h>
#include <stdarg.h>
#include <sys/stat.h>

#define PAGE_BYTES 4096u
#define DATA_BYTES (64u << 10) /* room for lists and text in one call */
#define SENTENCE_BYTES 512

struct transport {
    /* The private hypercall. */
    long (*hypercall)(void *state, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version);
    /* Zeroed memory that the hypervisor can read and write at any time; NULL: none. */
    void *(*memory)(void *state, size_t bytes);
    void (*memory_free)(void *state, void *memory, size_t bytes);
    /* Frames of another domain, read-only, at an address to be given to munmap(); NULL with errno. */
    void *(*map)(void *state, uint32_t domid, const uint64_t *mfns, size_t count);
    /* A descriptor that delivers ports of this virtual IRQ as uint32_t, and takes them back to unmask them. */
    int (*virq)(void *state, unsigned int virq, uint32_t *port);
    void (*close)(void *state);
};

struct collet {
    const struct transport *transport;
    void *state;
    uint8_t *arg;  /* PAGE_BYTES for argument structures, then DATA_BYTES: the hypervisor's view */
    uint8_t *data;
    int changes_fd; /* -1: none */
    uint32_t changes_port;
    int (*cancelled)(void *arg); /* or NULL */
    void *cancel_arg;
    char error[SENTENCE_BYTES];
};

/* Over the devices of Linux: *state for the transport, or -errno with a sentence in c. */
int transport_linux_open(struct collet *c);
/* The rest of collet_open(), over any transport that is in place. */
int collet_begin(struct collet *c);

/* Puts a sentence; answers rc. */
__attribute__((format(printf, 3, 4))) int collet_fail(struct collet *c, int rc, const char *format, ...);
const char *collet_op_name(enum collet_op op);

/* One attempt at an operation, without a sentence: collet_explain() makes it. The structure comes back even after a failure, for some tell what was wrong in it. */
long collet_call(struct collet *c, enum collet_op op, void *arg, size_t bytes);
int collet_explain(struct collet *c, enum collet_op op, int rc);
/* What the operation means by this -errno, to complete a sentence. */
const char *collet_reason(enum collet_op op, int rc);

/* Memory that the hypervisor can reach, for longer than one call. */
void *collet_memory(struct collet *c, size_t bytes);
void collet_memory_free(struct collet *c, void *memory, size_t bytes);

/* ---- Lists and names (calls.c) ---- */

/* A list that is read in pieces: the operation's structure, its fields that say where from and how many, and the number to go on from after an entry. */
struct list {
    enum collet_op op;
    void *arg;
    size_t arg_bytes;
    uint32_t *first, *count;
    size_t entry_bytes;
    uint32_t (*next)(const void *last, uint32_t first, uint32_t count);
};

/* The whole list, in a new array for free(): number or -errno, then *entries is NULL. */
int list_read(struct collet *c, const struct list *l, void **entries);
uint32_t list_next_by_index(const void *last, uint32_t first, uint32_t count);
/* For operations that answer -EINTR as long as a device has something: they are called again, with naps between that grow to 10 ms, until there is another answer or the time is over. */
struct patience {
    uint64_t until_ns, called_ns;
    unsigned int nap_us;
};
/* Twice the hypervisor's limit for a disk (disk_timeout_ms), after which each request has ended in one way or another, and some. */
#define END_LIMIT_MS 150000u
void patience_begin(struct patience *p, unsigned int limit_ms);
bool patience_again(struct patience *p, int rc);

/* Address of c->data for an operation. */
uint64_t data_address(const struct collet *c);
/* False: too long. */
bool name_set(char to[COLLET_NAME_MAX], const char *name);
/* A decimal number without sign, spaces or anything behind it. */
bool number_parse(const char *text, uint32_t *number);

/* ---- Images ---- */

#define IMAGE_BYTES_MAX (512ull << 20) /* unpacked */
#define PACKED_BYTES_MAX (256ull << 20)

struct collet_image {
    int fd;               /* of the ELF file: the caller's, one in the cache, or one that has no name */
    const uint8_t *bytes; /* mapped */
    size_t size;
    struct elf_image elf;
    char *path; /* for sentences */
};

/* Where unpacked bytes go; non-zero stops the unpacking and is its answer. */
struct unpack_sink {
    int (*take)(struct unpack_sink *sink, const void *bytes, size_t count);
    uint64_t limit; /* more than this is no kernel */
    uint64_t total; /* counted by unpack() */
};

/* What is wrong, in words, goes to *why. -ENOEXEC: damaged, or of a form that is not known; -EFBIG, -ENOMEM; what the sink answers. Never reads outside of bytes. */
int unpack(const uint8_t *bytes, size_t size, struct unpack_sink *sink, const char **why);
/* For its decoders: hand some bytes on, within the limit; the sentence for what does not decode; and one decoder that has a file of its own. */
int unpack_give(struct unpack_sink *sink, const void *bytes, size_t count, const char **why);
extern const char unpack_damaged[];
int unpack_lz4(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why);
/* The name of the packing if the bytes begin like something packed ("xz"), else NULL. */
const char *unpack_form(const uint8_t *bytes, size_t size);
/* The packed kernel within a Linux bzImage. 0; -ENOENT: it is no bzImage; -ENOEXEC: it is a damaged one (*why). */
int bzimage_payload(const uint8_t *bytes, size_t size, const uint8_t **payload, size_t *payload_bytes, const char **why);

/* An open unpacked kernel of this file from the cache, or -ENOENT. */
int cache_find(const char *folder, const char *path, const struct stat *status);
/* A file of the cache while it is filled: cache_keep() gives it its name and removes older ones of the same path; cache_forget() removes it. Both leave fd open. */
struct cache_entry {
    int folder, fd;
    char temporary[64];
};
int cache_begin(const char *folder, struct cache_entry *entry);
void cache_keep(struct cache_entry *entry, const char *path, const struct stat *status);
void cache_forget(struct cache_entry *entry);

/* ---- Trace ---- */

/* A ring over pages that are mapped already; NULL and *why: it is none. */
struct collet_trace_ring *trace_ring_make(const void *pages, size_t bytes, const char **why);

/* ---- Captures ---- */

/* What is wrong with the header of mapped pages, or NULL. */
const char *capture_ring_wrong(const struct collet_capture_header *h, size_t bytes);
