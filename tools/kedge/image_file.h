/* A signed image in a file, as the core's parser wants it. */
#ifndef KEDGE_TOOL_IMAGE_FILE_H
#define KEDGE_TOOL_IMAGE_FILE_H

#include "file.h"
#include "kedge/image.h"

struct image_file {
    struct file_data data;
    struct kedge_source source; /* points to data: do not move it */
};

/* 0, or EXIT_REFUSED after saying why. */
int image_file_open(const char *path, struct image_file *image);
void image_file_close(struct image_file *image);

#endif
