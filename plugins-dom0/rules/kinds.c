// SPDX-License-Identifier: MIT
/*
 * Uses of kinds (vfr-rules/) in rules: the words behind a kind's name become the values of its parameters. A word that names a parameter takes the next one as its value, or, if the parameter is a yes or no, is its yes; any other
 * goes to the first parameter of its type that has none.
 * Contract: ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HINT_BYTES 160

const struct vfr_rule_ops *rules_kind_find(const char *word)
{
    for (const struct vfr_rule_ops *const *k = vfr_rule_kinds; *k != NULL; k++)
        if (strcmp((*k)->name, word) == 0)
            return *k;
    return NULL;
}

/* "100/s", "10M/s", "2.5kB/min": per second as it stands, or false. */
struct quantity {
    double value;
    bool bytes, packets, per;
    double seconds;
};

static bool quantity_parse(const char *text, struct quantity *q)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = { { "s", 1 }, { "sec", 1 }, { "second", 1 }, { "m", 60 }, { "min", 60 }, { "minute", 60 }, { "h", 3600 }, { "hour", 3600 }, { "d", 86400 }, { "day", 86400 } };
    char *at;

    *q = (struct quantity){ .value = strtod(text, &at), .seconds = 1 };
    if (*at != 0 && strchr("kKMGT", *at) != NULL) {
        double step = at[1] == 'i' ? 1024 : 1000;

        for (const char *letters = "kMGT"; *letters != 0; letters++) {
            q->value *= step;
            if (*letters == (*at == 'K' ? 'k' : *at))
                break;
        }
        at += at[1] == 'i' ? 2 : 1;
    }
    if (strncmp(at, "bits", 4) == 0 || strncmp(at, "bit", 3) == 0) {
        q->value /= 8;
        q->bytes = true;
        at += at[3] == 's' ? 4 : 3;
    } else if (strncmp(at, "bps", 3) == 0) {
        q->value /= 8;
        q->bytes = q->per = true;
        at += 3;
    } else if (strncmp(at, "byte", 4) == 0) {
        q->bytes = true;
        at += at[4] == 's' ? 5 : 4;
    } else if (*at == 'B') {
        q->bytes = true;
        at++;
    } else if (*at == 'b') {
        q->value /= 8;
        q->bytes = true;
        at++;
    } else if (*at == 'p') {
        q->packets = true;
        at += strncmp(at, "packets", 7) == 0 ? 7 : strncmp(at, "packet", 6) == 0 ? 6 : 1;
    }
    if (*at == 0)
        return true;
    if (*at++ != '/')
        return false;
    q->per = true;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(units[i].name, at) == 0) {
            q->seconds = units[i].seconds;
            return true;
        }
    return false;
}

/* Can the word be the value of a parameter of this type? How well: 0 not, 2 just so, 1 if need be. */
static int fits(const struct rules_atom *a, enum vfr_param_type type)
{
    struct quantity q = { 0 };
    bool is_quantity = (a->kind == RULES_ATOM_QUANTITY || a->kind == RULES_ATOM_NUMBER) && quantity_parse(a->text, &q);

    switch (type) {
    case VFR_PARAM_SECONDS:
    case VFR_PARAM_UINT: return !is_quantity || q.per ? 0 : a->kind == RULES_ATOM_NUMBER ? 2 : 1;
    case VFR_PARAM_PER_S: return !is_quantity || q.bytes ? 0 : q.per && strchr("kKMGT", a->text[strcspn(a->text, "kKMGT")]) == NULL ? 2 : 1;
    case VFR_PARAM_BYTES_PER_S: return !is_quantity || q.packets ? 0 : q.per && q.bytes ? 2 : 1;
    case VFR_PARAM_BOOL: return a->kind == RULES_ATOM_WORD && (strcmp(a->text, "yes") == 0 || strcmp(a->text, "no") == 0) ? 1 : 0;
    case VFR_PARAM_PROGRAM: return a->kind == RULES_ATOM_STRING ? 2 : 0;
    case VFR_PARAM_TEXT: return a->kind == RULES_ATOM_STRING ? 2 : a->kind == RULES_ATOM_WORD ? 1 : 0;
    case VFR_PARAM_IFACE: return a->kind == RULES_ATOM_WORD ? 2 : a->kind == RULES_ATOM_STRING ? 1 : 0;
    }
    return 0;
}

