/* Layout files: parsing, printing, building. libyaml reads; everything in a file is hostile. */
#include "layout_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static const char *const region_names[LAYOUT_REGIONS] = {
    [LAYOUT_LOADER] = "loader",     [LAYOUT_PRIMARY] = "primary",     [LAYOUT_JOURNAL] = "journal",
    [LAYOUT_SETTINGS] = "settings", [LAYOUT_SECONDARY] = "secondary", [LAYOUT_SPARES] = "spares",
    [LAYOUT_BACKUP] = "backup",     [LAYOUT_STAGING] = "staging",
};
static const char *const device_names[KEDGE_DEVICES] = {"internal", "external"};

const char *layout_region_text(enum layout_region region)
{
    return region < LAYOUT_REGIONS ? region_names[region] : "?";
}

static void set_region(struct layout_file *file, enum layout_region region, uint8_t device,
                       uint32_t address, uint32_t size)
{
    file->region[region].present = true;
    file->region[region].device = device;
    file->region[region].address = address;
    file->region[region].size = size;
}

static void set_devices(struct layout_file *file)
{
    memset(file, 0, sizeof *file);
    strcpy(file->strategy, "swap");
    strcpy(file->device[KEDGE_INTERNAL].part, "nrf52840");
    file->device[KEDGE_INTERNAL].size = 0x100000;
    file->device[KEDGE_INTERNAL].sector = 4096;
    strcpy(file->device[KEDGE_EXTERNAL].part, "mx25r64");
    file->device[KEDGE_EXTERNAL].size = 0x800000;
    file->device[KEDGE_EXTERNAL].sector = 4096;
}

void layout_file_default(struct layout_file *file)
{
    set_devices(file);
    set_region(file, LAYOUT_LOADER, KEDGE_INTERNAL, 0x0, 0xC000);
    set_region(file, LAYOUT_PRIMARY, KEDGE_INTERNAL, 0xC000, 0x71000);
    set_region(file, LAYOUT_JOURNAL, KEDGE_INTERNAL, 0x7D000, 0x2000);
    set_region(file, LAYOUT_SETTINGS, KEDGE_INTERNAL, 0x7F000, 0x2000);
    set_region(file, LAYOUT_SECONDARY, KEDGE_EXTERNAL, 0x0, 0x71000);
    set_region(file, LAYOUT_SPARES, KEDGE_EXTERNAL, 0x71000, 0x2000);
    set_region(file, LAYOUT_BACKUP, KEDGE_EXTERNAL, 0x73000, 0x70000);
    set_region(file, LAYOUT_STAGING, KEDGE_EXTERNAL, 0xE3000, 0x800000 - 0xE3000);
}

/* ---- YAML ------------------------------------------------------------------------------------ */

/* A mapping of the document, seen entry by entry. */
struct mapping {
    yaml_document_t *document;
    yaml_node_t *node;
};

/* The text of a plain value; none when it is no such value, or has a NUL inside. */
static const char *scalar(const yaml_node_t *node)
{
    const char *text = node != NULL && node->type == YAML_SCALAR_NODE
                           ? (const char *)node->data.scalar.value
                           : NULL;
    return text != NULL && strlen(text) == node->data.scalar.length ? text : NULL;
}

/* Words of the file go into messages: nothing of them may drive a terminal or make a second line.
 */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

static size_t entries(const struct mapping *map)
{
    return map->node == NULL || map->node->type != YAML_MAPPING_NODE
               ? 0
               : (size_t)(map->node->data.mapping.pairs.top - map->node->data.mapping.pairs.start);
}

static const char *entry_key(const struct mapping *map, size_t i)
{
    yaml_node_pair_t *pair = map->node->data.mapping.pairs.start + i;
    const char *key = scalar(yaml_document_get_node(map->document, pair->key));
    return key == NULL ? "" : key;
}

