// SPDX-License-Identifier: MIT
/*
 * The guest of the power-cut test (tests/boot/disks/power-cut.sh): writes numbered blocks and flushes, for ever, and says after each acknowledged flush how far it is, on the console. The power goes
 * when it likes. Round r writes a few blocks of stamps with version r at random places of its area, then the header, block 0, with version r after a flush of its own or behind a barrier; so a header of
 * round r on the disk means that all blocks of round r are there. verify=R: looks instead, at a disk that had acknowledged round R.
 */
#include "blk.h"

#define AREA_BLOCKS 1024u /* of 4096 bytes */
#define ROUND_BLOCKS 6u

static struct blk_front disk;
static uint8_t *data;

/* Where round r writes: the same on both sides of the cut. */
static unsigned int place(uint64_t seed, uint64_t round, unsigned int i)
{
    uint64_t state = (seed << 32 ^ round << 4 ^ i) * 0x9e3779b97f4a7c15ul | 1;

    random_next(&state);
    return 1 + (unsigned int)(random_next(&state) % (AREA_BLOCKS - 1));
}

static int wait_all(void)
{
    int bad = 0;

    while (disk.busy != 0) {
        int16_t status;

        if (blk_answer(&disk, &status, BLK_WAIT_NS) < 0)
            return BLK_NO_ANSWER;
        if (status != 0)
            bad = status;
    }
    return bad;
}

static void write_for_ever(uint64_t seed)
{
    for (uint64_t round = 1;; round++) {
        bool barrier = round % 3 == 0;

        for (unsigned int i = 0; i < ROUND_BLOCKS; i++) {
            unsigned int at = place(seed, round, i);

            blk_stamp(data + i * PAGE_SIZE, seed, at * 8ul, 8, round);
            blk_submit(&disk, BLKIF_OP_WRITE, at * 8ul, 8, data + i * PAGE_SIZE);
        }
        blk_stamp(data + ROUND_BLOCKS * PAGE_SIZE, seed, 0, 8, round);
        if (!barrier) {
            blk_push(&disk);
            if (wait_all() != 0 || blk_io(&disk, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, NULL) != 0)
                give_up("round %lu: first flush\n", (unsigned long)round);
        }
        blk_submit(&disk, barrier ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_WRITE, 0, 8, data + ROUND_BLOCKS * PAGE_SIZE);
        blk_push(&disk);
        if (wait_all() != 0)
            give_up("round %lu: header\n", (unsigned long)round);
        /* A barrier that has been answered is on the disk: no flush follows it. */
        if (!barrier && blk_io(&disk, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, NULL) != 0)
            give_up("round %lu: flush\n", (unsigned long)round);
        print("[t] acknowledged %lu\n", (unsigned long)round);
    }
}

/* The last round before `round` or that one which wrote this block: what must be there. */
static uint64_t newest(uint64_t seed, unsigned int at, uint64_t round)
{
    for (; round > 0; round--)
        for (unsigned int i = 0; i < ROUND_BLOCKS; i++)
            if (place(seed, round, i) == at)
                return round;
    return 0;
}

static void verify(uint64_t seed, uint64_t acknowledged)
{
    static uint64_t want[AREA_BLOCKS];
    uint64_t header = 0, lost = 0, torn = 0;

    if (blk_io(&disk, BLKIF_OP_READ, 0, 8, data) != 0)
        give_up("header\n");
    if (!blk_stamp_read(data, seed, 0, &header))
        header = 0;
    check("header-is-not-older-than-what-was-acknowledged", header >= acknowledged);
    check("header-is-not-from-the-future", header <= acknowledged + 1);
    for (uint64_t round = 1; round <= header; round++)
        for (unsigned int i = 0; i < ROUND_BLOCKS; i++)
            want[place(seed, round, i)] = round;
    for (unsigned int at = 1; at < AREA_BLOCKS; at++) {
        uint64_t found[8], oldest = ~0ul;

        if (want[at] == 0)
            continue;
        if (blk_io(&disk, BLKIF_OP_READ, at * 8ul, 8, data) != 0)
            give_up("block %u\n", at);
        for (unsigned int i = 0; i < 8; i++) {
            if (!blk_stamp_read(data + i * BLK_SECTOR, seed, at * 8ul + i, &found[i]))
                found[i] = 0;
            oldest = MIN(oldest, found[i]);
        }
        /* Newer is fine: a round that was not acknowledged may be there in part. */
        if (oldest < want[at]) {
            if (lost++ == 0)
                note("block %u has version %lu, round %lu was acknowledged, its own is %lu, header %lu\n", at, (unsigned long)oldest, (unsigned long)acknowledged,
                     (unsigned long)newest(seed, at, header), (unsigned long)header);
        }
        torn += oldest != found[0];
    }
    expect("nothing-acknowledged-is-lost", lost, 0);
    print("[t] verified %lu, header %lu, torn %lu\n", (unsigned long)acknowledged, (unsigned long)header, (unsigned long)torn);
}

void kernel_main(void)
{
    uint64_t seed = arg_number("seed", 1), acknowledged = arg_number("verify", ~0ul);

    blk_init();
    data = blk_pages(ROUND_BLOCKS + 1);
    blk_attach_disk(&disk, 0);
    if (acknowledged == ~0ul)
        write_for_ever(seed);
    else
        verify(seed, acknowledged);
}
