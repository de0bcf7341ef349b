/* The flight recorder: counts, rules and a ring around any flash device. */
#include "kedge/recorder.h"

#include <string.h>

void kedge_recorder_clear(struct kedge_recorder *recorder)
{
    memset(recorder->counts, 0, sizeof recorder->counts);
    if (recorder->ring.size > 0)
        memset(recorder->ring.at, 0, recorder->ring.size);
    recorder->sequence = 0;
}

uint8_t kedge_recorder_phase(struct kedge_recorder *recorder, uint8_t phase)
{
    uint8_t before = recorder->phase;

    KEDGE_ASSERT(phase < KEDGE_PHASES);
    recorder->phase = phase;
    return before;
}

static struct kedge_counts *counts_of(const struct kedge_recorded *recorded)
{
    return &recorded->recorder->counts[recorded->device][recorded->recorder->phase];
}

/* `size` units of `ns`, in microseconds, without a 64-bit product. */
static uint32_t microseconds(uint32_t size, uint32_t ns)
{
    return size / 1000 * ns + size % 1000 * ns / 1000;
}

static void ring(const struct kedge_recorded *recorded, uint8_t operation, uint32_t at,
                 uint32_t size, int result)
{
    struct kedge_recorder *recorder = recorded->recorder;
    size_t slots = recorder->ring.size / KEDGE_EVENT_SIZE;

    if (slots > 0) {
        uint8_t *event = recorder->ring.at + recorder->sequence % slots * KEDGE_EVENT_SIZE;

        kedge_put_le32(event, recorder->sequence);
        kedge_put_le32(event + 4, at);
        kedge_put_le32(event + 8, size);
        event[12] = recorded->device;
        event[13] = recorder->phase;
        event[14] = operation;
        event[15] = (uint8_t)result;
    }
    recorder->sequence++;
}

static bool is_forbidden(const struct kedge_recorded *recorded)
{
    const struct kedge_recorder *recorder = recorded->recorder;

    return (recorder->forbidden[recorder->phase] >> recorded->device & 1) != 0;
}

static int refuse(const struct kedge_recorded *recorded, uint32_t at, uint32_t size)
{
    counts_of(recorded)->failures++;
    ring(recorded, KEDGE_OP_REFUSED, at, size, KEDGE_E_FORBIDDEN);
    return KEDGE_E_FORBIDDEN;
}

static int read_counted(void *ctx, uint32_t at, struct kedge_buf to)
{
    struct kedge_recorded *recorded = ctx;
    struct kedge_counts *counts = counts_of(recorded);
    int error = recorded->inner->ops->read(recorded->inner->ctx, at, to);

    counts->reads++;
    counts->read_bytes += (uint32_t)to.size;
    counts->model_us += microseconds((uint32_t)to.size, recorded->times->byte_ns);
    counts->failures += error != 0;
    return error;
}

/* Adds the time of `size` bytes inside one page, fewer than the page holds. */
static uint32_t partial_us(const struct kedge_part_times *times, uint32_t size)
{
    if (times->program_fixed_us == 0)
        return times->page_us;
    return times->program_fixed_us + microseconds(size, times->program_byte_ns);
}

/* Splits the call at page boundaries as the device does: [partial] full ... full [partial]. */
static void count_program(const struct kedge_recorded *recorded, uint32_t at, uint32_t size)
{
    struct kedge_counts *counts = counts_of(recorded);
    const struct kedge_part_times *times = recorded->times;
    uint32_t page = recorded->inner->geometry.page_size;
    uint32_t head = (page - at % page) % page;
    uint32_t full;

    counts->program_bytes += size;
    counts->model_us += microseconds(size, times->byte_ns);
    if (head > size)
        head = size;
    full = (size - head) / page;
    size = (size - head) % page;
    counts->programs += full;
    counts->model_us += full * times->page_us;
    if (head > 0) {
        counts->programs++;
        counts->model_us += partial_us(times, head);
    }
    if (size > 0) {
        counts->programs++;
        counts->model_us += partial_us(times, size);
    }
}

static int program_counted(void *ctx, uint32_t at, struct kedge_bytes from)
{
    struct kedge_recorded *recorded = ctx;
    int error;

    if (is_forbidden(recorded))
        return refuse(recorded, at, (uint32_t)from.size);
    error = recorded->inner->ops->program(recorded->inner->ctx, at, from);
    count_program(recorded, at, (uint32_t)from.size);
    counts_of(recorded)->failures += error != 0;
    ring(recorded, KEDGE_OP_PROGRAM, at, (uint32_t)from.size, error);
    return error;
}

static int erase_counted(void *ctx, uint32_t at, uint32_t size)
{
    struct kedge_recorded *recorded = ctx;
    struct kedge_counts *counts = counts_of(recorded);
    uint32_t sectors = size / recorded->inner->geometry.erase_size;
    int error;

    if (is_forbidden(recorded))
        return refuse(recorded, at, size);
    error = recorded->inner->ops->erase(recorded->inner->ctx, at, size);
    counts->erases += sectors;
    counts->erase_bytes += size;
    counts->model_us += sectors * recorded->times->erase_us;
    counts->failures += error != 0;
    ring(recorded, KEDGE_OP_ERASE, at, size, error);
    return error;
}

static int sync_counted(void *ctx)
{
    struct kedge_recorded *recorded = ctx;
    int error = recorded->inner->ops->sync(recorded->inner->ctx);

    counts_of(recorded)->failures += error != 0;
    return error;
}

static int probe_inner(void *ctx)
{
    struct kedge_recorded *recorded = ctx;

    return recorded->inner->ops->probe(recorded->inner->ctx);
}

void kedge_recorder_wrap(struct kedge_recorded *recorded, struct kedge_flash *flash)
{
    static const struct kedge_flash_ops ops = {.read = read_counted,
                                               .program = program_counted,
                                               .erase = erase_counted,
                                               .sync = sync_counted,
                                               .probe = probe_inner};

    flash->ops = &ops;
    flash->ctx = recorded;
    flash->geometry = recorded->inner->geometry;
}

struct kedge_counts kedge_recorder_total(const struct kedge_recorder *recorder, uint8_t device)
{
    struct kedge_counts total;

    memset(&total, 0, sizeof total);
    for (unsigned phase = 0; phase < KEDGE_PHASES; phase++) {
        const struct kedge_counts *counts = &recorder->counts[device][phase];

        total.reads += counts->reads;
        total.read_bytes += counts->read_bytes;
        total.programs += counts->programs;
        total.program_bytes += counts->program_bytes;
        total.erases += counts->erases;
        total.erase_bytes += counts->erase_bytes;
        total.model_us += counts->model_us;
        total.failures += counts->failures;
    }
    return total;
}

const char *kedge_phase_text(uint8_t phase)
{
    static const char text[KEDGE_PHASES][9] = {"boot", "validate", "swap",
                                               "idle", "download", "decode"};

    return phase < KEDGE_PHASES ? text[phase] : "unknown";
}