static yaml_node_t *entry_node(const struct mapping *map, size_t i)
{
    yaml_node_pair_t *pair = map->node->data.mapping.pairs.start + i;
    return yaml_document_get_node(map->document, pair->value);
}

static yaml_node_t *find(const struct mapping *map, const char *key)
{
    for (size_t i = 0; i < entries(map); i++) {
        if (strcmp(entry_key(map, i), key) == 0) {
            return entry_node(map, i);
        }
    }
    return NULL;
}

static int number(const struct mapping *map, const char *key, uint32_t *value, char *why,
                  const char *where)
{
    const char *text = scalar(find(map, key));
    char *end = NULL;
    errno = 0;
    unsigned long long v = text == NULL ? 0 : strtoull(text, &end, 0);
    if (text == NULL || end == text || *end != '\0' || errno != 0 || v > UINT32_MAX ||
        text[0] == '-') {
        snprintf(why, LAYOUT_WHY, "layout: %s needs a number '%s' (decimal or 0x...)", where, key);
        return -1;
    }
    *value = (uint32_t)v;
    return 0;
}

static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (name != NULL && strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* YAML readers differ in which of two equal keys they take: neither is. */
static int no_key_twice(const struct mapping *map, const char *where, char *why)
{
    for (size_t i = 1; i < entries(map); i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(entry_key(map, i), entry_key(map, j)) == 0) {
                snprintf(why, LAYOUT_WHY, "layout: '%.40s' stands twice in %.40s",
                         entry_key(map, i), where);
                return -1;
            }
        }
    }
    return 0;
}

/* Every key of a mapping must be one of `known` (space-separated, spaces around), and there once.
 */
static int only(const struct mapping *map, const char *known, const char *where, char *why)
{
    for (size_t i = 0; i < entries(map); i++) {
        char word[40];
        snprintf(word, sizeof word, " %.36s ", entry_key(map, i));
        if (strstr(known, word) == NULL || strchr(entry_key(map, i), ' ') != NULL) {
            snprintf(why, LAYOUT_WHY, "layout: unknown key '%.40s' in %s (known:%s)",
                     entry_key(map, i), where, known);
            return -1;
        }
    }
    return no_key_twice(map, where, why);
}

static int read_device(const struct mapping *map, const char *name, struct layout_file *file,
                       char *why)
{
    int d = index_of(device_names, KEDGE_DEVICES, name);
    if (d < 0) {
        snprintf(why, LAYOUT_WHY, "layout: unknown device '%.40s' (known: internal, external)",
                 name);
        return -1;
    }
    const char *part = scalar(find(map, "part"));
    if (part == NULL || strlen(part) >= sizeof file->device[d].part) {
        snprintf(why, LAYOUT_WHY, "layout: device %s needs 'part: NAME'", name);
        return -1;
    }
    strcpy(file->device[d].part, part);
    if (only(map, " part size sector ", name, why) != 0 ||
        number(map, "size", &file->device[d].size, why, name) != 0) {
        return -1;
    }
    return number(map, "sector", &file->device[d].sector, why, name);
}

static int read_region(const struct mapping *map, const char *name, struct layout_file *file,
                       char *why)
{
    int r = index_of(region_names, LAYOUT_REGIONS, name);
    if (r < 0) {
        snprintf(why, LAYOUT_WHY,
                 "layout: unknown region '%.40s' (known: loader, primary, journal, settings, "
                 "secondary, spares, backup, staging)",
                 name);
        return -1;
    }
    const char *device = scalar(find(map, "device"));
    int d = index_of(device_names, KEDGE_DEVICES, device);
    if (d < 0) {
        snprintf(why, LAYOUT_WHY, "layout: region %s needs 'device: internal' or 'external'", name);
        return -1;
    }
    uint32_t address;
    uint32_t size;
    if (only(map, " device address size ", name, why) != 0 ||
        number(map, "address", &address, why, name) != 0 ||
        number(map, "size", &size, why, name) != 0) {
        return -1;
    }
    set_region(file, (enum layout_region)r, (uint8_t)d, address, size);
    return 0;
}

