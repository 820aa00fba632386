/* SPDX-License-Identifier: MIT */
/*
 * Grammar of the rule language: statements, a line each. Actions only put down what was said (ast.h); what it means is found in emit.c, when all names are known.
 * Reference: docs/reference/rule-language.md, which has this grammar in words.
 */
%code requires {
#include "ast.h"
}
%define api.pure full
%define api.prefix {rules_yy}
%define api.location.type {struct rules_pos}
%define parse.error custom
%define parse.lac full
%locations
%lex-param { void *scanner }
%parse-param { void *scanner } { struct rules_source *source }
%expect 0

%union {
    const char *text;
    unsigned int number;
    struct rules_elem *elem;
    struct rules_elems elems;
    struct rules_atom *atom;
    struct rules_use *use;
}

%token EOL "end of line"
%token <text> WORD "a name" STRING "a text in quotes" NUMBER "a number" QUANTITY "a quantity" ADDRESS "an address" MAC "a MAC address" KIND "a kind of rule" FLAG_LETTERS "flags as S/SA"
%token <text> ACCEPT "accept" ANY "any" ARP "arp" CODE "code" CONTINUE "continue" DPORT "dport" DROP "drop" ETHER "ether" FILE_WORD "file" FLAGS_WORD "flags" FORWARD "forward" FRAGMENT "fragment" FROM "from" GROUP "group"
%token <text> ICMP_TYPE "icmp-type" ICMP6_TYPE "icmp6-type" IN "in" INCLUDE "include" IP "ip" IP6 "ip6" LABEL "label" ON "on" OUT "out" POLICY "policy" PORT "port" PROTO "proto" REJECT "reject" SET "set" SPORT "sport"
%token <text> TO "to" VLAN "vlan" WITH "with"
%token <text> '{' '}' ',' '!' '=' '(' ')' '-'

%type <text> name
%type <number> direction action
%type <elem> elem
%type <elems> values list
%type <atom> atom atoms
%type <use> use

%code {
#include <vfr/ruleset.h>

#include <stdlib.h>
#include <string.h>

int rules_yylex(RULES_YYSTYPE *value, struct rules_pos *at, void *scanner);
static void yyerror(struct rules_pos *at, void *scanner, struct rules_source *source, const char *text)
{
    (void)scanner;
    rules_error(source->run, at, NULL, "%s", text);
}

#define YYLLOC_DEFAULT(current, right, n) ((current) = (n) ? YYRHSLOC(right, 1) : YYRHSLOC(right, 0))

enum {
    SAID_ON = 1, SAID_DIRECTION = 2, SAID_PROTO = 4, SAID_FROM = 8, SAID_TO = 16, SAID_SPORT = 32, SAID_DPORT = 64, SAID_FLAGS = 128, SAID_ICMP = 256, SAID_ETHER = 512, SAID_VLAN = 1024, SAID_FRAGMENT = 2048,
    SAID_LABEL = 4096, SAID_FAMILY = 8192, SAID_CODE = 16384, END_FROM = 1 << 30,
};

static struct rules_ast *rule_of(struct rules_source *source);
static void rule_say(struct rules_source *source, const struct rules_pos *at, unsigned int what, const char *word);
static void rule_values(struct rules_source *source, const struct rules_pos *at, unsigned int what, const char *word, struct rules_elems *to, const struct rules_elems *values);
static void rule_port(struct rules_source *source, const struct rules_pos *at, const struct rules_elems *values);
static void rule_flags(struct rules_source *source, const struct rules_pos *at, const char *letters);
static void rule_reject(struct rules_source *source, const struct rules_pos *at, uint8_t *to, const char *word);
static void rule_end(struct rules_source *source, const struct rules_pos *at);
static void policy_set(struct rules_source *source, const struct rules_pos *at, unsigned int directions, unsigned int action);
static struct rules_elem *elem_new(struct rules_source *source, const struct rules_pos *at, enum rules_elem_kind kind, const char *text);
static struct rules_elem *elem_range(struct rules_source *source, struct rules_elem *low, struct rules_elem *high);
static struct rules_elems elems_of(const struct rules_pos *at, struct rules_elem *first);
static void elems_add(struct rules_elems *elems, struct rules_elem *elem);
static struct rules_atom *atom_new(struct rules_source *source, const struct rules_pos *at, enum rules_atom_kind kind, const char *text);
static struct rules_use *use_new(struct rules_source *source, const struct rules_pos *at, const char *word);
static void use_add(struct rules_source *source, struct rules_use *use);
}

