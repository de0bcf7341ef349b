#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inner.h"

/* A file of 0xFF comes into being whole or not at all. */
static int make_file(const char *file, uint32_t size, char *why)
{
    char fresh[4096];
    uint8_t erased[4096];
    int fd;
    uint32_t done = 0;

    if (snprintf(fresh, sizeof fresh, "%s.new", file) >= (int)sizeof fresh) {
        snprintf(why, SIM_WHY, "path is too long");
        return -1;
    }
    memset(erased, 0xFF, sizeof erased);
    fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    while (fd >= 0 && done < size) {
        uint32_t piece = size - done < sizeof erased ? size - done : (uint32_t)sizeof erased;
        ssize_t n = write(fd, erased, piece);

        if (n <= 0)
            break;
        done += (uint32_t)n;
    }
    if (fd < 0 || done < size || rename(fresh, file) != 0) {
        snprintf(why, SIM_WHY, "cannot make %.100s: %s", file, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(fresh);
        }
        return -1;
    }
    return fd;
}

static int map_file(struct sim_array *array, const char *file, char *why)
{
    uint32_t size = array->part.geometry.size;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    struct stat info;
    void *map;

    if (fd < 0 && errno == ENOENT) {
        fd = make_file(file, size, why);
        if (fd < 0)
            return -1;
    }
    if (fd < 0 || fstat(fd, &info) != 0) {
        snprintf(why, SIM_WHY, "cannot open %.100s: %s", file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (info.st_size != (off_t)size) {
        snprintf(why, SIM_WHY, "%.80s has %lld bytes, a %.24s has %lu", file,
                 (long long)info.st_size, array->part.name, (unsigned long)size);
        close(fd);
        return -1;
    }
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED) {
        snprintf(why, SIM_WHY, "cannot map %.100s: %s", file, strerror(errno));
        return -1;
    }
    array->contents = map;
    array->mapped = true;
    return 0;
}

static bool is_blank(const uint8_t *at, uint32_t size)
{
    return size == 0 || (at[0] == 0xFF && memcmp(at, at + 1, size - 1) == 0);
}

/* Contents that were there before: each byte counts as programmed so, each word that is not blank
 * as written once. */
static void adopt(struct sim_array *array)
{
    uint32_t sector_size = array->part.geometry.erase_size;

    for (uint32_t sector = 0; sector < array->sectors; sector++) {
        uint32_t at = sector * sector_size;

        if (is_blank(array->contents + at, sector_size))
            continue;
        array->version[sector] = ++*array->last;
        for (uint32_t i = at; i < at + sector_size; i++)
            array->taken[i] = (uint8_t)~array->contents[i];
        for (uint32_t i = at; i < at + sector_size; i += array->word)
            array->writes[i / array->word] = !is_blank(array->contents + i, array->word);
    }
}

int sim_array_open(struct sim_array *array, const struct kedge_sim_part *part, const char *file,
                   uint64_t *last, char *why)
{
    uint32_t size = part->geometry.size;

    array->part = *part;
    array->last = last;
    array->word = part->geometry.write_block > 4 ? part->geometry.write_block : 4;
    array->sectors = size / part->geometry.erase_size;
    if (file == NULL) {
        array->contents = malloc(size);
        if (array->contents != NULL)
            memset(array->contents, 0xFF, size);
    } else if (map_file(array, file, why) != 0) {
        return -1;
    }
    array->weak = calloc(size, 1);
    array->taken = calloc(size, 1);
    array->writes = calloc(size / array->word, 1);
    array->version = calloc(array->sectors, sizeof *array->version);
    array->has_weak = calloc(array->sectors, 1);
    if (array->contents == NULL || array->weak == NULL || array->taken == NULL ||
        array->writes == NULL || array->version == NULL || array->has_weak == NULL) {
        snprintf(why, SIM_WHY, "no memory for a %.40s", part->name);
        return -1;
    }
    if (array->mapped) {
        adopt(array);
        array->torn = malloc(strlen(file) + sizeof ".torn");
        if (array->torn != NULL)
            strcat(strcpy(array->torn, file), ".torn");
        sim_torn_recall(array);
    }
    return 0;
}

void sim_array_close(struct sim_array *array)
{
    if (array->mapped)
        munmap(array->contents, array->part.geometry.size);
    else
        free(array->contents);
    free(array->weak);
    free(array->taken);
    free(array->writes);
    free(array->version);
    free(array->has_weak);
    free(array->torn);
}

void sim_array_touch(struct sim_array *array, uint32_t at, uint32_t size)
{
    uint32_t sector_size = array->part.geometry.erase_size;

    if (size == 0)
        return;
    for (uint32_t s = at / sector_size; s <= (at + size - 1) / sector_size; s++)
        array->version[s] = ++*array->last;
}

void sim_array_mark_weak(struct sim_array *array, uint32_t at)
{
    uint32_t sector = at / array->part.geometry.erase_size;

    array->weak_sectors += array->has_weak[sector] == 0;
    array->has_weak[sector] = 1;
}

static void cure(struct sim_array *array, uint32_t sector)
{
    uint32_t size = array->part.geometry.erase_size;

    if (array->has_weak[sector] == 0)
        return;
    array->has_weak[sector] = 0;
    array->weak_sectors--;
    memset(array->weak + sector * size, 0, size);
}

void sim_array_blank(struct sim_array *array, uint32_t sector)
{
    uint32_t size = array->part.geometry.erase_size;
    uint32_t at = sector * size;

    cure(array, sector);
    memset(array->contents + at, 0xFF, size);
    memset(array->taken + at, 0, size);
    memset(array->writes + at / array->word, 0, size / array->word);
}

void sim_array_erase(struct sim_array *array, uint32_t at, uint32_t size)
{
    uint32_t sector_size = array->part.geometry.erase_size;

    for (uint32_t s = at / sector_size; s < (at + size) / sector_size; s++)
        sim_array_blank(array, s);
    sim_torn_gone(array, at, size);
    sim_array_touch(array, at, size);
}

static void count_writes(struct sim_array *array, uint32_t at, uint32_t size)
{
    if (array->part.writes_per_word == 0)
        return;
    for (uint32_t w = at / array->word; w <= (at + size - 1) / array->word; w++)
        if (array->writes[w] < 0xFF)
            array->writes[w]++;
}

/* Eight bytes at a time, because sweeps live on this: contents &= data, taken = ~data. */
static void burn(uint8_t *contents, uint8_t *taken, const uint8_t *data, uint32_t size)
{
    uint32_t i = 0;

    for (; i + 8 <= size; i += 8) {
        uint64_t is, to;

        memcpy(&is, contents + i, 8);
        memcpy(&to, data + i, 8);
        is &= to;
        to = ~to;
        memcpy(contents + i, &is, 8);
        memcpy(taken + i, &to, 8);
    }
    for (; i < size; i++) {
        contents[i] &= data[i];
        taken[i] = (uint8_t)~data[i];
    }
}

void sim_array_program(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data)
{
    count_writes(array, at, size);
    burn(array->contents + at, array->taken + at, data, size);
    if (array->weak_sectors != 0)
        for (uint32_t i = 0; i < size; i++)
            array->weak[at + i] &= data[i];
    sim_array_touch(array, at, size);
}

/* The k-th bit (from 0) that programming `data` would change, made unstable. */
static void weaken_nth(struct sim_array *array, uint32_t at, uint32_t size, const uint8_t *data,
                       uint32_t k)
{
    for (uint32_t i = 0; i < size; i++) {
        unsigned change = array->contents[at + i] & (uint8_t)~data[i];

        for (; change != 0; change &= change - 1) {
            if (k-- > 0)
                continue;
            array->weak[at + i] |= (uint8_t)(change & (0u - change));
            sim_array_mark_weak(array, at + i);
            return;
        }
    }
}

/* Eight bits, each 1 with a chance of `share` / 8. */
static uint8_t biased(struct kedge_random *random, unsigned share)
{
    uint64_t r = kedge_random_next(random);
    unsigned bits = 0;

    for (unsigned i = 0; i < 8; i++, r >>= 3)
        bits |= (unsigned)((r & 7) < share) << i;
    return (uint8_t)bits;
}

void sim_array_tear_program(struct sim_array *array, uint32_t at, uint32_t size,
                            const uint8_t *data, unsigned how, struct kedge_random *random)
{
    static const uint8_t shares[] = {0, 1, 4, 7, 8};
    unsigned share = shares[kedge_random_below(random, sizeof shares)];
    uint32_t changes = 0;

    if (how == KEDGE_SIM_PROGRAM_ANY)
        how = KEDGE_SIM_PROGRAM_SUBSET + kedge_random_below(random, 4);
    if (how == KEDGE_SIM_PROGRAM_HIDDEN)
        share = 0;
    count_writes(array, at, size);
    sim_torn_keep(array, at, size, data);
    for (uint32_t i = 0; i < size; i++)
        changes += (uint32_t)__builtin_popcount(array->contents[at + i] & (uint8_t)~data[i]);
    if (changes > 0 && (how == KEDGE_SIM_PROGRAM_SPARSE || how == KEDGE_SIM_PROGRAM_HIDDEN))
        weaken_nth(array, at, size, data, kedge_random_below(random, changes));
    for (uint32_t i = 0; i < size; i++) {
        uint8_t change = (uint8_t)(array->contents[at + i] & ~data[i]);
        uint8_t done = change == 0 || share == 0 ? 0 : (uint8_t)(change & biased(random, share));

        array->taken[at + i] = (uint8_t)~data[i];
        array->contents[at + i] &= (uint8_t)~done;
        if (how == KEDGE_SIM_PROGRAM_UNSTABLE && change != 0) {
            array->weak[at + i] |= (uint8_t)(change & biased(random, 4));
            sim_array_mark_weak(array, at + i);
        }
    }
    sim_array_touch(array, at, size);
}

/* Some bits are old, some erased; a few that were on the way are unstable. */
static void mix(struct sim_array *array, uint32_t at, uint32_t size, struct kedge_random *random)
{
    for (uint32_t i = at; i < at + size; i++) {
        uint64_t r = kedge_random_next(random);
        uint8_t old = array->contents[i];

        array->contents[i] = (uint8_t)(old | r);
        array->taken[i] = 0xFF;
        array->weak[i] |= (uint8_t)(~old & (r >> 8) & (r >> 16));
        if (array->weak[i] != 0)
            sim_array_mark_weak(array, i);
    }
}

static void set_weak_blank(struct sim_array *array, uint32_t at, uint32_t size, bool sparse,
                           struct kedge_random *random)
{
    memset(array->contents + at, 0xFF, size);
    memset(array->taken + at, 0xFF, size);
    memset(array->weak + at, 0, size);
    if (sparse) {
        uint32_t i = at + kedge_random_below(random, size);

        array->weak[i] = (uint8_t)(1u << kedge_random_below(random, 8));
        sim_array_mark_weak(array, i);
        return;
    }
    for (uint32_t i = at; i < at + size; i++) {
        uint64_t r = kedge_random_next(random);

        array->weak[i] = (uint8_t)(r & (r >> 8));
        if (array->weak[i] != 0)
            sim_array_mark_weak(array, i);
    }
}

void sim_array_tear_erase(struct sim_array *array, uint32_t at, uint32_t size, unsigned how,
                          struct kedge_random *random)
{
    uint32_t sector_size = array->part.geometry.erase_size;

    if (how == KEDGE_SIM_ERASE_ANY)
        how = KEDGE_SIM_ERASE_OLD + kedge_random_below(random, 5);
    if (how == KEDGE_SIM_ERASE_OLD)
        return;
    sim_torn_gone(array, at, size);
    if (how == KEDGE_SIM_ERASE_MIX) {
        mix(array, at, size, random);
    } else if (how == KEDGE_SIM_ERASE_ZERO) {
        for (uint32_t s = at / sector_size; s < (at + size) / sector_size; s++)
            cure(array, s);
        memset(array->contents + at, 0, size);
        memset(array->taken + at, 0xFF, size);
    } else {
        set_weak_blank(array, at, size, how == KEDGE_SIM_ERASE_SPARSE, random);
    }
    sim_array_touch(array, at, size);
}

static void read_weak(struct kedge_sim *sim, const struct sim_array *array, uint32_t at,
                      uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t weak = array->weak[at + i];
        uint64_t draw;

        if (weak == 0)
            continue;
        draw = sim->s.faults.weak == KEDGE_SIM_WEAK_RANDOM
                   ? kedge_random_next(&sim->s.random)
                   : kedge_random_mix(sim->s.weak_seed ^ ((at + i) * 0x9E3779B97F4A7C15ull));
        to[i] = (uint8_t)((to[i] & ~weak) | ((uint8_t)draw & weak));
    }
}