static int read_strategy(const struct mapping *top, struct layout_file *file, char *why)
{
    static const char *const known[] = {"swap", "overwrite", "backup"};
    const char *name = scalar(find(top, "strategy"));
    if (find(top, "strategy") == NULL) {
        return 0;
    }
    if (index_of(known, sizeof known / sizeof known[0], name) < 0) {
        snprintf(why, LAYOUT_WHY, "layout: strategy must be swap, overwrite or backup, not '%.40s'",
                 name == NULL ? "" : name);
        return -1;
    }
    strcpy(file->strategy, name);
    return 0;
}

static int read_own(const struct mapping *top, struct layout_file *file, char *why)
{
    struct mapping devices = {top->document, find(top, "devices")};
    struct mapping regions = {top->document, find(top, "regions")};
    if (only(top, " strategy devices regions ", "the file", why) != 0 ||
        read_strategy(top, file, why) != 0 || no_key_twice(&devices, "devices", why) != 0 ||
        no_key_twice(&regions, "regions", why) != 0) {
        return -1;
    }
    for (size_t i = 0; i < entries(&devices); i++) {
        struct mapping one = {top->document, entry_node(&devices, i)};
        if (read_device(&one, entry_key(&devices, i), file, why) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < entries(&regions); i++) {
        struct mapping one = {top->document, entry_node(&regions, i)};
        if (read_region(&one, entry_key(&regions, i), file, why) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- Nordic's partition manager -------------------------------------------------------------- */

/* One entry of partitions.yml: address, size or end_address, region (default flash_primary). */
struct nordic {
    bool external, empty;
    uint32_t address, size;
};

static int read_nordic(const struct mapping *map, const char *name, struct nordic *out, char *why)
{
    const char *region = scalar(find(map, "region"));
    uint32_t end;
    out->external = region != NULL && strcmp(region, "external_flash") == 0;
    out->empty = strncmp(name, "EMPTY", 5) == 0 || strcmp(name, "external_flash") == 0 ||
                 find(map, "span") != NULL || find(map, "orig_span") != NULL ||
                 (region != NULL && !out->external && strcmp(region, "flash_primary") != 0);
    if (number(map, "address", &out->address, why, name) != 0) {
        return -1;
    }
    if (find(map, "size") != NULL) {
        return number(map, "size", &out->size, why, name);
    }
    if (number(map, "end_address", &end, why, name) != 0) {
        return -1;
    }
    if (end < out->address) {
        snprintf(why, LAYOUT_WHY, "layout: %s ends before it starts", name);
        return -1;
    }
    out->size = end - out->address;
    return 0;
}

/* Is [address, address + size) of the device free of named partitions and of our regions? */
static bool free_place(const struct mapping *top, const struct layout_file *file, uint8_t device,
                       uint64_t address, uint32_t size)
{
    char ignored[LAYOUT_WHY];
    if (address + size > file->device[device].size) {
        return false;
    }
    for (size_t i = 0; i < entries(top); i++) {
        struct mapping one = {top->document, entry_node(top, i)};
        struct nordic n;
        if (read_nordic(&one, entry_key(top, i), &n, ignored) == 0 && !n.empty &&
            n.external == (device == KEDGE_EXTERNAL) && address < (uint64_t)n.address + n.size &&
            n.address < address + size) {
            return false;
        }
    }
    for (int r = 0; r < LAYOUT_REGIONS; r++) {
        if (file->region[r].present && file->region[r].device == device &&
            address < (uint64_t)file->region[r].address + file->region[r].size &&
            file->region[r].address < address + size) {
            return false;
        }
    }
    return true;
}

/* Place a region that Nordic's file does not name, in the first gap of the internal flash. */
static int place(const struct mapping *top, struct layout_file *file, enum layout_region region,
                 char *why)
{
    const uint32_t sector = file->device[KEDGE_INTERNAL].sector;
    const uint32_t size = 2 * (sector > 4096 ? sector : 4096);
    for (uint64_t at = 0; at + size <= file->device[KEDGE_INTERNAL].size; at += sector) {
        if (free_place(top, file, KEDGE_INTERNAL, at, size)) {
            set_region(file, region, KEDGE_INTERNAL, (uint32_t)at, size);
            return 0;
        }
    }
    snprintf(why, LAYOUT_WHY,
             "layout: no %u free bytes in the internal flash for the %s: make an entry kedge_%s "
             "or shrink the application",
             size, region_names[region], region_names[region]);
    return -1;
}

static int read_nordic_file(const struct mapping *top, struct layout_file *file, char *why)
{
    static const struct {
        const char *name;
        enum layout_region region;
    } known[] = {
        {"mcuboot", LAYOUT_LOADER},
        {"mcuboot_primary", LAYOUT_PRIMARY},
        {"mcuboot_secondary", LAYOUT_SECONDARY},
        {"kedge_journal", LAYOUT_JOURNAL},
        {"kedge_settings", LAYOUT_SETTINGS},
        {"kedge_backup", LAYOUT_BACKUP},
        {"kedge_staging", LAYOUT_STAGING},
    };
    if (no_key_twice(top, "the file", why) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct mapping one = {top->document, find(top, known[i].name)};
        struct nordic n;
        if (one.node == NULL) {
            continue;
        }
        if (read_nordic(&one, known[i].name, &n, why) != 0) {
            return -1;
        }
        set_region(file, known[i].region, n.external ? KEDGE_EXTERNAL : KEDGE_INTERNAL, n.address,
                   n.size);
    }
    if (!file->region[LAYOUT_JOURNAL].present && place(top, file, LAYOUT_JOURNAL, why) != 0) {
        return -1;
    }
    if (!file->region[LAYOUT_SETTINGS].present && place(top, file, LAYOUT_SETTINGS, why) != 0) {
        return -1;
    }
    /* Spares behind the secondary where nobody lives; else they come out of the slot. */
    const uint32_t sector = file->device[KEDGE_EXTERNAL].sector;
    const uint32_t behind =
        file->region[LAYOUT_SECONDARY].address + file->region[LAYOUT_SECONDARY].size;
    if (file->region[LAYOUT_SECONDARY].present &&
        free_place(top, file, file->region[LAYOUT_SECONDARY].device, behind, 2 * sector)) {
        set_region(file, LAYOUT_SPARES, file->region[LAYOUT_SECONDARY].device, behind, 2 * sector);
    }
    return 0;
}

/* True when nothing follows the document that was read: the second one would be ignored. */
static bool is_last(yaml_parser_t *parser)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) {
        return false;
    }
    const bool last = yaml_document_get_root_node(&document) == NULL;
    yaml_document_delete(&document);
    return last;
}

static int parse(const char *text, size_t size, struct layout_file *file, char *why)
{
    yaml_parser_t parser;
    yaml_document_t document;
    int result = -1;
    set_devices(file);
    if (!yaml_parser_initialize(&parser)) {
        snprintf(why, LAYOUT_WHY, "layout: out of memory");
        return -1;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!yaml_parser_load(&parser, &document)) {
        snprintf(why, LAYOUT_WHY, "layout: not YAML: line %zu: %s", parser.problem_mark.line + 1,
                 parser.problem == NULL ? "unreadable" : parser.problem);
        yaml_parser_delete(&parser);
        return -1;
    }
    struct mapping top = {&document, yaml_document_get_root_node(&document)};
    if (entries(&top) == 0) {
        snprintf(why, LAYOUT_WHY, "layout: empty; see docs/layout.md for the form");
    } else if (!is_last(&parser)) {
        snprintf(why, LAYOUT_WHY, "layout: something follows the first YAML document");
    } else if (find(&top, "mcuboot_primary") != NULL) {
        result = read_nordic_file(&top, file, why);
    } else {
        result = read_own(&top, file, why);
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    for (int r = LAYOUT_PRIMARY; result == 0 && r <= LAYOUT_SECONDARY; r++) {
        if (!file->region[r].present) {
            snprintf(why, LAYOUT_WHY, "layout: there is no region '%s'", region_names[r]);
            result = -1;
        }
    }
    return result;
}

int layout_file_parse(const char *text, size_t size, struct layout_file *file, char *why)
{
    const int result = parse(text, size, file, why);
    if (result != 0) {
        make_printable(why);
    }
    return result;
}

size_t layout_file_print(const struct layout_file *file, char *to, size_t room)
{
    size_t n = (size_t)snprintf(to, room, "strategy: %s\ndevices:\n", file->strategy);
    for (int d = 0; d < KEDGE_DEVICES; d++) {
        n += (size_t)snprintf(to + n, room - n, "  %s: {part: %s, size: 0x%X, sector: %u}\n",
                              device_names[d], file->device[d].part, file->device[d].size,
                              file->device[d].sector);
    }
    n += (size_t)snprintf(to + n, room - n, "regions:\n");
    for (int r = 0; r < LAYOUT_REGIONS; r++) {
        if (file->region[r].present) {
            n += (size_t)snprintf(to + n, room - n,
                                  "  %s: {device: %s, address: 0x%X, size: 0x%X}\n",
                                  region_names[r], device_names[file->region[r].device],
                                  file->region[r].address, file->region[r].size);
        }
    }
    return n;
}

/* ---- parts and regions ----------------------------------------------------------------------- */

int layout_file_parts(const struct layout_file *file, struct kedge_sim_part parts[KEDGE_DEVICES],
                      char *why)
{
    static const struct {
        const char *name;
        const struct kedge_sim_part *part;
        uint8_t device;
    } known[] = {
        {"nrf52840", &kedge_sim_nrf52840, KEDGE_INTERNAL},
        {"mx25r64", &kedge_sim_mx25r64, KEDGE_EXTERNAL},
        {"w25q64", &kedge_sim_w25q64, KEDGE_EXTERNAL},
        {"gd25q16", &kedge_sim_gd25q16, KEDGE_EXTERNAL},
        {"mx25l25645", &kedge_sim_mx25l25645, KEDGE_EXTERNAL},
    };
    for (int d = 0; d < KEDGE_DEVICES; d++) {
        const struct kedge_sim_part *part = NULL;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (known[i].device == d && strcmp(known[i].name, file->device[d].part) == 0) {
                part = known[i].part;
            }
        }
        if (part == NULL) {
            snprintf(why, LAYOUT_WHY,
                     "layout: the %s flash '%s' is not a part that is known here (internal: "
                     "nrf52840; external: mx25r64, w25q64, gd25q16, mx25l25645)",
                     device_names[d], file->device[d].part);
            make_printable(why);
            return -1;
        }
        const uint32_t sector = file->device[d].sector;
        const uint32_t size = file->device[d].size;
        parts[d] = *part;
        if (d == KEDGE_EXTERNAL &&
            (size != part->geometry.size || sector != part->geometry.erase_size)) {
            snprintf(why, LAYOUT_WHY,
                     "layout: the %s has 0x%X bytes in sectors of %u, the layout says 0x%X and %u",
                     file->device[d].part, part->geometry.size, part->geometry.erase_size, size,
                     sector);
            return -1;
        }
        if (sector < 256 || (sector & (sector - 1)) != 0 || size == 0 || size % sector != 0 ||
            size > 0x1000000) {
            snprintf(why, LAYOUT_WHY,
                     "layout: the internal flash cannot have 0x%X bytes in sectors of %u", size,
                     sector);
            return -1;
        }
        parts[d].geometry.size = size;
        parts[d].geometry.erase_size = sector;
    }
    return 0;
}

static struct kedge_region region_on(const struct layout_file *file, enum layout_region r,
                                     const struct kedge_flash *const flash[KEDGE_DEVICES])
{
    if (!file->region[r].present) {
        return (struct kedge_region){.flash = NULL};
    }
    return (struct kedge_region){.flash = flash[file->region[r].device],
                                 .start = file->region[r].address,
                                 .size = file->region[r].size};
}

/* Overlap and bounds of everything in the file, the loader included. */
static int check_places(const struct layout_file *file, char *why)
{
    for (int a = 0; a < LAYOUT_REGIONS; a++) {
        if (!file->region[a].present) {
            continue;
        }
        const uint64_t end = (uint64_t)file->region[a].address + file->region[a].size;
        const uint8_t device = file->region[a].device;
        const uint32_t sector = file->device[device].sector;
        if (end > file->device[device].size) {
            snprintf(why, LAYOUT_WHY, "layout: region %s ends at 0x%llX, past the %s flash (0x%X)",
                     region_names[a], (unsigned long long)end, device_names[device],
                     file->device[device].size);
            return -1;
        }
        if (file->region[a].address % sector != 0 || file->region[a].size % sector != 0 ||
            file->region[a].size == 0) {
            snprintf(why, LAYOUT_WHY,
                     "layout: region %s (0x%X, 0x%X bytes) is not made of whole %u-byte sectors",
                     region_names[a], file->region[a].address, file->region[a].size, sector);
            return -1;
        }
        for (int b = 0; b < a; b++) {
            if (file->region[b].present && file->region[b].device == device &&
                file->region[b].address < end &&
                file->region[a].address <
                    (uint64_t)file->region[b].address + file->region[b].size) {
                snprintf(why, LAYOUT_WHY, "layout: regions %s and %s overlap on the %s flash",
                         region_names[b], region_names[a], device_names[device]);
                return -1;
            }
        }
    }
    return 0;
}

int layout_file_build(const struct layout_file *file, const struct kedge_flash *internal,
                      const struct kedge_flash *external, struct kedge_pair *pair,
                      struct kedge_layout *layout, char *why)
{
    const struct kedge_flash *const flash[KEDGE_DEVICES] = {internal, external};
    struct kedge_region secondary = region_on(file, LAYOUT_SECONDARY, flash);
    const struct kedge_region spares = region_on(file, LAYOUT_SPARES, flash);
    const struct kedge_region primary = region_on(file, LAYOUT_PRIMARY, flash);
    const struct kedge_region backup = region_on(file, LAYOUT_BACKUP, flash);
    if (check_places(file, why) != 0) {
        return -1;
    }
    if (spares.flash != NULL) {
        if (spares.flash != secondary.flash || spares.start != secondary.start + secondary.size) {
            snprintf(why, LAYOUT_WHY, "layout: the spares must lie right behind the secondary");
            return -1;
        }
        secondary.size += spares.size;
    }
    if (kedge_pair_make(pair, &primary, &secondary, &backup, 8) != 0) {
        snprintf(why, LAYOUT_WHY,
                 "layout: primary (0x%X bytes) and secondary (0x%X with spares) cannot be a pair: "
                 "both need whole units, at least 3, and the secondary as many as the primary",
                 primary.size, secondary.size);
        return -1;
    }
    *layout = (struct kedge_layout){.pairs = pair,
                                    .pair_count = 1,
                                    .journal = region_on(file, LAYOUT_JOURNAL, flash),
                                    .settings = region_on(file, LAYOUT_SETTINGS, flash),
                                    .staging = region_on(file, LAYOUT_STAGING, flash)};
    char reason[160];
    if (kedge_layout_check(layout, reason) != 0) {
        snprintf(why, LAYOUT_WHY, "layout: %s", reason);
        return -1;
    }
    return 0;
}