%%

text:
    %empty
|   text statement { if (source->run->full) YYABORT; }
;

statement:
    EOL
|   INCLUDE STRING EOL                  { rules_include(source, &@2, $2); }
|   SET name equals '{' list '}' EOL    { rules_name_define(source->run, &@2, RULES_SET, $2, &$5); }
|   SET name FILE_WORD STRING EOL       { struct rules_elems e = elems_of(&@4, NULL); rules_read_set(source, &@4, $4, &e); rules_name_define(source->run, &@2, RULES_SET, $2, &e); }
|   GROUP name equals '{' list '}' EOL  { rules_name_define(source->run, &@2, RULES_GROUP, $2, &$5); }
|   POLICY direction action EOL         { policy_set(source, &@1, $2, $3); }
|   POLICY action EOL                   { policy_set(source, &@1, VFR_TX | VFR_RX, $2); }
|   rule EOL                            { source->rule = NULL; }
|   error EOL                           { source->rule = NULL; source->braces = 0; yyerrok; if (source->run->full) YYABORT; }
;

equals: %empty | '=' ;

direction:
    IN { $$ = VFR_RX; }
|   OUT { $$ = VFR_TX; }
;

action:
    ACCEPT { $$ = VFR_ACCEPT; }
|   DROP { $$ = VFR_DROP; }
|   REJECT { $$ = VFR_REJECT; }
;

rule:
    head clauses { rule_end(source, &@1); }
;

head:
    action              { struct rules_ast *r = rule_of(source); r->pos = @1; r->action = (uint8_t)$1; r->verdict = true; }
|   REJECT WITH name    { struct rules_ast *r = rule_of(source); r->pos = @1; r->action = VFR_REJECT; r->verdict = true; rule_reject(source, &@3, &r->reject, $3); }
|   FORWARD TO name     { struct rules_ast *r = rule_of(source); r->pos = @1; r->action = VFR_FORWARD; r->verdict = true; r->forward = $3; r->forward_pos = @3; }
|   CONTINUE            { struct rules_ast *r = rule_of(source); r->pos = @1; }
|   use                 { struct rules_ast *r = rule_of(source); r->pos = @1; use_add(source, $1); }
;

clauses:
    %empty
|   clauses clause
;

clause:
    direction           { rule_say(source, &@1, SAID_DIRECTION, "direction"); source->rule->directions = (uint8_t)$1; }
