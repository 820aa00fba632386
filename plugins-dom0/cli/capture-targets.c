/* SPDX-License-Identifier: MIT */
/*
 * Which interfaces `collet capture` is asked for: names that nobody has are told at once, with the nearest, for the hypervisor would wait for them without a word.
 * Contract: capture.h.  Tests: test-capture.c.
 */
#include "capture.h"

#include <stdlib.h>
#include <string.h>

/* All names that mean something now: VIFs, their domains, cards. */
struct names {
    struct collet_vif_info *vifs;
    struct collet_nic_info *nics;
    const char **names;
    size_t count;
};

static int names_read(struct cli *cli, struct names *n)
{
    int vifs = collet_vif_list(cli->collet, COLLET_VIFS_ALL, &n->vifs), nics;

    if (vifs < 0)
        return cli_fail_collet(cli, vifs, "capture");
    nics = collet_nic_list(cli->collet, &n->nics);
    if (nics < 0)
        return cli_fail_collet(cli, nics, "capture");
    n->names = calloc((size_t)vifs * 2 + (size_t)nics + 1, sizeof(*n->names));
    if (n->names == NULL)
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    for (int i = 0; i < vifs; i++) {
        n->names[n->count++] = n->vifs[i].name;
        n->names[n->count++] = n->vifs[i].domain;
    }
    for (int i = 0; i < nics; i++)
        n->names[n->count++] = n->nics[i].name;
    return 0;
}

static int target_check(struct cli *cli, const struct names *n, const char *word)
{
    const char *near;

    if (strchr(word, '*') != NULL)
        return 0;
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i], word) == 0)
            return 0;
    near = n->count != 0 ? cli_nearest(word, n->names, n->count) : NULL;
    if (near != NULL)
        return cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VIF, card or domain with a VIF is called '%s'; did you mean %s? (--later: it will be there later)", word, near);
    return cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VIF, card or domain with a VIF is called '%s'; `collet vif list` and `collet nic list` show them (--later: it will be there later)", word);
}

int capture_targets_check(struct cli *cli, const char *targets)
{
    char copy[COLLET_CAPTURE_TARGETS], *rest, *word;
    struct names n = { .count = 0 };
    int exit = names_read(cli, &n);

    snprintf(copy, sizeof(copy), "%s", targets);
    for (word = strtok_r(copy, ",", &rest); word != NULL && exit == 0; word = strtok_r(NULL, ",", &rest))
        exit = target_check(cli, &n, word);
    free(n.names);
    free(n.vifs);
    free(n.nics);
    return exit;
}
