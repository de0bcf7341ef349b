/* The external chip as the bus sees it: commands in, bytes out. */
#include "inner.h"

#define BUSY            0x01
#define ENABLED         0x02
#define PROTECTED       0x3C
#define LARGE           0x1000000u
#define STATUS_WRITE_NS 10000000u
#define WAKE_NS         35000u

/* One transaction: head and out are one stream of bytes to the chip. */
struct talk {
    struct kedge_bytes head, out;
    struct kedge_buf in;
};

static size_t sent(const struct talk *talk)
{
    return talk->head.size + talk->out.size;
}

static uint8_t byte_at(const struct talk *talk, size_t i)
{
    return i < talk->head.size ? talk->head.at[i] : talk->out.at[i - talk->head.size];
}

static bool is_large(const struct kedge_sim *sim)
{
    return sim->array[KEDGE_EXTERNAL].part.geometry.size > LARGE;
}

/* The address after the command; false when the transaction ended before it was complete. */
static bool take_address(const struct kedge_sim *sim, const struct talk *talk, bool four,
                         uint32_t *at, size_t *length)
{
    *length = four || sim->s.chip.four_bytes ? 5 : 4;
    *at = 0;
    if (sent(talk) < *length)
        return false;
    for (size_t i = 1; i < *length; i++)
        *at = *at << 8 | byte_at(talk, i);
    return true;
}

/* An address past the end wraps on the chip; here it is a broken rule as well. */
static uint32_t wrap(struct kedge_sim *sim, uint32_t at)
{
    const struct kedge_sim_part *part = &sim->array[KEDGE_EXTERNAL].part;

    if (at >= part->geometry.size)
        sim_violate(sim, "%s 0x%lx: address outside the device", part->name, (unsigned long)at);
    return at % part->geometry.size;
}

/* BP3..0 = k protects the topmost 64 KiB << (k - 1). */
static bool is_protected(const struct kedge_sim *sim, uint32_t at, uint32_t size)
{
    uint32_t total = sim->array[KEDGE_EXTERNAL].part.geometry.size;
    unsigned level = (sim->s.chip.status & PROTECTED) >> 2;
    uint64_t guarded = level == 0 ? 0 : (uint64_t)0x10000 << (level - 1);

    return level != 0 && (guarded >= total || at + size > total - (uint32_t)guarded);
}

static int read_contents(struct kedge_sim *sim, const struct talk *talk, bool four, size_t dummy)
{
    uint32_t at, total = sim->array[KEDGE_EXTERNAL].part.geometry.size;
    size_t length;

    if (!take_address(sim, talk, four, &at, &length) || sent(talk) != length + dummy ||
        talk->in.size == 0)
        return 0;
    at = wrap(sim, at);
    if (talk->in.size > total - at) {
        sim_violate(sim, "%s 0x%lx: a read leaves the device", sim->array[KEDGE_EXTERNAL].part.name,
                    (unsigned long)at);
        return 0;
    }
    sim_array_read(sim, KEDGE_EXTERNAL, at, talk->in.at, talk->in.size);
    return sim_read_faults(sim, talk->in);
}

/* Data past the page's end goes on at its beginning; of more than a page the last bytes count. */
static int program_page(struct kedge_sim *sim, const struct talk *talk, bool four)
{
    const struct kedge_sim_part *part = &sim->array[KEDGE_EXTERNAL].part;
    uint32_t page = part->geometry.page_size, at, base;
    uint8_t data[SIM_BURST];
    size_t length;

    if (!take_address(sim, talk, four, &at, &length) || sent(talk) == length ||
        !sim->s.chip.enabled)
        return 0;
    at = wrap(sim, at);
    if (is_protected(sim, at, 1)) {
        sim->s.chip.enabled = false;
        return 0;
    }
    base = at & ~(page - 1);
    if (at - base + (sent(talk) - length) <= page) {
        for (size_t i = length; i < sent(talk); i++)
            data[i - length] = byte_at(talk, i);
        return sim_operate(sim, KEDGE_EXTERNAL, KEDGE_OP_PROGRAM, at,
                           (uint32_t)(sent(talk) - length), data);
    }
    sim_violate(sim, "%s 0x%lx: a program crosses the page", part->name, (unsigned long)at);
    memset(data, 0xFF, sizeof data);
    for (size_t i = length; i < sent(talk); i++)
        data[(at + i - length) & (page - 1)] = byte_at(talk, i);
    return sim_operate(sim, KEDGE_EXTERNAL, KEDGE_OP_PROGRAM, base, page, data);
}

