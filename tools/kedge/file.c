/* Files in and out. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hex.h"
#include "report.h"

#define FIRST_ROOM 65536

static bool ends_with(const char *path, const char *end)
{
    const size_t size = strlen(path);

    return size >= strlen(end) && strcasecmp(path + size - strlen(end), end) == 0;
}

bool file_is_hex(const char *path)
{
    return ends_with(path, ".hex") || ends_with(path, ".ihex");
}

static int read_all(FILE *f, const char *path, struct file_data *data)
{
    size_t room = FIRST_ROOM;

    data->at = grab(room);
    for (;;) {
        const size_t got = fread(data->at + data->size, 1, room - data->size, f);

        data->size += got;
        if (data->size < room) {
            break;
        }
        if (room > FILE_SIZE_MAX) {
            return fail("%s is larger than %u MiB: that is no firmware image", path,
                        FILE_SIZE_MAX >> 20);
        }
        room *= 2;
        data->at = grow(data->at, room);
    }
    return ferror(f) == 0 ? 0 : fail("cannot read %s: %s", path, strerror(errno));
}

int file_read(const char *path, struct file_data *data)
{
    *data = (struct file_data){0};
    FILE *const f = fopen(path, "rb");

    if (f == NULL) {
        return fail("cannot read %s: %s", path, strerror(errno));
    }
    const int result = read_all(f, path, data);

    fclose(f);
    if (result != 0) {
        free(data->at);
    }
    return result;
}

int file_read_image(const char *path, uint32_t span, struct file_data *data)
{
    struct hex_data hex;
    char why[HEX_WHY];
    const int result = file_read(path, data);

    if (result != 0) {
        return result;
    }
    const struct kedge_bytes text = kedge_bytes(data->at, data->size);

    if (!file_is_hex(path) && (ends_with(path, ".bin") || !hex_like(text))) {
        return 0;
    }
    const int error = hex_read(text, span, &hex, why);

    free(data->at);
    if (error != 0) {
        return fail("%s: %s", path, why);
    }
    *data = (struct file_data){
        .at = hex.at, .size = hex.size, .has_address = true, .address = hex.address};
    return 0;
}

static bool write_all(int fd, struct kedge_bytes data)
{
    while (data.size > 0) {
        const ssize_t written = write(fd, data.at, data.size);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        data.at += written;
        data.size -= (size_t)written;
    }
    return true;
}

static int write_in_place(const char *path, struct kedge_bytes data)
{
    const int fd = open(path, O_WRONLY);
    const bool written = fd >= 0 && write_all(fd, data);
    const int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    return written ? 0 : fail("cannot write %s: %s", path, strerror(error));
}

/* Where the name leads: a link stays a link. */
static void resolve(const char *path, char *target)
{
    if (realpath(path, target) == NULL) {
        snprintf(target, PATH_MAX, "%s", path);
    }
}

int file_write(const char *path, struct kedge_bytes data, unsigned mode)
{
    char target[PATH_MAX];
    char draft[PATH_MAX + 32];
    struct stat status;

    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        return S_ISDIR(status.st_mode) ? fail("cannot write %s: it is a directory", path)
                                       : write_in_place(path, data);
    }
    if (strlen(path) >= PATH_MAX) {
        return fail("the name of the output file is too long");
    }
    resolve(path, target);
    snprintf(draft, sizeof(draft), "%s.%ld.part", target, (long)getpid());
    const int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL, mode);

    if (fd < 0) {
        return fail("cannot write %s: %s", path, strerror(errno));
    }
    /* Only bytes that are on the disk take the old file's place. */
    bool good = write_all(fd, data) && fsync(fd) == 0;
    int error = errno;

    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && rename(draft, target) != 0) {
        good = false;
        error = errno;
    }
    if (!good) {
        unlink(draft);
        return fail("cannot write %s: %s", path, strerror(error));
    }
    return 0;
}
