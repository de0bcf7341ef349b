/* Bytes of a file for the core's parser. */
#include "image_file.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"

static int read_data(const void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct file_data *const data = ctx;

    if (at > data->size || to.size > data->size - at) {
        return KEDGE_E_BOUNDS;
    }
    memcpy(to.at, data->at + at, to.size);
    return 0;
}

int image_file_open(const char *path, struct image_file *image)
{
    const int result = file_read_image(path, FILE_SIZE_MAX, &image->data);

    image->source = (struct kedge_source){
        .read = read_data, .ctx = &image->data, .size = (uint32_t)image->data.size};
    return result;
}

void image_file_close(struct image_file *image)
{
    free(image->data.at);
    image->data.at = NULL;
}
