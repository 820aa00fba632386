/* SPDX-License-Identifier: MIT */
/*
 * What the daemon and a plugin's worker say to each other over their socket pair.
 *
 * A message is a head and a body of 64-bit numbers and strings (length, bytes, final zero). Both programs are built together, so there is one version and no negotiation; but the daemon takes nothing that
 * comes from a worker on trust: reading never goes beyond the body, and what is wrong sets `failed`. Order: the worker says HELLO once; then the daemon makes one call at a time (CONFIGURE, UPDATE, ADMIT, END)
 * and the worker answers with any number of SET, RULES and SAY and one DONE.
 * Users: plugin-host.c (daemon), plugin-worker.c.  Tests: test-plugin-wire.c.
 */
#pragma once

#include <hv/plugin.h>

#include <stdbool.h>

#define PLUGIN_WIRE_VERSION 1
#define PLUGIN_WIRE_FD 3              /* the worker's end */
#define PLUGIN_WIRE_ANSWER_MAX 16384u /* body of one message of a worker */
#define PLUGIN_WIRE_CALL_MAX (16u << 20) /* body of one call of the daemon */
#define PLUGIN_VALUES_MAX 512u        /* in one answer */
#define PLUGIN_SAYS_MAX 64u           /* in one answer; more are dropped */
#define PLUGIN_PIECE_MAX 8192u        /* of a part of the rules, in one message, the final zero included */
#define PLUGIN_TEXT_MAX 1024u         /* of one SAY or why, the final zero included */

enum plugin_message {
    PLUGIN_MESSAGE_HELLO = 1, /* u64 rc; then, if 0: u64 kind, u64 interval_ms, name, summary, help, note; else: note (what is wrong) */
    PLUGIN_MESSAGE_CONFIGURE, /* settings */
    PLUGIN_MESSAGE_UPDATE,    /* u64 event, world */
    PLUGIN_MESSAGE_ADMIT,     /* request, world */
    PLUGIN_MESSAGE_END,       /* - */
    PLUGIN_MESSAGE_SET,       /* u64 domid, u64 vcpu, double value, parameter, why */
    PLUGIN_MESSAGE_SAY,       /* u64 level, text */
    PLUGIN_MESSAGE_DONE,      /* u64 rc (negative errno as two's complement) */
    PLUGIN_MESSAGE_SET_DISK,  /* as SET, with u64 disk, u64 vbd */
    PLUGIN_MESSAGE_RULES,     /* u64 order, text: one piece of the part; the pieces of an answer are put together */
};

/* Statuses with which a worker ends. */
enum { WORKER_DONE = 0, WORKER_BAD_USE = 64, WORKER_BAD_CALL = 65, WORKER_NO_MEMORY = 66, WORKER_NO_RIGHTS = 67 };

struct plugin_head {
    uint32_t bytes; /* of the body */
    uint16_t kind;  /* enum plugin_message */
    uint16_t version;
    uint64_t call;  /* number of the call that this makes or answers; HELLO answers 0 */
};

/* Messages being written, one behind the other. `failed`: no memory; nothing more is added. */
struct plugin_pack {
    char *data;
    size_t used, room, head;
    bool failed;
};

void plugin_pack_begin(struct plugin_pack *p, enum plugin_message kind, uint64_t call);
void plugin_pack_end(struct plugin_pack *p);
void plugin_pack_free(struct plugin_pack *p);
void plugin_pack_u64(struct plugin_pack *p, uint64_t value);
void plugin_pack_double(struct plugin_pack *p, double value);
/* At most max - 1 bytes of it; NULL counts as empty. */
void plugin_pack_text(struct plugin_pack *p, const char *text, size_t max);
void plugin_pack_settings(struct plugin_pack *p, const struct collet_plugin_setting *settings, uint32_t count);
void plugin_pack_world(struct plugin_pack *p, const struct collet_plugin_world *world);
void plugin_pack_request(struct plugin_pack *p, const struct collet_plugin_request *request);

/* A body being read. After `failed` everything reads as 0 and "". Strings and arrays point into the body or into `kept`. */
struct plugin_unpack {
    const char *at, *end;
    void **kept; /* allocations, freed by plugin_unpack_free() */
    size_t kept_count;
    bool failed;
};

uint64_t plugin_unpack_u64(struct plugin_unpack *u);
double plugin_unpack_double(struct plugin_unpack *u);
const char *plugin_unpack_text(struct plugin_unpack *u);
const struct collet_plugin_setting *plugin_unpack_settings(struct plugin_unpack *u, uint32_t *count);
void plugin_unpack_world(struct plugin_unpack *u, struct collet_plugin_world *world);
void plugin_unpack_request(struct plugin_unpack *u, struct collet_plugin_request *request);
void plugin_unpack_free(struct plugin_unpack *u);