|   ON values           { rule_values(source, &@1, SAID_ON, "on", &source->rule->on, &$2); }
|   PROTO values        { rule_values(source, &@1, SAID_PROTO, "proto", &source->rule->protocol, &$2); }
|   FROM values         { rule_values(source, &@1, SAID_FROM, "from", &source->rule->source, &$2); source->end = FROM; }
|   TO values           { rule_values(source, &@1, SAID_TO, "to", &source->rule->target, &$2); }
|   PORT values         { rule_port(source, &@1, &$2); }
|   SPORT values        { rule_values(source, &@1, SAID_SPORT, "sport", &source->rule->source_port, &$2); }
|   DPORT values        { rule_values(source, &@1, SAID_DPORT, "dport", &source->rule->target_port, &$2); }
|   FLAGS_WORD FLAG_LETTERS { rule_flags(source, &@2, $2); }
|   ICMP_TYPE values    { rule_values(source, &@1, SAID_ICMP, "icmp-type", &source->rule->icmp, &$2); source->rule->icmp_family = 4; }
|   ICMP6_TYPE values   { rule_values(source, &@1, SAID_ICMP, "icmp6-type", &source->rule->icmp, &$2); source->rule->icmp_family = 6; }
|   CODE values         { rule_values(source, &@1, SAID_CODE, "code", &source->rule->icmp_code, &$2); }
|   ETHER values        { rule_values(source, &@1, SAID_ETHER, "ether", &source->rule->ether, &$2); }
|   ARP                 { struct rules_elems e = elems_of(&@1, elem_new(source, &@1, RULES_WORD, "arp")); rule_values(source, &@1, SAID_ETHER, "ether", &source->rule->ether, &e); }
|   IP                  { rule_say(source, &@1, SAID_FAMILY, "ip or ip6"); source->rule->family = 4; }
|   IP6                 { rule_say(source, &@1, SAID_FAMILY, "ip or ip6"); source->rule->family = 6; }
|   VLAN values         { rule_values(source, &@1, SAID_VLAN, "vlan", &source->rule->vlan, &$2); }
|   FRAGMENT            { rule_say(source, &@1, SAID_FRAGMENT, "fragment"); source->rule->has_fragment = true; }
|   FRAGMENT WORD       { rule_say(source, &@1, SAID_FRAGMENT, "fragment"); source->rule->has_fragment = true; source->rule->fragment_later = true;
                          if (strcmp($2, "later") != 0) rules_error(source->run, &@2, "fragment, or fragment later", "there are no '%s' fragments", $2); }
|   '!' FRAGMENT        { rule_say(source, &@1, SAID_FRAGMENT, "fragment"); source->rule->has_fragment = source->rule->not_fragment = true; }
|   LABEL name          { rule_say(source, &@1, SAID_LABEL, "label"); source->rule->label = $2; }
|   use                 { source->end = 0; use_add(source, $1); }
;

use:
    KIND                { $$ = use_new(source, &@1, $1); }
|   use atom            { *$1->end = $2; $1->end = &$2->next; $$ = $1; }
|   use ','             { $$ = $1; }
|   use '{' atoms '}'   { *$1->end = $3; while (*$1->end != NULL) $1->end = &(*$1->end)->next; $$ = $1; }
;

atoms:
    atom                { $$ = $1; }
|   atom atoms          { $1->next = $2; $$ = $1; }
|   atom ',' atoms      { $1->next = $3; $$ = $1; }
;

atom:
    WORD                { $$ = atom_new(source, &@1, RULES_ATOM_WORD, $1); }
|   STRING              { $$ = atom_new(source, &@1, RULES_ATOM_STRING, $1); }
|   NUMBER              { $$ = atom_new(source, &@1, RULES_ATOM_NUMBER, $1); }
|   QUANTITY            { $$ = atom_new(source, &@1, RULES_ATOM_QUANTITY, $1); }
;

values:
    elem                { $$ = elems_of(&@1, $1); }
|   '!' elem            { $$ = elems_of(&@2, $2); $$.negated = true; }
|   '{' list '}'        { $$ = $2; $$.pos = @1; }
|   '!' '{' list '}'    { $$ = $3; $$.pos = @2; $$.negated = true; }
;

list:
    %empty              { $$ = elems_of(&@$, NULL); }
|   list elem           { $$ = $1; elems_add(&$$, $2); }
|   list ','            { $$ = $1; }
;

elem:
    ADDRESS             { $$ = elem_new(source, &@1, RULES_ADDRESS, $1); }
