#include <stdlib.h>

#include "inner.h"

static bool is_power_of_two(uint32_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* A part that the simulator's arithmetic can bear. */
static bool is_sound(const struct kedge_sim_part *part)
{
    const struct kedge_geometry *g = &part->geometry;

    return is_power_of_two(g->erase_size) && is_power_of_two(g->page_size) &&
           is_power_of_two(g->write_block) && is_power_of_two(part->burst) && g->erase_size >= 16 &&
           g->size >= g->erase_size && g->size % g->erase_size == 0 && part->burst <= SIM_BURST &&
           part->burst >= g->page_size && g->write_block <= g->page_size && g->erased == 0xFF;
}

struct kedge_sim *kedge_sim_create(const struct kedge_sim_config *config, char *why)
{
    const struct kedge_sim_part *part[KEDGE_DEVICES] = {config->internal, config->external};
    const char *file[KEDGE_DEVICES] = {config->internal_file, config->external_file};
    struct kedge_sim *sim = calloc(1, sizeof *sim);

    if (sim == NULL) {
        snprintf(why, SIM_WHY, "no memory for the simulator");
        return NULL;
    }
    for (uint8_t d = 0; d < KEDGE_DEVICES; d++) {
        sim->port[d] = (struct sim_port){.sim = sim, .device = d};
        if (!is_sound(part[d])) {
            snprintf(why, SIM_WHY, "part %.40s: sizes do not fit together", part[d]->name);
            kedge_sim_destroy(sim);
            return NULL;
        }
        if (sim_array_open(&sim->array[d], part[d], file[d], &sim->last_version, why) != 0) {
            kedge_sim_destroy(sim);
            return NULL;
        }
    }
    sim->time = config->time;
    sim->s.faults.seed = config->seed;
    sim->s.random.state = config->seed;
    sim->s.weak_seed = kedge_random_next(&sim->s.random);
    return sim;
}

void kedge_sim_destroy(struct kedge_sim *sim)
{
    for (unsigned d = 0; d < KEDGE_DEVICES; d++)
        sim_array_close(&sim->array[d]);
    free(sim);
}

void kedge_sim_hooks(struct kedge_sim *sim, const struct kedge_sim_hooks *hooks)
{
    sim->hooks = *hooks;
}

void kedge_sim_arm(struct kedge_sim *sim, const struct kedge_sim_faults *faults)
{
    static const struct kedge_sim_faults none;

    sim->s.faults = faults != NULL ? *faults : none;
    sim->s.random.state = sim->s.faults.seed;
    sim->s.operations = 0;
    sim->s.reads = 0;
    sim->s.answers = 0;
    sim->s.chip.dead = false;
}

struct kedge_sim_faults *kedge_sim_faults(struct kedge_sim *sim)
{
    return &sim->s.faults;
}

bool kedge_sim_is_off(const struct kedge_sim *sim)
{
    return sim->s.off;
}

uint64_t kedge_sim_now_us(const struct kedge_sim *sim)
{
    return sim->s.now_ns / 1000;
}

void kedge_sim_wait_us(struct kedge_sim *sim, uint64_t us)
{
    sim_advance(sim, us * 1000);
}

uint32_t kedge_sim_operations(const struct kedge_sim *sim)
{
    return sim->s.operations;
}

uint32_t kedge_sim_reads(const struct kedge_sim *sim)
{
    return sim->s.reads;
}

uint32_t kedge_sim_lives(const struct kedge_sim *sim)
{
    return sim->s.lives;
}

const struct kedge_sim_part *kedge_sim_part(const struct kedge_sim *sim, uint8_t device)
{
    return &sim->array[device].part;
}

uint32_t kedge_sim_violations(const struct kedge_sim *sim)
{
    return sim->s.violations;
}

const char *kedge_sim_violation(const struct kedge_sim *sim)
{
    return sim->s.violation;
}

void kedge_sim_forgive(struct kedge_sim *sim)
{
    sim->s.violations = 0;
    sim->s.violation[0] = 0;
}

const uint8_t *kedge_sim_contents(struct kedge_sim *sim, uint8_t device)
{
    sim_settle(sim);
    return sim->array[device].contents;
}

void kedge_sim_poke(struct kedge_sim *sim, uint8_t device, uint32_t at, struct kedge_bytes bytes)
{
    struct sim_array *array = &sim->array[device];

    KEDGE_ASSERT(at <= array->part.geometry.size && bytes.size <= array->part.geometry.size - at);
    if (bytes.size == 0)
        return;
    sim_settle(sim);
    memcpy(array->contents + at, bytes.at, bytes.size);
    memset(array->weak + at, 0, bytes.size);
    for (size_t i = 0; i < bytes.size; i++) {
        array->taken[at + i] = (uint8_t)~bytes.at[i];
        array->writes[(at + i) / array->word] = 0;
    }
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.at[i] != 0xFF)
            array->writes[(at + i) / array->word] = 1;
    sim_torn_gone(array, at, (uint32_t)bytes.size);
    sim_array_touch(array, at, (uint32_t)bytes.size);
}

void kedge_sim_fill(struct kedge_sim *sim, uint8_t device, uint8_t value)
{
    const struct kedge_geometry *geometry = &sim->array[device].part.geometry;
    uint8_t piece[256];

    sim_settle(sim);
    sim_array_erase(&sim->array[device], 0, geometry->size);
    memset(piece, value, sizeof piece);
    if (value == 0xFF)
        return;
    for (uint32_t at = 0; at < geometry->size; at += sizeof piece)
        kedge_sim_poke(sim, device, at,
                       kedge_bytes(piece, geometry->size - at < sizeof piece ? geometry->size - at
                                                                             : sizeof piece));
}

void kedge_sim_decay(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t mask)
{
    sim_settle(sim);
    sim->array[device].contents[at] ^= mask;
    sim_array_touch(&sim->array[device], at, 1);
}

void kedge_sim_weaken(struct kedge_sim *sim, uint8_t device, uint32_t at, uint8_t mask)
{
    sim_settle(sim);
    sim->array[device].weak[at] |= mask;
    sim_array_mark_weak(&sim->array[device], at);
    sim_array_touch(&sim->array[device], at, 1);
}

uint32_t kedge_sim_unstable(struct kedge_sim *sim, uint8_t device, uint32_t at, uint32_t size)
{
    uint32_t bits = 0;

    sim_settle(sim);
    for (uint32_t i = at; i < at + size; i++)
        bits += (uint32_t)__builtin_popcount(sim->array[device].weak[i]);
    return bits;
}

void kedge_sim_protect(struct kedge_sim *sim, uint8_t status_bits)
{
    sim->s.chip.status = status_bits & 0xFC;
}

void kedge_sim_deep_power_down(struct kedge_sim *sim)
{
    sim->s.chip.asleep = true;
}
