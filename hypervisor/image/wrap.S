/* SPDX-License-Identifier: MIT */
/* The finished image as the only contents of a 32-bit ELF file (wrap.ld); IMAGE_FILE is set by build.mk. */
    .section .image, "awx", @progbits
    .incbin IMAGE_FILE