|   ADDRESS '-' ADDRESS { $$ = elem_range(source, elem_new(source, &@1, RULES_ADDRESS, $1), elem_new(source, &@3, RULES_ADDRESS, $3)); }
|   NUMBER              { $$ = elem_new(source, &@1, RULES_NUMBER, $1); }
|   NUMBER '-' NUMBER   { $$ = elem_range(source, elem_new(source, &@1, RULES_NUMBER, $1), elem_new(source, &@3, RULES_NUMBER, $3)); }
|   MAC                 { $$ = elem_new(source, &@1, RULES_MAC, $1); }
|   ANY                 { $$ = elem_new(source, &@1, RULES_ANY, $1); }
|   WORD                { $$ = elem_new(source, &@1, RULES_WORD, $1); }
|   KIND                { $$ = elem_new(source, &@1, RULES_WORD, $1); }
|   STRING              { $$ = elem_new(source, &@1, RULES_WORD, $1); $$->quoted = true; }
|   ARP                 { $$ = elem_new(source, &@1, RULES_WORD, $1); }
|   IP                  { $$ = elem_new(source, &@1, RULES_WORD, $1); }
|   IP6                 { $$ = elem_new(source, &@1, RULES_WORD, $1); }
;

name: WORD | STRING | KIND ;

%%

static struct rules_ast *rule_of(struct rules_source *source)
{
    if (source->rule == NULL) {
        source->rule = rules_alloc(&source->run->arena, sizeof(*source->rule));
        source->rule->directions = VFR_TX | VFR_RX;
        source->rule->uses_end = &source->rule->uses;
    }
    source->end = 0;
    return source->rule;
}

static void rule_say(struct rules_source *source, const struct rules_pos *at, unsigned int what, const char *word)
{
    if (source->rule->seen & what)
        rules_error(source->run, at, "several values are a list: { a, b }", "'%s' a second time in this rule", word);
    source->rule->seen |= what;
    source->end = 0;
}

static void rule_values(struct rules_source *source, const struct rules_pos *at, unsigned int what, const char *word, struct rules_elems *to, const struct rules_elems *values)
{
    rule_say(source, at, what, word);
    *to = *values;
    /* The list may have had its end in the copy. */
    if (to->first == NULL)
        rules_error(source->run, at, NULL, "'%s' with an empty list matches nothing", word);
}

/* Directly behind `from ...` it is the source's; else the target's. */
static void rule_port(struct rules_source *source, const struct rules_pos *at, const struct rules_elems *values)
{
    if (source->end == FROM)
        rule_values(source, at, SAID_SPORT, "port", &source->rule->source_port, values);
    else
        rule_values(source, at, SAID_DPORT, "port", &source->rule->target_port, values);
}

static bool flag_bits(const char *letters, size_t count, uint8_t *to)
{
    static const char names[] = "FSRPAUEW";

    *to = 0;
    for (size_t i = 0; i < count; i++) {
        const char *at = strchr(names, letters[i]);

        if (at == NULL)
            return false;
        *to |= (uint8_t)(1u << (at - names));
    }
    return true;
}

static void rule_flags(struct rules_source *source, const struct rules_pos *at, const char *letters)
{
    struct rules_ast *r = source->rule;
    const char *slash = strchr(letters, '/');
    size_t first = slash != NULL ? (size_t)(slash - letters) : strlen(letters);

    rule_say(source, at, SAID_FLAGS, "flags");
    r->has_flags = true;
    r->tcp_mask = 0xff;
    if (!flag_bits(letters, first, &r->tcp_flags) || (slash != NULL && !flag_bits(slash + 1, strlen(slash + 1), &r->tcp_mask)))
        rules_error(source->run, at, "letters of FSRPAUEW: as S/SA, of SYN and ACK only SYN", "'%s' are no TCP flags", letters);
    else if (r->tcp_flags & ~r->tcp_mask)
        rules_error(source->run, at, "those that must be set, a slash, those that are looked at", "'%s' can never match", letters);
}

static void rule_reject(struct rules_source *source, const struct rules_pos *at, uint8_t *to, const char *word)
{
    static const char *const names[] = { "auto", "reset", "port", "host", "admin" };
    char hint[96] = "with reset, port, host or admin";
    const char *near;

    for (unsigned int i = 0; i < 5; i++)
        if (strcmp(names[i], word) == 0) {
            *to = (uint8_t)i;
            return;
        }
    near = rules_nearest(word, names, 5);
    if (near != NULL)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    rules_error(source->run, at, hint, "one cannot reject with '%s'", word);
}

