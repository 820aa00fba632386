// SPDX-License-Identifier: MIT
/*
 * Reading a binary set back: its rules as people know them, for `collet rules show` and `diff`. It trusts nothing, and knows no more of a set than the sections' sizes, the rules' ids and the text.
 * Contract: rules.h. Tests: test-rules.c.
 */
#include "rules.h"

#include <hv/vfr-ops.h>
#include <vfr/ruleset.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t entry_bytes[VFR_SET_SECTIONS] = {
    [VFR_SET_NAMES] = sizeof(struct vfr_set_name), [VFR_SET_KINDS] = sizeof(struct vfr_set_name), [VFR_SET_ADDRESS_SETS] = sizeof(struct vfr_set_addresses), [VFR_SET_RANGES4] = sizeof(struct vfr_set_range4),
    [VFR_SET_RANGES6] = sizeof(struct vfr_set_range6), [VFR_SET_PORT_SETS] = sizeof(struct vfr_set_ports), [VFR_SET_PORT_RANGES] = sizeof(struct vfr_set_port_range), [VFR_SET_RULES] = sizeof(struct vfr_set_rule),
    [VFR_SET_RULE_IFACES] = sizeof(uint32_t), [VFR_SET_USES] = sizeof(struct vfr_set_use), [VFR_SET_VALUES] = sizeof(uint64_t), [VFR_SET_DATA] = 1, [VFR_SET_TEXT] = 1,
};

/* Where each section begins; false: they do not fit. */
static bool sections(const uint8_t *bytes, size_t size, struct vfr_set_header *header, size_t at[VFR_SET_SECTIONS])
{
    size_t offset = sizeof(*header);

    if (size < sizeof(*header))
        return false;
    memcpy(header, bytes, sizeof(*header));
    if (header->magic != VFR_SET_MAGIC || header->version != VFR_SET_VERSION || header->header_bytes != sizeof(*header) || header->bytes > size)
        return false;
    for (unsigned int i = 0; i < VFR_SET_SECTIONS; i++) {
        at[i] = offset;
        offset += (header->count[i] * entry_bytes[i] + 7) & ~(size_t)7;
        if (offset > size)
            return false;
    }
    return true;
}

static char *piece(const char *from, const char *to)
{
    return from < to ? strndup(from, (size_t)(to - from)) : NULL;
}

/* "file:line<TAB>label<TAB>words". */
static void read_line(struct rules_rule *rule, const char *line, const char *end)
{
    const char *first = memchr(line, '\t', (size_t)(end - line)), *second = first != NULL ? memchr(first + 1, '\t', (size_t)(end - first - 1)) : NULL, *colon;

    if (second == NULL)
        return;
    for (colon = first; colon > line && *colon != ':'; colon--)
        ;
    rule->file = piece(line, colon);
    rule->name = piece(first + 1, second);
    rule->text = piece(second + 1, end);
}

static const char *policy_name(uint8_t action)
{
    return action == VFR_ACCEPT ? "accept" : action == VFR_REJECT ? "reject" : "drop";
}

int rules_read(const void *bytes, size_t size, struct rules_list *to)
{
    struct vfr_set_header header;
    size_t at[VFR_SET_SECTIONS];
    const char *text, *end;

    *to = (struct rules_list){ 0 };
    if (!sections(bytes, size, &header, at))
        return -EINVAL;
    to->rules = calloc((size_t)header.count[VFR_SET_RULES] + 1, sizeof(*to->rules));
    to->policy[0] = strdup(policy_name(header.policy[0].action));
    to->policy[1] = strdup(policy_name(header.policy[1].action));
    if (to->rules == NULL || to->policy[0] == NULL || to->policy[1] == NULL) {
        rules_list_free(to);
        return -ENOMEM;
    }
    to->count = header.count[VFR_SET_RULES];
    text = (const char *)bytes + at[VFR_SET_TEXT];
    end = text + header.count[VFR_SET_TEXT];
    for (size_t i = 0; i < to->count; i++) {
        const char *line_end = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
        struct vfr_set_rule rule;

        memcpy(&rule, (const uint8_t *)bytes + at[VFR_SET_RULES] + i * sizeof(rule), sizeof(rule));
        to->rules[i].id = rule.id;
        to->rules[i].line = rule.line;
        if (line_end == NULL)
            continue;
        read_line(&to->rules[i], text, line_end);
        text = line_end + 1;
    }
    return 0;
}

void rules_list_free(struct rules_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->rules[i].name);
        free(list->rules[i].file);
        free(list->rules[i].text);
    }
    free(list->rules);
    free(list->policy[0]);
    free(list->policy[1]);
    *list = (struct rules_list){ 0 };
}
