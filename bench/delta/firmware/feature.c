/* The change of the pair "feature": statistics over samples, kept in a file, with a command of
 * their own. Linked in the middle of the image. */
#include <lfs.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct samples {
    float at[64];
    unsigned count;
};

static struct samples samples;

float feature_mean(void)
{
    float sum = 0;
    for (unsigned i = 0; i < samples.count; i++) {
        sum += samples.at[i];
    }
    return samples.count > 0 ? sum / (float)samples.count : 0;
}

float feature_deviation(void)
{
    const float mean = feature_mean();
    float sum = 0;
    for (unsigned i = 0; i < samples.count; i++) {
        sum += (samples.at[i] - mean) * (samples.at[i] - mean);
    }
    return samples.count > 1 ? sqrtf(sum / (float)(samples.count - 1)) : 0;
}

static int order(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

float feature_median(void)
{
    struct samples sorted = samples;
    qsort(sorted.at, sorted.count, sizeof(sorted.at[0]), order);
    return sorted.count > 0 ? sorted.at[sorted.count / 2] : 0;
}

int feature_store(lfs_t *lfs)
{
    lfs_file_t file;
    int error = lfs_file_open(lfs, &file, "samples", LFS_O_WRONLY | LFS_O_CREAT | LFS_O_TRUNC);
    if (error == 0) {
        error = (int)lfs_file_write(lfs, &file, &samples, sizeof(samples));
        lfs_file_close(lfs, &file);
    }
    return error;
}

int feature_command(const char *line, char *answer, size_t size)
{
    float value;
    if (sscanf(line, "add %f", &value) == 1) {
        samples.at[samples.count++ % 64] = value;
        return snprintf(answer, size, "ok %u", samples.count);
    }
    if (strcmp(line, "mean") == 0) {
        return snprintf(answer, size, "%d.%03d", (int)feature_mean(),
                        (int)(fabsf(feature_mean()) * 1000) % 1000);
    }
    if (strcmp(line, "median") == 0) {
        return snprintf(answer, size, "%d", (int)feature_median());
    }
    if (strcmp(line, "deviation") == 0) {
        return snprintf(answer, size, "%d", (int)(feature_deviation() * 1000));
    }
    return snprintf(answer, size, "add VALUE, mean, median, deviation");
}