static void rule_end(struct rules_source *source, const struct rules_pos *at)
{
    struct rules_run *run = source->run;
    struct rules_ast *r = source->rule;

    r->text = rules_copy(&run->arena, source->words, source->words_used);
    *run->end = r;
    run->end = &r->next;
    /* What is too long is not read to its end: that took seconds, and gigabytes. */
    if (++run->rule_count > VFR_SET_RULES_MAX) {
        rules_error(run, at, "many addresses or ports are a set", "more than %u rules", VFR_SET_RULES_MAX);
        run->full = true;
    }
}

static void policy_set(struct rules_source *source, const struct rules_pos *at, unsigned int directions, unsigned int action)
{
    for (unsigned int i = 0; i < 2; i++) {
        struct rules_policy_ast *p = &source->run->policy[i];

        if (!(directions & (i == 0 ? VFR_TX : VFR_RX)))
            continue;
        if (p->set && p->action != action)
            rules_warn(source->run, at, NULL, "another policy for '%s' than in line %u of %s: this one holds", i == 0 ? "out" : "in", p->pos.line, p->pos.file);
        *p = (struct rules_policy_ast){ .set = true, .pos = *at, .action = (uint8_t)action };
    }
}

static struct rules_elem *elem_new(struct rules_source *source, const struct rules_pos *at, enum rules_elem_kind kind, const char *text)
{
    struct rules_elem *e = rules_alloc(&source->run->arena, sizeof(*e));
    char *end;

    *e = (struct rules_elem){ .pos = *at, .kind = kind, .word = text };
    if (kind == RULES_ADDRESS) {
        if (!rules_address_parse(source->run, at, text, e))
            e->kind = RULES_ANY;
        e->word = text;
    } else if (kind == RULES_NUMBER) {
        /* 022 is 22, as in other filters. */
        unsigned long n = strtoul(text, &end, text[0] == '0' && text[1] == 'x' ? 16 : 10);

        e->first = e->last = n > 0xffffffff ? 0xffffffff : (uint32_t)n;
    } else if (kind == RULES_MAC) {
        const char *slash = strchr(text, '/');
        unsigned long bits = slash != NULL ? strtoul(slash + 1, NULL, 10) : 48;

        if (!rules_mac_parse(rules_copy(&source->run->arena, text, 17), e->low) || bits > 48)
            rules_error(source->run, at, "as 00:16:3e:12:34:56, or 00:16:3e:00:00:00/24", "'%s' is no MAC address", text);
        for (unsigned int i = 0; i < 6; i++) {
            e->high[i] = bits >= 8 * (i + 1) ? 0xff : bits > 8 * i ? (uint8_t)(0xff00 >> (bits - 8 * i)) : 0;
            e->low[i] &= e->high[i];
        }
    }
    return e;
}

static struct rules_elem *elem_range(struct rules_source *source, struct rules_elem *low, struct rules_elem *high)
{
    if (low->kind == RULES_ADDRESS && high->kind == RULES_ADDRESS) {
        rules_address_join(source->run, low, high);
    } else if (low->kind == RULES_NUMBER && high->kind == RULES_NUMBER) {
        low->last = high->last;
        if (low->last < low->first)
            rules_error(source->run, &low->pos, "the smaller number first", "a range that ends before it begins");
    }
    return low;
}

/* `end` of a list that is passed around by value: of the last element; NULL while it is empty. */
static struct rules_elems elems_of(const struct rules_pos *at, struct rules_elem *first)
{
    return (struct rules_elems){ .first = first, .end = first != NULL ? &first->next : NULL, .pos = *at };
}

static void elems_add(struct rules_elems *elems, struct rules_elem *elem)
{
    if (elems->end == NULL)
        elems->first = elem;
    else
        *elems->end = elem;
    elems->end = &elem->next;
}

static struct rules_atom *atom_new(struct rules_source *source, const struct rules_pos *at, enum rules_atom_kind kind, const char *text)
{
    struct rules_atom *a = rules_alloc(&source->run->arena, sizeof(*a));