static const char *type_example(enum vfr_param_type type)
{
    switch (type) {
    case VFR_PARAM_UINT: return "a number";
    case VFR_PARAM_SECONDS: return "a number of seconds";
    case VFR_PARAM_PER_S: return "as 100/s, 10/min or 6/h";
    case VFR_PARAM_BYTES_PER_S: return "as 10MB/s";
    case VFR_PARAM_BOOL: return "yes or no";
    case VFR_PARAM_PROGRAM: return "a filter as of tcpdump, in quotes: 'udp and port 53'";
    case VFR_PARAM_TEXT: return "a text in quotes";
    case VFR_PARAM_IFACE: return "an interface, as web.0";
    }
    return "";
}

static bool in_range(struct rules_run *run, const struct vfr_parameter *p, const struct rules_atom *a, double value)
{
    char hint[HINT_BYTES];

    if (value >= (double)p->minimum && value <= (double)p->maximum)
        return true;
    snprintf(hint, sizeof(hint), "%s: from %llu to %llu", p->name, (unsigned long long)p->minimum, (unsigned long long)p->maximum);
    rules_error(run, &a->pos, hint, "'%.64s' is out of range", a->text);
    return false;
}

/* A rate that is none of whole numbers a second becomes one of whole numbers a minute, an hour or a day, if the kind can have that. */
static bool rate_value(struct rules_run *run, const struct vfr_rule_ops *ops, uint32_t param, const struct rules_atom *a, double per_s, struct rules_values *to)
{
    static const unsigned int periods[] = { 1, 60, 3600, 86400 };
    uint32_t seconds = 0;
    unsigned int i = 0;

    while (seconds < ops->param_count && ops->params[seconds].type != VFR_PARAM_SECONDS)
        seconds++;
    if (per_s == 0 || ops->params[param].type != VFR_PARAM_PER_S || seconds == ops->param_count) {
        if (per_s > 0 && per_s < 1) {
            rules_error(run, &a->pos, "at least one a second; a limit of packets may be of a minute, an hour or a day, as 10/min", "'%.64s' is less than one a second", a->text);
            return false;
        }
    } else {
        /* Up to a thousandth beside it is good enough. */
        while (i < 3 && (per_s * periods[i] < 0.999 || fabs(per_s * periods[i] - round(per_s * periods[i])) > per_s * periods[i] / 1000))
            i++;
        if (per_s * periods[i] < 0.999) {
            rules_error(run, &a->pos, "at least one a day", "'%.64s' is less than one a day", a->text);
            return false;
        }
        to->values[seconds] = periods[i];
    }
    if (!in_range(run, &ops->params[param], a, per_s * periods[i]))
        return false;
    to->values[param] = (uint64_t)(per_s * periods[i] + 0.5);
    return true;
}

static bool set_value(struct rules_run *run, const struct vfr_rule_ops *ops, uint32_t param, const struct rules_atom *a, struct rules_values *to)
{
    const struct vfr_parameter *p = &ops->params[param];
    struct quantity q = { 0 };
    uint32_t instructions;

    if (fits(a, p->type) == 0) {
        rules_error(run, &a->pos, type_example(p->type), "'%.64s' is no value for '%s' of %s", a->text, p->name, ops->name);
        return false;
    }
    switch (p->type) {
    case VFR_PARAM_UINT:
    case VFR_PARAM_SECONDS:
        quantity_parse(a->text, &q);
        if (!in_range(run, p, a, q.value))
            return false;
        to->values[param] = (uint64_t)(q.value + 0.5);
        return true;
    case VFR_PARAM_PER_S:
    case VFR_PARAM_BYTES_PER_S:
        quantity_parse(a->text, &q);
        return rate_value(run, ops, param, a, q.value / q.seconds, to);
    case VFR_PARAM_BOOL:
        to->values[param] = strcmp(a->text, "yes") == 0;
        return true;
    case VFR_PARAM_PROGRAM:
        if (!rules_pattern(run, &a->pos, a->text, &to->data, &instructions))
            return false;
        to->values[param] = instructions;
        to->data_bytes = instructions * 8;
        return true;
    case VFR_PARAM_TEXT:
        to->data = a->text;
        to->data_bytes = (uint32_t)strlen(a->text);
        to->values[param] = to->data_bytes;
        return true;
    case VFR_PARAM_IFACE:
        to->iface = a->text;
        to->iface_param = param;
        return true;
    }
    return false;
}

