// SPDX-License-Identifier: MIT
/*
 * Texts that may be anything, to the rule language. It ends; every mistake is one line of printable characters; what it takes is a set that the reader reads and the engine takes; the words that are kept of a rule
 * mean the same rule when they are compiled again; and the set judges packets as the linear evaluator does.
 * Input: a text of rules; behind the first zero, if there is one, a file of addresses, the set `many`. Seeds: the examples of our documents and tests (seeds.sh).
 */
// needs: $(RULES_SOURCES) $(RULES_GENERATED)
// flags: $(RULES_BUILD_CPPFLAGS) -Wno-unused-function -Wno-sign-compare -Wno-unused-but-set-variable
// libs: -lpcap
#include "judge.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MOST 16384u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Patterns name hosts: no fuzzer asks the network. */
int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints, struct addrinfo **restrict to)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)to;
    return EAI_NONAME;
}
struct netent *getnetbyname(const char *name)
{
    (void)name;
    return NULL;
}

#define check(holds)                                                                       \
    do {                                                                                   \
        if (!(holds)) {                                                                    \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds);     \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

static void check_errors(const struct rules_compiled *set)
{
    char text[1024];
    bool failed = false;

    check(set->error_count <= RULES_ERRORS_MAX);
    for (size_t i = 0; i < set->error_count; i++) {
        check(set->errors[i].text[0] != 0);
        rules_error_text(&set->errors[i], text, sizeof(text));
        for (const char *c = text; *c != 0; c++)
            check((uint8_t)*c >= ' ' && *c != 0x7f);
        failed = failed || !set->errors[i].warning;
    }
    check(failed == (set->bytes == NULL));
}

/* The words of a rule are a rule, and of the same words, if the sets that it names are none. */
static void check_words(const char *words)
{
    struct rules_input input = {.text = words, .text_bytes = strlen(words), .no_files = true};
    struct rules_compiled set;
    struct rules_list list;

    if (rules_compile(&input, 1, NULL, &set) == 0 && set.rules == 1) {
        check(rules_read(set.bytes, set.size, &list) == 0 && list.count == 1);
        check(list.rules[0].text != NULL && strcmp(list.rules[0].text, words) == 0);
        rules_list_free(&list);
    }
    rules_compiled_free(&set);
}

static void check_read(const struct rules_compiled *set)
{
    struct rules_list list;

    check(rules_read(set->bytes, set->size, &list) == 0 && list.count == set->rules);
    for (size_t i = 0; i < list.count; i++) {
        check(list.rules[i].id != 0 && list.rules[i].file != NULL && list.rules[i].text != NULL);
        if (i < 20)
            check_words(list.rules[i].text);
    }
    rules_list_free(&list);
}

static void check_judged(const struct rules_compiled *set)
{
    static const char *const packets[] = {"tcp from 10.0.2.16 port 4000 to 10.0.2.17 port 22 in on web.0", "udp from fec0::16 to fec0::17 port 53 out on web.0", "icmp from 10.0.2.16 in on nic0", "arp from 10.0.2.16 to 10.0.2.17 in on db.1",
        "tcp fragment vlan 7 out on nic0"};
    struct rules_judge *judges[2] = {NULL, NULL};
    char error[256];

    for (unsigned int i = 0; i < 2; i++)
        if (rules_judge_create(&judges[i], set->bytes, set->size, error) != 0) {
            if (strstr(error, "too many") != NULL)
                goto out; /* its limits are its own */
            fprintf(stderr, "the engine refuses it: %s\n", error);
            abort();
        }
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        struct rules_worded w;
        struct rules_answer a, b;

        check(rules_packet_in_words(packets[i], &w) == 0);
        w.frame.tell_passed = false;
        rules_judge_frame(judges[0], &w.frame, &a);
        w.frame.linear = true;
        rules_judge_frame(judges[1], &w.frame, &b);
        check(memcmp(&a.steps[0].verdict, &b.steps[0].verdict, sizeof(a.steps[0].verdict)) == 0);
    }
out:
    rules_judge_destroy(judges[0]);
    rules_judge_destroy(judges[1]);
}

/* A packet told in words comes from people too. */
static void check_packet(const uint8_t *data, size_t size)
{
    struct rules_worded *w = malloc(sizeof(*w));
    char *words = strndup((const char *)data, size);
    struct rules_compiled set;
    struct rules_input input = {.text = "accept", .text_bytes = 6};
    struct rules_judge *judge = NULL;
    struct rules_answer a;
    char error[256], told[256];

    if (rules_packet_in_words(words, w) == 0) {
        check(rules_compile(&input, 1, NULL, &set) == 0 && rules_judge_create(&judge, set.bytes, set.size, error) == 0);
        rules_judge_frame(judge, &w->frame, &a);
        rules_packet_to_words(&a.packet, told, sizeof(told));
        rules_judge_destroy(judge);
        rules_compiled_free(&set);
    } else {
        check(w->error[0] != 0);
    }
    free(words);
    free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    size_t text_bytes = zero != NULL ? (size_t)(zero - data) : size, count = 0;
    int fd = zero != NULL ? memfd_create("many", 0) : -1;
    char define[64];
    struct rules_input inputs[2];
    struct rules_compiled set;

    if (text_bytes > TEXT_MOST)
        return 0;
    if (fd >= 0) {
        check(write(fd, zero + 1, size - text_bytes - 1) == (ssize_t)(size - text_bytes - 1));
        snprintf(define, sizeof(define), "set many file '/proc/self/fd/%d'", fd);
        inputs[count++] = (struct rules_input){.text = define, .text_bytes = strlen(define), .path = "before"};
    }
    inputs[count++] = (struct rules_input){.text = (const char *)data, .text_bytes = text_bytes, .no_files = true, .path = "text"};
    if (rules_compile(inputs, count, NULL, &set) == 0) {
        check_errors(&set);
        check_read(&set);
        check_judged(&set);
    } else {
        check_errors(&set);
    }
    rules_compiled_free(&set);
    check_packet(data, text_bytes);
    if (fd >= 0)
        close(fd);
    return 0;
}
