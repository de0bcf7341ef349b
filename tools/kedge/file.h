/* Files in and out. Output appears whole or not at all. */
#ifndef KEDGE_TOOL_FILE_H
#define KEDGE_TOOL_FILE_H

#include "kedge/base.h"

#define FILE_SIZE_MAX (64u << 20) /* larger files are no firmware */

struct file_data {
    uint8_t *at; /* allocated; free() it */
    size_t size;
    bool has_address; /* it came from a .hex */
    uint32_t address;
};

/* All three: 0, or EXIT_REFUSED after saying why on stderr. */

int file_read(const char *path, struct file_data *data);

/* A binary, or Intel HEX (by its name, or when its first line is a record and the name does not
 * end in .bin). `span`: most bytes from the lowest to the highest address of a .hex. */
int file_read_image(const char *path, uint32_t span, struct file_data *data);

/* A file beside `path`, renamed onto it when it is complete; devices and pipes are written
 * directly. `mode`: permissions of a new file, as for open(). */
int file_write(const char *path, struct kedge_bytes data, unsigned mode);

bool file_is_hex(const char *path);

#endif
