/* SPDX-License-Identifier: MIT */
/* The main function of a unit test program: one suite, each test in a process of its own unless CK_FORK=no; details only of what failed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define UNIT_MAIN(suite)                                                                                               \
    Suite *suite(void);                                                                                                \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        SRunner *runner = srunner_create(suite());                                                                     \
        int ran, failed;                                                                                               \
                                                                                                                       \
        setvbuf(stdout, NULL, _IOLBF, 0);                                                                              \
        srunner_run_all(runner, CK_ENV);                                                                               \
        ran = srunner_ntests_run(runner);                                                                              \
        failed = srunner_ntests_failed(runner);                                                                        \
        srunner_free(runner);                                                                                          \
        printf("unit: %d passed, %d failed\n", ran - failed, failed);                                                  \
        return failed != 0;                                                                                            \
    }