static int erase_block(struct kedge_sim *sim, const struct talk *talk, bool four, uint32_t size)
{
    uint32_t at;
    size_t length;

    if (size == 0 || !take_address(sim, talk, four, &at, &length) || sent(talk) != length ||
        !sim->s.chip.enabled)
        return 0;
    at = wrap(sim, at) & ~(size - 1);
    if (is_protected(sim, at, size)) {
        sim->s.chip.enabled = false;
        return 0;
    }
    return sim_operate(sim, KEDGE_EXTERNAL, KEDGE_OP_ERASE, at, size, NULL);
}

static int erase_chip(struct kedge_sim *sim)
{
    uint32_t size = sim->array[KEDGE_EXTERNAL].part.geometry.size;

    if (!sim->s.chip.enabled)
        return 0;
    if ((sim->s.chip.status & PROTECTED) != 0) {
        sim->s.chip.enabled = false;
        return 0;
    }
    return sim_operate(sim, KEDGE_EXTERNAL, KEDGE_OP_ERASE, 0, size, NULL);
}

static void write_status(struct kedge_sim *sim, const struct talk *talk)
{
    struct sim_chip *chip = &sim->s.chip;

    if (!chip->enabled || sent(talk) < 2)
        return;
    chip->status = (uint8_t)(byte_at(talk, 1) & ~(BUSY | ENABLED));
    for (size_t i = 2; i < sent(talk) && i < 4; i++)
        chip->config[i - 2] = byte_at(talk, i);
    sim->s.work.operation = 0;
    sim->s.work.busy = true;
    sim->s.work.done_ns = sim->s.now_ns + (sim->time == KEDGE_SIM_TIME_NONE ? 0 : STATUS_WRITE_NS);
    sim_settle(sim);
}

static void fill(struct kedge_buf in, uint8_t value)
{
    if (in.size > 0)
        memset(in.at, value, in.size);
}

/* The first bytes of the answer; the bus floats high behind them. */
static void answer(struct kedge_buf in, const uint8_t *from, size_t size)
{
    if (in.size > 0)
        memcpy(in.at, from, in.size < size ? in.size : size);
}

static void read_parameters(const struct kedge_sim *sim, const struct talk *talk)
{
    const struct kedge_sim_part *part = &sim->array[KEDGE_EXTERNAL].part;
    uint32_t at;

    if (sent(talk) != 5)
        return;
    at = (uint32_t)byte_at(talk, 1) << 16 | (uint32_t)byte_at(talk, 2) << 8 | byte_at(talk, 3);
    if (at < part->sfdp_size)
        answer(talk->in, part->sfdp + at, part->sfdp_size - at);
}

static int execute_large(struct kedge_sim *sim, const struct talk *talk)
{
    const struct kedge_sim_part *part = &sim->array[KEDGE_EXTERNAL].part;

    switch (talk->head.at[0]) {
    case 0x13:
        return read_contents(sim, talk, true, 0);
    case 0x0C:
        return read_contents(sim, talk, true, 1);
    case 0x12:
        return program_page(sim, talk, true);
    case 0x21:
        return erase_block(sim, talk, true, part->geometry.erase_size);
    case 0x5C:
        return erase_block(sim, talk, true, part->block32_us != 0 ? 0x8000 : 0);
    case 0xDC:
        return erase_block(sim, talk, true, part->block64_us != 0 ? 0x10000 : 0);
    case 0xB7:
        sim->s.chip.four_bytes = true;
        return 0;
    case 0xE9:
        sim->s.chip.four_bytes = false;
        return 0;
    default:
        return 0;
    }
}