void sim_array_read(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t *to, size_t size)
{
    const struct sim_array *array = &sim->array[device];

    memcpy(to, array->contents + at, size);
    if (array->weak_sectors != 0)
        read_weak(sim, array, at, to, size);
    for (unsigned i = 0; i < KEDGE_SIM_STUCK; i++) {
        const struct kedge_sim_stuck *stuck = &sim->s.faults.stuck[i];

        if (stuck->mask != 0 && stuck->device == device && stuck->at >= at && stuck->at - at < size)
            to[stuck->at - at] =
                (uint8_t)((to[stuck->at - at] & ~stuck->mask) | (stuck->value & stuck->mask));
    }
}

static void check_byte(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t data)
{
    const struct sim_array *array = &sim->array[device];
    uint8_t is = array->contents[at], weak = array->weak[at];

    if ((data & ~is & ~weak) != 0)
        sim_violate(sim, "%s 0x%lx: programs 0x%02x over 0x%02x: a 1 over a 0", array->part.name,
                    (unsigned long)at, data, is);
    else if ((data & weak) != 0)
        sim_violate(sim, "%s 0x%lx: programs 0x%02x: a 1 over an unstable bit (0x%02x)",
                    array->part.name, (unsigned long)at, data, weak);
    else if ((array->taken[at] ^ data) != 0xFF)
        sim_violate(sim, "%s 0x%lx: programs 0x%02x over 0x%02x: not erased", array->part.name,
                    (unsigned long)at, data, is);
}

/* Rules of a program, judged when it starts. */
void sim_check_program(struct kedge_sim *sim, uint8_t device, uint32_t at, uint32_t size,
                       const uint8_t *data)
{
    const struct sim_array *array = &sim->array[device];
    uint32_t limit = array->part.writes_per_word;

    if (array->weak_sectors != 0 || !is_blank(array->contents + at, size))
        for (uint32_t i = 0; i < size; i++)
            if (array->contents[at + i] != 0xFF || array->weak[at + i] != 0)
                check_byte(sim, device, at + i, data[i]);
    if (limit == 0)
        return;
    for (uint32_t w = at / array->word; w <= (at + size - 1) / array->word; w++)
        if (array->writes[w] >= limit)
            sim_violate(sim, "%s 0x%lx: write number %u of a word", array->part.name,
                        (unsigned long)w * array->word, array->writes[w] + 1u);
}
