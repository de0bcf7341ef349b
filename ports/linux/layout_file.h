/* A layout as a file: Kedge's own YAML, or Nordic's partitions.yml / pm_static.yml; and the default
 * layout of PRODUCT.md. Host code. FORMAT.md, "Layout file". */
#ifndef KEDGE_LINUX_LAYOUT_FILE_H
#define KEDGE_LINUX_LAYOUT_FILE_H

#include "kedge/layout.h"
#include "kedge/recorder.h"
#include "sim.h"

#define LAYOUT_WHY 256 /* bytes of a reason in words */

enum layout_region {
    LAYOUT_LOADER,
    LAYOUT_PRIMARY,
    LAYOUT_JOURNAL,
    LAYOUT_SETTINGS,
    LAYOUT_SECONDARY,
    LAYOUT_SPARES,  /* right behind the secondary; may be absent */
    LAYOUT_BACKUP,  /* may be absent */
    LAYOUT_STAGING, /* may be absent */
    LAYOUT_REGIONS
};

struct layout_file {
    char strategy[12]; /* swap, overwrite, backup */
    struct {
        char part[24];
        uint32_t size, sector; /* bytes */
    } device[KEDGE_DEVICES];
    struct {
        bool present;
        uint8_t device; /* enum kedge_device */
        uint32_t address, size;
    } region[LAYOUT_REGIONS];
};

const char *layout_region_text(enum layout_region region);

/* PRODUCT.md's default. */
void layout_file_default(struct layout_file *file);

/* Parse `text` (either format). 0, or -1 with the reason and what to do in `why` (LAYOUT_WHY). */
int layout_file_parse(const char *text, size_t size, struct layout_file *file, char *why);

/* The same content as Kedge's own YAML; `to` at least 2048 bytes; -> characters. */
size_t layout_file_print(const struct layout_file *file, char *to, size_t room);

/* The simulated parts of this layout: -1 when a part's name is unknown. */
int layout_file_parts(const struct layout_file *file, struct kedge_sim_part parts[KEDGE_DEVICES],
                      char *why);

/* Regions on two open devices, checked by kedge_layout_check. `pair` must outlive `layout`. */
int layout_file_build(const struct layout_file *file, const struct kedge_flash *internal,
                      const struct kedge_flash *external, struct kedge_pair *pair,
                      struct kedge_layout *layout, char *why);

#endif
