// SPDX-License-Identifier: MIT
/* Loads out of files. Contract: blk-input.h. Forms: docs/reference/blk-sim.md. */
#include "blk-input.h"

#include <collet/disk-record.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_WORDS 24
#define BYTES_MAX (4ull << 30)

struct input {
    struct blk_load *load;
    const struct blk_input_options *options;
    const char *path;
    uint32_t line, first_stream;
    char *error;
    size_t error_bytes;
    uint64_t wait_ns;   /* version 2 iologs: of the waits since the last request */
    uint64_t passed_ns; /* all of them */
};

static bool bad(struct input *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool bad(struct input *in, const char *fmt, ...)
{
    va_list args;
    int used = in->line != 0 ? snprintf(in->error, in->error_bytes, "%s:%u: ", in->path, in->line) : snprintf(in->error, in->error_bytes, "%s: ", in->path);

    va_start(args, fmt);
    if (used > 0 && (size_t)used < in->error_bytes)
        vsnprintf(in->error + used, in->error_bytes - (size_t)used, fmt, args);
    va_end(args);
    return false;
}

/* ---- Numbers ---- */

static bool parse_number(const char *text, uint64_t *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool parse_scaled(const char *text, uint64_t *value, const char *const *suffixes, const double *factors)
{
    char *end;
    double number;

    if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
        return false;
    number = strtod(text, &end);
    for (uint32_t i = 0; suffixes[i] != NULL; i++) {
        if (strcmp(end, suffixes[i]) == 0 && number * factors[i] < 9e18) {
            *value = (uint64_t)(number * factors[i] + 0.5);
            return true;
        }
    }
    return false;
}

bool blk_parse_size(const char *text, uint64_t *value)
{
    static const char *const suffixes[] = {"", "k", "K", "M", "G", "T", NULL};
    static const double factors[] = {1, 1024, 1024, 1048576, 1073741824, 1099511627776.0};

    return parse_scaled(text, value, suffixes, factors);
}

bool blk_parse_time(const char *text, uint64_t *ns)
{
    static const char *const suffixes[] = {"ns", "us", "ms", "s", "", NULL};
    static const double factors[] = {1, 1e3, 1e6, 1e9, 1};

    return parse_scaled(text, ns, suffixes, factors);
}

/* ---- Streams ---- */

/* The stream of this name out of this file. */
static struct blk_stream *stream_of(struct input *in, const char *name)
{
    char cut[ENGINE_NAME];

    snprintf(cut, sizeof(cut), "%s", name);
    for (uint32_t i = in->first_stream; i < in->load->count; i++)
        if (strcmp(in->load->streams[i].name, cut) == 0)
            return &in->load->streams[i];
    return blk_load_add(in->load, cut);
}

/* One request, of bytes. Those that do not lie on sectors are widened to them. */
static bool add_request(struct input *in, struct blk_stream *s, uint64_t at_ns, enum blk_op op, uint64_t sector, uint64_t sectors)
{
    uint32_t window = in->options->window != 0 ? in->options->window : 1;
    struct blk_item *item;

    if (sectors == 0 || sectors > 1u << 22 || sector > 1ull << 54)
        return bad(in, "a request of %llu sectors at sector %llu: 1 to 4194304 sectors below 2^54 are possible", (unsigned long long)sectors, (unsigned long long)sector);
    item = blk_stream_add(s);
    item->at_ns = at_ns;
    item->op = (uint8_t)op;
    item->sector = sector;
    item->sectors = (uint32_t)sectors;
    item->segments = sectors > 8 * 1024 ? 1024 : (uint16_t)((sectors + 7) / 8);
    item->after = s->count <= window ? 0 : s->count - window;
    item->think_ns = in->options->think_ns + in->wait_ns;
    in->wait_ns = 0;
    return true;
}

/* ---- fio ---- */

static bool fio_request(struct input *in, struct blk_stream *s, uint64_t at_ns, const char *action, const char *offset_text, const char *length_text)
{
    uint64_t offset, length;
    enum blk_op op;

    if (!parse_number(offset_text, &offset) || !parse_number(length_text, &length))
        return bad(in, "offset and length are numbers of bytes, not '%s' and '%s'", offset_text, length_text);
    if (strcmp(action, "read") == 0)
        op = BLK_READ;
    else if (strcmp(action, "write") == 0)
        op = BLK_WRITE;
    else if (strcmp(action, "trim") == 0)
        op = BLK_DISCARD;
    else if (strcmp(action, "sync") == 0 || strcmp(action, "datasync") == 0) {
        in->load->flushes++;
        return true;
    } else
        return bad(in, "action '%s': read, write, trim, sync, datasync, wait, add, open or close are known", action);
    return add_request(in, s, at_ns, op, offset / BLK_SECTOR_BYTES, (offset % BLK_SECTOR_BYTES + length + BLK_SECTOR_BYTES - 1) / BLK_SECTOR_BYTES);
}

/* Words after the time, if there is one: FILE ACTION [OFFSET LENGTH]. */
static bool fio_line(struct input *in, char **words, uint32_t count, bool has_times)
{
    uint64_t at_ns = in->passed_ns, us;
    struct blk_stream *s;

    if (has_times) {
        if (!parse_number(words[0], &us))
            return bad(in, "a line of a version 3 iolog begins with its time in microseconds, not '%s'", words[0]);
        at_ns = us * 1000;
        words++;
        count--;
    }
    if (count != 2 && count != 4)
        return bad(in, "FILE ACTION or FILE ACTION OFFSET LENGTH expected");
    s = stream_of(in, words[0]);
    s->is_file = true;
    s->closed = in->options->loop == BLK_LOOP_CLOSED || (in->options->loop == BLK_LOOP_AUTO && !has_times);
    if (count == 2) {
        if (strcmp(words[1], "add") != 0 && strcmp(words[1], "open") != 0 && strcmp(words[1], "close") != 0)
            return bad(in, "action '%s' without offset and length: add, open and close have none", words[1]);
        return true;
    }
    if (strcmp(words[1], "wait") != 0)
        return fio_request(in, s, at_ns, words[1], words[2], words[3]);
    if (has_times)
        return bad(in, "a version 3 iolog has no wait");
    if (!parse_number(words[2], &us))
        return bad(in, "wait wants microseconds, not '%s'", words[2]);
    in->wait_ns += us * 1000;
    in->passed_ns += us * 1000;
    return true;
}

/* ---- blkparse ---- */

/* MAJOR,MINOR CPU SEQUENCE SECONDS PID ACTION RWBS SECTOR + SECTORS [COMMAND]; only Q (queued) is input, other lines and the summary are passed over. */
static bool blkparse_line(struct input *in, char **words, uint32_t count)
{
    double seconds;
    char *end, name[64];
    uint64_t sector, sectors;
    enum blk_op op;
    struct blk_stream *s;

    if (count < 7 || strchr(words[0], ',') == NULL || strcmp(words[5], "Q") != 0)
        return true;
    seconds = strtod(words[3], &end);
    if (*end != '\0' || seconds < 0)
        return bad(in, "the fourth word of a blkparse line is the time in seconds, not '%s'", words[3]);
    if (count < 10 || strcmp(words[8], "+") != 0) {
        in->load->flushes += strchr(words[6], 'F') != NULL;
        return true; /* without data */
    }
    if (!parse_number(words[7], &sector) || !parse_number(words[9], &sectors))
        return bad(in, "SECTOR + SECTORS expected, not '%s + %s'", words[7], words[9]);
    op = strchr(words[6], 'D') != NULL ? BLK_DISCARD : strchr(words[6], 'W') != NULL ? BLK_WRITE : BLK_READ;
    if (in->options->by == BLK_BY_DEVICE)
        snprintf(name, sizeof(name), "%s", words[0]);
    else if (in->options->by == BLK_BY_COMMAND)
        snprintf(name, sizeof(name), "%s", count > 10 ? words[10] : "[?]");
    else
        snprintf(name, sizeof(name), "%s%s", words[4], count > 10 ? words[10] : "");
    s = stream_of(in, name);
    s->closed = in->options->loop == BLK_LOOP_CLOSED;
    return sectors == 0 || add_request(in, s, (uint64_t)(seconds * 1e9 + 0.5), op, sector, sectors);
}

/* ---- Workloads ---- */

static bool load_range(struct input *in, struct blk_pattern *p, char *text)
{
    char *dash = strchr(text, '-');
    uint64_t from, to, sectors = in->load->sectors != 0 ? in->load->sectors : disk_drive_sectors(&disk_hp97560);

    if (dash != NULL && dash[1] != '\0' && dash > text && dash[-1] == '%' && dash[strlen(dash) - 1] == '%') {
        dash[-1] = '\0';
        dash[strlen(dash + 1)] = '\0';
        if (parse_number(text, &from) && parse_number(dash + 1, &to) && from < to && to <= 100) {
            p->from = sectors / 100 * from;
            p->to = sectors / 100 * to;
            return true;
        }
    }
    return bad(in, "range is FROM%%-TO%% of the disk, like 0%%-50%%");
}

static bool load_word(struct input *in, struct blk_stream *s, char *word)
{
    struct blk_pattern *p = &s->pattern;
    char *value = strchr(word, '=');
    uint64_t number = 0;
    bool is_number, fine;

    if (value == NULL)
        return bad(in, "'%s' is not NAME=VALUE", word);
    *value++ = '\0';
    is_number = parse_number(value, &number) && number <= UINT32_MAX;
    if (strcmp(word, "range") == 0)
        return load_range(in, p, value);
    if (strcmp(word, "size") == 0) {
        fine = blk_parse_size(value, &number) && number >= 512 && number <= 1048576 && number % 512 == 0;
        p->sectors = (uint32_t)(number / 512);
        return fine ? true : bad(in, "size is 512 to 1M, in whole sectors, not %s", value);
    }
    if (strcmp(word, "think") == 0)
        return blk_parse_time(value, &p->think_ns) ? true : bad(in, "think is a time like 5ms, not %s", value);
    if (strcmp(word, "start") == 0)
        return blk_parse_time(value, &p->start_ns) ? true : bad(in, "start is a time like 5s, not %s", value);
    if (strcmp(word, "stop") == 0)
        return blk_parse_time(value, &p->stop_ns) ? true : bad(in, "stop is a time like 5s, not %s", value);
    if (strcmp(word, "rate") == 0) {
        p->rate = (double)number;
        p->window = 0;
        return is_number && number != 0 ? true : bad(in, "rate is requests a second, not %s", value);
    }
    if (strcmp(word, "read") == 0) {
        p->reads = (uint32_t)number;
        return is_number && number <= 100 ? true : bad(in, "read is 0 to 100 percent, not %s", value);
    }
    if (strcmp(word, "window") == 0) {
        p->window = (uint32_t)number;
        return is_number && number != 0 && number <= 4096 ? true : bad(in, "window is 1 to 4096, not %s", value);
    }
    if (strcmp(word, "weight") == 0)
        s->weight = number;
    else if (strcmp(word, "domain") == 0)
        s->domid = (uint32_t)number;
    else if (strcmp(word, "requests") == 0)
        p->requests = number;
    else
        return bad(in, "no '%s': read, size, window, rate, think, range, weight, domain, start, stop and requests are known", word);
    return is_number && number != 0 ? true : bad(in, "%s wants a number from 1 up, not %s", word, value);
}

static bool load_line(struct input *in, char **words, uint32_t count)
{
    struct blk_stream *s;

    if (count < 3 || (strcmp(words[2], "random") != 0 && strcmp(words[2], "sequential") != 0))
        return bad(in, "load NAME random|sequential [NAME=VALUE ...] expected");
    if (strlen(words[1]) >= ENGINE_NAME)
        return bad(in, "the name '%s' is too long", words[1]);
    for (uint32_t i = 0; i < in->load->count; i++)
        if (strcmp(in->load->streams[i].name, words[1]) == 0)
            return bad(in, "two loads are called %s", words[1]);
    s = blk_load_add(in->load, words[1]);
    s->pattern = (struct blk_pattern){.random = words[2][0] == 'r', .reads = 100, .sectors = 8, .window = 1};
    for (uint32_t i = 3; i < count; i++)
        if (!load_word(in, s, words[i]))
            return false;
    s->closed = s->pattern.window != 0;
    return true;
}

static bool workload_line(struct input *in, char **words, uint32_t count)
{
    uint64_t number;

    if (strcmp(words[0], "load") == 0)
        return load_line(in, words, count);
    if (count != 2)
        return bad(in, "'%s': load, time, seed, depth and size are known; all but load have one word behind them", words[0]);
    if (strcmp(words[0], "time") == 0)
        return blk_parse_time(words[1], &in->load->time_ns) ? true : bad(in, "time is a time like 30s, not %s", words[1]);
    if (strcmp(words[0], "size") == 0) {
        if (!blk_parse_size(words[1], &number) || number < 1048576 || number > 1ull << 62)
            return bad(in, "size is that of the disk in bytes, 1M or more, like 4G, not %s", words[1]);
        in->load->sectors = number / 512;
        return true;
    }
    if (!parse_number(words[1], &number) || number > 1000000000)
        return bad(in, "%s wants a number, not %s", words[0], words[1]);
    if (strcmp(words[0], "seed") == 0)
        in->load->seed = number;
    else if (strcmp(words[0], "depth") == 0 && number >= 1 && number <= 256)
        in->load->depth = (uint32_t)number;
    else
        return bad(in, "'%s %s': load, time, seed, depth (1 to 256) and size are known", words[0], words[1]);
    return true;
}

/* ---- Recordings ---- */

static struct blk_stream *recorded_stream(struct input *in, const struct collet_disk_record *r)
{
    char name[ENGINE_NAME];
    struct blk_stream *s;

    snprintf(name, sizeof(name), "vbd%u", r->vbd);
    s = stream_of(in, name);
    s->domid = r->domid;
    s->closed = in->options->loop != BLK_LOOP_OPEN;
    return s;
}

static bool header_fits(struct input *in, const char *bytes, size_t count, struct collet_disk_record_header *header)
{
    if (count < sizeof(*header))
        return bad(in, "a recording that ends in its header");
    memcpy(header, bytes, sizeof(*header));
    if (header->version != COLLET_DISK_RECORD_VERSION || header->record_bytes != sizeof(struct collet_disk_record))
        return bad(in, "a recording of version %u with records of %u bytes; this reads version %u with %zu", header->version, header->record_bytes,
                   COLLET_DISK_RECORD_VERSION, sizeof(struct collet_disk_record));
    if (header->records == 0)
        header->records = (count - sizeof(*header)) / sizeof(struct collet_disk_record);
    if (header->records > (count - sizeof(*header)) / sizeof(struct collet_disk_record))
        return bad(in, "cut off: its header promises %llu records", (unsigned long long)header->records);
    return true;
}

static bool parse_recording(struct input *in, const char *bytes, size_t count)
{
    struct collet_disk_record_header header;
    struct collet_disk_record r;
    uint64_t first_ns = 0;

    if (!header_fits(in, bytes, count, &header))
        return false;
    if (in->load->sectors < header.sectors)
        in->load->sectors = header.sectors;
    if (in->load->depth == 0)
        in->load->depth = header.depth;
    for (uint64_t i = 0; i < header.records; i++) {
        memcpy(&r, bytes + sizeof(header) + i * sizeof(r), sizeof(r));
        if (i == 0)
            first_ns = r.time_ns;
        if (r.kind == COLLET_DISK_ARRIVE && r.op == COLLET_DISK_FLUSH) {
            in->load->flushes++;
        } else if (r.kind == COLLET_DISK_ARRIVE) {
            struct blk_stream *s = recorded_stream(in, &r);
            struct blk_item *item;

            if (r.time_ns < first_ns || r.op > BLK_WRITE_ZEROES || !add_request(in, s, r.time_ns - first_ns, r.op, r.sector, r.sectors))
                return bad(in, "record %llu is no request", (unsigned long long)i);
            item = &s->items[s->count - 1];
            item->segments = r.segments;
            item->after = r.after < s->count - 1 ? r.after : s->count - 1; /* never more than it has sent */
            item->think_ns = r.after == 0 ? item->at_ns : r.value;
        }
    }
    return true;
}

/* ---- Files ---- */

enum input_kind { INPUT_FIO2, INPUT_FIO3, INPUT_BLKPARSE, INPUT_WORKLOAD };

static bool kind_of(struct input *in, const char *text, enum input_kind *kind)
{
    static const char *const words[] = {"load", "time", "seed", "depth", "size"};

    if (strncmp(text, "fio version 2 iolog", 19) == 0 || strncmp(text, "fio version 3 iolog", 19) == 0) {
        *kind = text[12] == '2' ? INPUT_FIO2 : INPUT_FIO3;
        return true;
    }
    for (in->line = 1; *text != '\0'; text++, in->line++) {
        size_t blanks = strspn(text, " \t\r"), digits;

        text += blanks;
        digits = strspn(text, "0123456789");
        if (digits != 0 && text[digits] == ',') {
            *kind = INPUT_BLKPARSE;
            return true;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            if (strncmp(text, words[i], strlen(words[i])) == 0) {
                *kind = INPUT_WORKLOAD;
                return true;
            }
        }
        if (*text != '#' && *text != '\n')
            return bad(in, "neither a fio iolog ('fio version 2 iolog' or 3 in its first line), nor blkparse text ('8,0 ...'), nor a recording, nor a workload ('load ...')");
        text += strcspn(text, "\n");
        if (*text == '\0')
            break;
    }
    in->line = 0;
    return bad(in, "empty");
}

static bool parse_line(struct input *in, char *line, enum input_kind kind)
{
    char *words[LINE_WORDS], *save = NULL;
    uint32_t count = 0;

    if (kind == INPUT_WORKLOAD)
        line[strcspn(line, "#")] = '\0';
    for (char *word = strtok_r(line, " \t\r", &save); word != NULL && count < LINE_WORDS; word = strtok_r(NULL, " \t\r", &save))
        words[count++] = word;
    if (count == 0)
        return true;
    if (kind == INPUT_WORKLOAD)
        return workload_line(in, words, count);
    if (kind == INPUT_BLKPARSE)
        return blkparse_line(in, words, count);
    return in->line == 1 || fio_line(in, words, count, kind == INPUT_FIO3);
}

bool blk_input_parse(struct blk_load *load, const char *path, char *bytes, size_t count, const struct blk_input_options *options, char *error, size_t error_bytes)
{
    struct input in = {.load = load, .options = options, .path = path, .first_stream = load->count, .error = error, .error_bytes = error_bytes};
    uint64_t magic = COLLET_DISK_RECORD_MAGIC;
    enum input_kind kind = INPUT_WORKLOAD;

    if (count >= sizeof(magic) && memcmp(bytes, &magic, sizeof(magic)) == 0) {
        if (!parse_recording(&in, bytes, count))
            return false;
    } else {
        if (!kind_of(&in, bytes, &kind))
            return false;
        in.line = 0;
        for (char *line = bytes, *next; line < bytes + count; line = next) {
            next = line + strcspn(line, "\n") + 1;
            next[-1] = '\0';
            in.line++;
            if (!parse_line(&in, line, kind))
                return false;
        }
    }
    in.line = 0;
    for (uint32_t i = in.first_stream; i < load->count; i++)
        if (load->streams[i].items != NULL || load->streams[i].pattern.sectors != 0)
            return true;
    return bad(&in, "no request in it");
}

char *blk_input_bytes(const char *path, size_t *count, char *error, size_t error_bytes)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    char *bytes = NULL;
    size_t got = 1, room = 0;

    *count = 0;
    if (in == NULL) {
        snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        return NULL;
    }
    while (got != 0) {
        if (room < *count + 65537) {
            room = room * 2 + 65537;
            bytes = realloc(bytes, room);
            if (bytes == NULL || room > BYTES_MAX)
                abort();
        }
        got = fread(bytes + *count, 1, 65536, in);
        *count += got;
    }
    bytes[*count] = '\0';
    if (ferror(in)) {
        snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
        free(bytes);
        bytes = NULL;
    }
    if (in != stdin)
        fclose(in);
    return bytes;
}

bool blk_input_read(struct blk_load *load, const char *path, const struct blk_input_options *options, char *error, size_t error_bytes)
{
    size_t count;
    char *bytes = blk_input_bytes(path, &count, error, error_bytes);
    bool fine = bytes != NULL && blk_input_parse(load, path, bytes, count, options, error, error_bytes);

    free(bytes);
    return fine;
}