    *a = (struct rules_atom){ .pos = *at, .kind = kind, .text = text };
    return a;
}

static struct rules_use *use_new(struct rules_source *source, const struct rules_pos *at, const char *word)
{
    struct rules_use *u = rules_alloc(&source->run->arena, sizeof(*u));

    *u = (struct rules_use){ .pos = *at, .ops = rules_kind_find(word) };
    u->end = &u->atoms;
    return u;
}

static void use_add(struct rules_source *source, struct rules_use *use)
{
    *source->rule->uses_end = use;
    source->rule->uses_end = &use->next;
}

/* ---- What was not understood ---- */

#define EXPECTED_MAX 64

/* Words that could have stood there: those of the grammar, and the kinds. */
static size_t could_be(const yysymbol_kind_t *expected, int count, const char **to, size_t room)
{
    size_t n = 0;

    for (int i = 0; i < count; i++) {
        const char *name = yysymbol_name(expected[i]);

        if (expected[i] == YYSYMBOL_KIND)
            for (const struct vfr_rule_ops *const *k = vfr_rule_kinds; *k != NULL && n < room; k++)
                to[n++] = (*k)->name;
        else if (name[0] >= 'a' && name[0] <= 'z' && strchr(name, ' ') == NULL && n < room)
            to[n++] = name;
    }
    return n;
}

static void list_expected(const yysymbol_kind_t *expected, int count, char *to, size_t bytes)
{
    size_t used = (size_t)snprintf(to, bytes, "%s", "here may be: ");

    for (int i = 0; i < count && used < bytes; i++)
        used += (size_t)snprintf(to + used, bytes - used, "%s%s", i > 0 ? ", " : "", yysymbol_name(expected[i]));
}

static bool begins_statement(yysymbol_kind_t got)
{
    return got == YYSYMBOL_ACCEPT || got == YYSYMBOL_DROP || got == YYSYMBOL_REJECT || got == YYSYMBOL_FORWARD || got == YYSYMBOL_SET || got == YYSYMBOL_GROUP || got == YYSYMBOL_POLICY || got == YYSYMBOL_INCLUDE;
}

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, struct rules_source *source)
{
    yysymbol_kind_t expected[EXPECTED_MAX];
    int count = yypcontext_expected_tokens(context, expected, EXPECTED_MAX);
    yysymbol_kind_t got = yypcontext_token(context);
    const struct rules_pos *at = yypcontext_location(context);
    const char *words[EXPECTED_MAX + 64], *near = NULL;
    char hint[160] = "";

    (void)scanner;
    if (count < 0)
        count = 0;
    if (got == YYSYMBOL_EOL || got == YYSYMBOL_YYEOF) {
        if (count > 0 && count <= 8)
            list_expected(expected, count, hint, sizeof(hint));
        rules_error(source->run, at, hint, source->braces > 0 ? "the text ends, and a '{' is open" : "the line ends too early");
        return 0;
    }
    if (source->braces > 0 && begins_statement(got)) {
        /* So that this line is lost, and not all up to the next brace. */
        source->braces = 0;
        rules_error(source->run, at, "is a '{' before it not closed?", "'%.64s' is not understood here", source->last != NULL ? source->last : "");
        return 0;
    }
    if (source->last != NULL)
        near = rules_nearest(source->last, words, could_be(expected, count, words, sizeof(words) / sizeof(words[0])));
    if (source->last != NULL && got == YYSYMBOL_WORD && rules_protocol(source->last) >= 0)
        snprintf(hint, sizeof(hint), "proto %.40s", source->last);
    else if (source->last != NULL && strcmp(source->last, ",") == 0)
        snprintf(hint, sizeof(hint), "several are a list: { 80, 443 }");
    else if (near != NULL && strcmp(near, source->last) != 0)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    else if (count > 0 && count <= 8)
        list_expected(expected, count, hint, sizeof(hint));
    rules_error(source->run, at, hint, "'%.64s' is not understood here", source->last != NULL ? source->last : "");
    return 0;
}