static int execute(struct kedge_sim *sim, const struct talk *talk)
{
    const struct kedge_sim_part *part = &sim->array[KEDGE_EXTERNAL].part;
    struct sim_chip *chip = &sim->s.chip;

    switch (talk->head.at[0]) {
    case 0x03:
        return read_contents(sim, talk, false, 0);
    case 0x0B:
        return read_contents(sim, talk, false, 1);
    case 0x02:
        return program_page(sim, talk, false);
    case 0x20:
        return erase_block(sim, talk, false, part->geometry.erase_size);
    case 0x52:
        return erase_block(sim, talk, false, part->block32_us != 0 ? 0x8000 : 0);
    case 0xD8:
        return erase_block(sim, talk, false, part->block64_us != 0 ? 0x10000 : 0);
    case 0x60:
    case 0xC7:
        return erase_chip(sim);
    case 0x01:
        write_status(sim, talk);
        return 0;
    case 0x04:
        chip->enabled = false;
        return 0;
    case 0x06:
        chip->enabled = true;
        return 0;
    case 0x05:
        fill(talk->in, (uint8_t)(chip->status | (chip->enabled ? ENABLED : 0)));
        return 0;
    case 0x15:
        answer(talk->in, chip->config, sizeof chip->config);
        return 0;
    case 0x5A:
        read_parameters(sim, talk);
        return 0;
    case 0x9F:
        answer(talk->in, part->id, sizeof part->id);
        return 0;
    case 0xB9:
        chip->asleep = true;
        return 0;
    default:
        return is_large(sim) ? execute_large(sim, talk) : 0;
    }
}

/* While it works a chip answers its status and nothing else. */
static void execute_busy(struct kedge_sim *sim, const struct talk *talk)
{
    uint8_t command = talk->head.at[0];

    if (command == 0x05)
        fill(talk->in, (uint8_t)(sim->s.chip.status | ENABLED | BUSY));
    else if (command != 0xAB)
        sim_violate(sim, "%s: command 0x%02x while the chip is busy",
                    sim->array[KEDGE_EXTERNAL].part.name, command);
}

static int transact(void *ctx, struct kedge_bytes head, struct kedge_bytes out, struct kedge_buf in)
{
    struct kedge_sim *sim = ctx;
    struct talk talk = {.head = head, .out = out, .in = in};
    int error = 0;

    if (sim->s.off)
        return KEDGE_E_CUT;
    if (sim->time != KEDGE_SIM_TIME_NONE)
        sim_advance(sim, (head.size + out.size + in.size) *
                             (uint64_t)sim->array[KEDGE_EXTERNAL].part.byte_ns);
    sim_settle(sim);
    fill(in, 0xFF);
    if (sim->s.chip.dead || sim->s.faults.external_dead)
        fill(in, sim->s.faults.dead_zero ? 0x00 : 0xFF);
    else if (sim->s.chip.asleep && head.at[0] == 0xAB) {
        sim->s.chip.asleep = false;
        sim->s.chip.awake_ns = sim->time == KEDGE_SIM_TIME_NONE ? 0 : sim->s.now_ns + WAKE_NS;
    } else if (!sim_chip_silent(sim)) {
        if (sim->s.work.busy)
            execute_busy(sim, &talk);
        else
            error = execute(sim, &talk);
    }
    if (in.size > 0 && ++sim->s.answers == sim->s.faults.answer_flip_at)
        sim_flip(sim, in);
    return error;
}

static void wait_bus(void *ctx, uint32_t us)
{
    kedge_sim_wait_us(ctx, us);
}

void kedge_sim_bus(struct kedge_sim *sim, struct kedge_spi_bus *bus)
{
    bus->transact = transact;
    bus->wait_us = wait_bus;
    bus->ctx = sim;
}