static int param_find(const struct vfr_rule_ops *ops, const struct rules_atom *a)
{
    for (uint32_t i = 0; a->kind == RULES_ATOM_WORD && i < ops->param_count; i++)
        if (strcmp(ops->params[i].name, a->text) == 0)
            return (int)i;
    return -1;
}

/* The parameter, without a value so far, that the word fits best. */
static int param_for(const struct vfr_rule_ops *ops, const struct rules_atom *a, uint64_t given)
{
    int best = -1, how = 0;

    for (uint32_t i = 0; i < ops->param_count; i++)
        if (!(given >> i & 1) && ops->params[i].type != VFR_PARAM_SECONDS && fits(a, ops->params[i].type) > how) {
            how = fits(a, ops->params[i].type);
            best = (int)i;
        }
    return best;
}

static void no_param(struct rules_run *run, const struct vfr_rule_ops *ops, const struct rules_atom *a)
{
    char hint[HINT_BYTES] = "it takes nothing";
    const char *names[32], *near;
    size_t count = 0, used = 0;

    for (uint32_t i = 0; i < ops->param_count && i < 32; i++) {
        names[count++] = ops->params[i].name;
        used += (size_t)snprintf(hint + used, used < sizeof(hint) ? sizeof(hint) - used : 0, "%s%s", i == 0 ? "it takes: " : ", ", ops->params[i].name);
        if (used >= sizeof(hint))
            break;
    }
    near = rules_nearest(a->text, names, count);
    if (a->kind == RULES_ATOM_QUANTITY && strchr(a->text, '/') != NULL)
        snprintf(hint, sizeof(hint), "rates are of /s, /min, /h or /d: 100/s, 10MB/s, 6/h");
    else if (near != NULL)
        snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
    rules_error(run, &a->pos, hint, "%s does not take '%.64s'", ops->name, a->text);
}

static bool use_checked(struct rules_run *run, const struct rules_use *use, const struct rules_values *v)
{
    struct vfr_use u = { .values = v->values, .data = v->data, .data_bytes = v->data_bytes };
    const char *wrong = use->ops->check != NULL ? use->ops->check(&u) : NULL;

    if (wrong != NULL)
        rules_error(run, &use->pos, NULL, "%s: %s", use->ops->name, wrong);
    return wrong == NULL;
}

bool rules_use_values(struct rules_run *run, const struct rules_use *use, struct rules_values *to)
{
    const struct vfr_rule_ops *ops = use->ops;
    uint64_t given = 0;

    *to = (struct rules_values){ .iface_param = ~0u };
    for (uint32_t i = 0; i < ops->param_count && i < 32; i++)
        to->values[i] = ops->params[i].initial;
    for (const struct rules_atom *a = use->atoms; a != NULL; a = a->next) {
        int param = param_find(ops, a);

        if (param >= 0 && ops->params[param].type == VFR_PARAM_BOOL && (a->next == NULL || fits(a->next, VFR_PARAM_BOOL) == 0)) {
            to->values[param] = 1;
            given |= 1ull << param;
            continue;
        }
        if (param >= 0 && a->next == NULL) {
            rules_error(run, &a->pos, type_example(ops->params[param].type), "'%s' of %s needs a value", a->text, ops->name);
            return false;
        }
        if (param >= 0)
            a = a->next;
        else
            param = param_for(ops, a, given);
        if (param < 0) {
            no_param(run, ops, a);
            return false;
        }
        if (!set_value(run, ops, (uint32_t)param, a, to))
            return false;
        given |= 1ull << param;
    }
    for (uint32_t i = 0; i < ops->param_count; i++)
        if (!(given >> i & 1) && (ops->params[i].type == VFR_PARAM_PROGRAM || ops->params[i].type == VFR_PARAM_IFACE)) {
            rules_error(run, &use->pos, type_example(ops->params[i].type), "%s needs its '%s'", ops->name, ops->params[i].name);
            return false;
        }
    return use_checked(run, use, to);
}
