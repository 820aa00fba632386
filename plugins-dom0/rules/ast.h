/* SPDX-License-Identifier: MIT */
/*
 * What the parser of the rule language makes of a text, and what it is made in: one arena of memory, the errors, the names. Inside of librules alone.
 * lexer.l and grammar.y build it, names.c keeps sets and groups, emit.c makes the binary set of it.
 */
#pragma once

#include "rules.h"

#include <hv/vfr-ops.h>

#define RULES_INCLUDE_MAX 16u /* files within files */
#define RULES_NESTED_MAX 16u  /* sets within sets, groups within groups */

struct rules_pos {
    const char *file;
    unsigned int line, column;
};

/* ---- Memory that is freed all at once ---- */
struct rules_arena {
    struct rules_chunk *chunks;
};
void *rules_alloc(struct rules_arena *arena, size_t bytes); /* zeroed; never NULL: it ends by longjmp in struct rules_run */
void rules_free(struct rules_arena *arena);
char *rules_copy(struct rules_arena *arena, const char *text, size_t bytes);

/* ---- Elements of lists and sets ---- */
enum rules_elem_kind { RULES_ADDRESS, RULES_NUMBER, RULES_WORD, RULES_MAC, RULES_ANY };
struct rules_elem {
    struct rules_elem *next;
    struct rules_pos pos;
    enum rules_elem_kind kind;
    uint8_t family;
    bool plain;               /* a word in a set or group that names no earlier one: it stays what it is, whatever is defined later */
    bool quoted;              /* a word in quotes: of interfaces, itself, and never a group */
    bool range;               /* an address "a-b": no prefix */
    uint8_t bits;
    uint8_t low[16], high[16];/* ADDRESS: network order; MAC: the first six, high is the mask */
    uint32_t first, last;     /* NUMBER */
    const char *word;
};
struct rules_elems {
    struct rules_elem *first, **end;
    bool negated, any;
    struct rules_pos pos;
};

/* An argument of a kind: "100/s", "'tcp'", a word. */
enum rules_atom_kind { RULES_ATOM_WORD, RULES_ATOM_STRING, RULES_ATOM_NUMBER, RULES_ATOM_QUANTITY };
struct rules_atom {
    struct rules_atom *next;
    struct rules_pos pos;
    enum rules_atom_kind kind;
    const char *text;
};
/* One use of a kind in a rule. */
struct rules_use {
    struct rules_use *next;
    struct rules_pos pos;
    const struct vfr_rule_ops *ops;
    bool negated;
    struct rules_atom *atoms, **end;
};

enum rules_names { RULES_SET, RULES_GROUP };
struct rules_name {
    struct rules_name *next; /* in its bucket */
    struct rules_pos pos;
    enum rules_names what;
    bool used;
    unsigned int depth; /* of names within it: 1 none */
    const char *name;
    struct rules_elems elems;
    uint32_t address_set, port_set; /* index + 1 in the binary set, once it has been written there */
};

struct rules_ast {
    struct rules_ast *next;
    struct rules_pos pos;
    const char *text; /* canonical */
    const char *label;
    uint8_t directions, action, reject;
    uint8_t family;
    bool verdict;     /* it began with one, not with an action */
    const char *forward;
    struct rules_pos forward_pos;
    struct rules_elems on, protocol, source, target, source_port, target_port, icmp, icmp_code, ether, vlan, source_mac, target_mac;
    uint8_t icmp_family;
    bool has_flags, fragment_later;
    bool has_fragment, not_fragment;
    uint8_t tcp_flags, tcp_mask;
    struct rules_use *uses, **uses_end;
    uint32_t seen;    /* RULES_CLAUSE_*: said already */
};

struct rules_policy_ast {
    bool set;
    struct rules_pos pos;
    uint8_t action, reject;
};

#define RULES_BUCKETS 1024u
struct rules_run {
    struct rules_arena arena;
    struct rules_compiled *to;
    const struct rules_options *options;
    bool failed, full;
    void *out_of_memory; /* jmp_buf */
    struct rules_name *names[RULES_BUCKETS];
    struct rules_ast *rules, **end;
    uint32_t rule_count;
    struct rules_policy_ast policy[2];
    size_t errors_room, files_room;
};

/* One text that is being read. */
struct rules_source {
    struct rules_run *run;
    const char *file;      /* as errors name it */
    const char *directory; /* of files that it names; NULL: the current one */
    bool no_files;
    unsigned int depth;
    unsigned int line, column; /* where the lexer is */
    unsigned int braces;
    bool rule_open;        /* words are being collected */
    const struct vfr_rule_ops *kind; /* the word before named it */
    char *words;           /* of this statement, canonical */
    size_t words_used, words_room;
    bool tight;            /* no blank before the next word */
    const char *last;      /* token as written: for errors */
    struct rules_pos last_pos;
    struct rules_ast *rule; /* being parsed */
    int end;                /* `from` has just been said: a port is its */
};

/* Errors (errors.c). hint may be NULL. Too many: run->full. */
void rules_error(struct rules_run *run, const struct rules_pos *pos, const char *hint, const char *format, ...) __attribute__((format(printf, 4, 5)));
void rules_warn(struct rules_run *run, const struct rules_pos *pos, const char *hint, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The nearest of the names to a word that nobody knows, or NULL. */
const char *rules_nearest(const char *word, const char *const *names, size_t count);

/* Reading (source.c): whole texts, and files of sets. */
int rules_parse_source(struct rules_run *run, const struct rules_input *input, const struct rules_pos *from, unsigned int depth);
void rules_include(struct rules_source *source, const struct rules_pos *pos, const char *path);
void rules_read_set(struct rules_source *source, const struct rules_pos *pos, const char *path, struct rules_elems *to);
void rules_statement_begin(struct rules_source *source);
void rules_word_add(struct rules_source *source, const char *text, bool quoted);

/* Addresses (address.c). */
bool rules_address_parse(struct rules_run *run, const struct rules_pos *pos, const char *text, struct rules_elem *to);
bool rules_address_join(struct rules_run *run, struct rules_elem *low, const struct rules_elem *high);
bool rules_mac_parse(const char *text, uint8_t to[6]);
int rules_service(const char *word);  /* port of a service, -1 */
int rules_protocol(const char *word); /* -1 */
int rules_icmp_type(const char *word, bool six);
int rules_ethertype(const char *word);
extern const char *const rules_service_names[], *const rules_protocol_names[];
size_t rules_count(const char *const *names);

/* Names (names.c). */
struct rules_name *rules_name_find(struct rules_run *run, enum rules_names what, const char *name);
void rules_name_define(struct rules_run *run, const struct rules_pos *pos, enum rules_names what, const char *name, struct rules_elems *elems);
const char *rules_name_nearest(struct rules_run *run, enum rules_names what, const char *name);

/* Kinds (kinds.c). */
const struct vfr_rule_ops *rules_kind_find(const char *word);
struct rules_values {
    uint64_t values[32];
    const void *data;
    uint32_t data_bytes;
    const char *iface; /* of a parameter of that type */
    uint32_t iface_param;
};
bool rules_use_values(struct rules_run *run, const struct rules_use *use, struct rules_values *to);

/* Patterns (pattern.c): a filter expression to classic BPF (struct vfr_bpf_insn), in the arena. */
bool rules_pattern(struct rules_run *run, const struct rules_pos *pos, const char *text, const void **program, uint32_t *instructions);

/* The end (emit.c): to->bytes. */
void rules_emit(struct rules_run *run);
