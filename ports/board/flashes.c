#include "flashes.h"

static void record(struct flashes *flashes)
{
    flashes->recorder.forbidden[KEDGE_PHASE_DOWNLOAD] = 1u << KEDGE_INTERNAL;
    flashes->recorder.forbidden[KEDGE_PHASE_DECODE] = 1u << KEDGE_INTERNAL;
    for (unsigned d = 0; d < KEDGE_DEVICES; d++) {
        flashes->recorded[d] = (struct kedge_recorded){.inner = &flashes->inner[d],
                                                       .recorder = &flashes->recorder,
                                                       .times = &board_times[d],
                                                       .device = (uint8_t)d};
        kedge_recorder_wrap(&flashes->recorded[d], &flashes->flash[d]);
    }
}

int flashes_open(struct flashes *flashes)
{
    const struct kedge_flash *internal = &flashes->flash[KEDGE_INTERNAL];
    const struct kedge_flash *external = &flashes->flash[KEDGE_EXTERNAL];
    const struct board_map *map = &board_map;

    flashes->external =
        board_open(&flashes->inner[KEDGE_INTERNAL], &flashes->inner[KEDGE_EXTERNAL]);
    record(flashes);
    const uint32_t two = 2 * internal->geometry.erase_size;
    const uint32_t spares = map->spares * external->geometry.erase_size;
    const struct kedge_region primary = {internal, map->primary, map->slot_size};
    const struct kedge_region secondary = {external, map->secondary, map->slot_size + spares};
    flashes->layout = (struct kedge_layout){.pairs = &flashes->pair,
                                            .pair_count = 1,
                                            .journal = {internal, map->journal, two},
                                            .settings = {internal, map->settings, two}};
    return kedge_pair_make(&flashes->pair, &primary, &secondary, NULL, map->max_align);
}
