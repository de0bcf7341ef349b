/* Snapshots copy what differs: a sector whose version is the same on both sides is the same. */
#include <stdlib.h>

#include "inner.h"

struct kedge_sim_snapshot {
    struct sim_array array[KEDGE_DEVICES]; /* no part of these is shared but the part data */
    struct sim_state s;
};

/* Sector `s`: to becomes as from. Version 0 is the erased sector that nobody touched. */
static void copy_sector(struct sim_array *to, const struct sim_array *from, uint32_t s)
{
    uint32_t size = from->part.geometry.erase_size, at = s * size, word = from->word;

    if (from->version[s] == 0) {
        sim_array_blank(to, s);
    } else {
        memcpy(to->contents + at, from->contents + at, size);
        memcpy(to->taken + at, from->taken + at, size);
        memcpy(to->writes + at / word, from->writes + at / word, size / word);
        if ((to->has_weak[s] | from->has_weak[s]) != 0)
            memcpy(to->weak + at, from->weak + at, size);
        to->weak_sectors += from->has_weak[s];
        to->weak_sectors -= to->has_weak[s];
        to->has_weak[s] = from->has_weak[s];
    }
    to->version[s] = from->version[s];
}

static void copy_array(struct sim_array *to, const struct sim_array *from)
{
    for (uint32_t s = 0; s < from->sectors; s++)
        if (to->version[s] != from->version[s])
            copy_sector(to, from, s);
}

void kedge_sim_snapshot_take(struct kedge_sim *sim, struct kedge_sim_snapshot *snapshot)
{
    for (unsigned d = 0; d < KEDGE_DEVICES; d++)
        copy_array(&snapshot->array[d], &sim->array[d]);
    snapshot->s = sim->s;
}

struct kedge_sim_snapshot *kedge_sim_snapshot_make(struct kedge_sim *sim)
{
    struct kedge_sim_snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (snapshot == NULL)
        kedge_trap();
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        uint64_t *last = sim->array[d].last;
        char why[SIM_WHY];

        if (sim_array_open(&snapshot->array[d], &sim->array[d].part, NULL, last, why) != 0)
            kedge_trap();
    }
    kedge_sim_snapshot_take(sim, snapshot);
    return snapshot;
}

void kedge_sim_restore(struct kedge_sim *sim, const struct kedge_sim_snapshot *snapshot)
{
    for (unsigned d = 0; d < KEDGE_DEVICES; d++)
        copy_array(&sim->array[d], &snapshot->array[d]);
    sim->s = snapshot->s;
}

void kedge_sim_snapshot_free(struct kedge_sim_snapshot *snapshot)
{
    for (unsigned d = 0; d < KEDGE_DEVICES; d++)
        sim_array_close(&snapshot->array[d]);
    free(snapshot);
}

bool kedge_sim_same(struct kedge_sim *sim, const struct kedge_sim_snapshot *snapshot,
                    uint8_t device, uint32_t at, uint32_t size)
{
    sim_settle(sim);
    return memcmp(sim->array[device].contents + at, snapshot->array[device].contents + at, size) ==
           0;
}
