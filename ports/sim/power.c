#include "inner.h"

void sim_violate(struct kedge_sim *sim, const char *format, ...)
{
    char message[SIM_WHY];
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    if (sim->s.violations++ == 0)
        memcpy(sim->s.violation, message, sizeof message);
    if (sim->hooks.violated != NULL)
        sim->hooks.violated(sim->hooks.ctx, message);
}

void sim_advance(struct kedge_sim *sim, uint64_t ns)
{
    sim->s.now_ns += ns;
    if (sim->hooks.pace != NULL)
        sim->hooks.pace(sim->hooks.ctx, sim->s.now_ns / 1000);
}

static void finish(struct kedge_sim *sim)
{
    struct sim_array *array = &sim->array[KEDGE_EXTERNAL];
    struct sim_work *work = &sim->s.work;

    if (work->operation == KEDGE_OP_PROGRAM)
        sim_array_program(array, work->at, work->size, work->data);
    if (work->operation == KEDGE_OP_ERASE) {
        sim_array_erase(array, work->at, work->size);
        if (work->scar)
            array->contents[work->at + kedge_random_below(&sim->s.random, work->size)] &=
                (uint8_t) ~(1u << kedge_random_below(&sim->s.random, 8));
    }
    work->operation = 0;
    work->busy = false;
    sim->s.chip.enabled = false;
}

void sim_settle(struct kedge_sim *sim)
{
    if (sim->s.work.busy && sim->s.now_ns >= sim->s.work.done_ns)
        finish(sim);
}

static void tear(struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at,
                 uint32_t size, const uint8_t *data)
{
    struct sim_array *array = &sim->array[device];

    if (operation == KEDGE_OP_PROGRAM)
        sim_array_tear_program(array, at, size, data, sim->s.faults.torn_program, &sim->s.random);
    if (operation == KEDGE_OP_ERASE)
        sim_array_tear_erase(array, at, size, sim->s.faults.torn_erase, &sim->s.random);
}

/* The supply falls: finished work stays, unfinished work of the external chip is torn. */
static void drop_power(struct kedge_sim *sim)
{
    struct sim_work *work = &sim->s.work;

    sim_settle(sim);
    if (work->busy)
        tear(sim, KEDGE_EXTERNAL, work->operation, work->at, work->size, work->data);
    work->operation = 0;
    work->busy = false;
}

static uint64_t scaled(uint64_t us, uint32_t maximum, uint32_t typical)
{
    return us * 1000 * maximum / typical;
}

static uint64_t erase_ns(const struct kedge_sim_part *part, uint32_t size, bool slow, bool low)
{
    uint32_t us = slow ? part->erase_max_us : part->erase_us;
    uint64_t ns;

    if (size == part->geometry.erase_size)
        ns = us;
    else if (size == 0x8000)
        ns = slow ? part->block32_max_us : part->block32_us;
    else if (size == 0x10000)
        ns = slow ? part->block64_max_us : part->block64_us;
    else
        ns = slow ? part->chip_max_us : part->chip_us;
    return low ? scaled(ns, part->low_power_erase_us, part->erase_us) : ns * 1000;
}

static uint64_t program_ns(const struct kedge_sim_part *part, uint32_t size, bool slow, bool low)
{
    uint64_t ns = (uint64_t)part->page_us * 1000;

    if (size < part->geometry.page_size && part->program_fixed_us != 0)
        ns = (uint64_t)part->program_fixed_us * 1000 + (uint64_t)part->program_byte_ns * size;
    else if (size > part->geometry.page_size)
        ns *= size / part->geometry.page_size;
    if (low)
        ns = scaled(part->low_power_page_us, size, part->geometry.page_size);
    return slow ? ns * part->page_max_us / part->page_us : ns;
}

uint64_t sim_duration_ns(const struct kedge_sim *sim, uint8_t device, uint8_t operation,
                         uint32_t size)
{
    const struct kedge_sim_part *part = &sim->array[device].part;
    bool slow = sim->time == KEDGE_SIM_TIME_MAXIMUM;
    bool low = part->low_power_erase_us != 0 && (sim->s.chip.config[1] & 2) == 0;

    if (sim->time == KEDGE_SIM_TIME_NONE)
        return 0;
    return operation == KEDGE_OP_ERASE ? erase_ns(part, size, slow, low)
                                       : program_ns(part, size, slow, low);
}

/* The operation begins. Internal: the processor stands still until it is done. External: the chip
 * works on by itself. */
static void start(struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at,
                  uint32_t size, const uint8_t *data)
{
    uint64_t ns = sim_duration_ns(sim, device, operation, size);
    struct sim_work *work = &sim->s.work;

    if (device == KEDGE_INTERNAL) {
        if (operation == KEDGE_OP_PROGRAM)
            sim_array_program(&sim->array[device], at, size, data);
        else
            sim_array_erase(&sim->array[device], at, size);
        sim_advance(sim, ns);
        return;
    }
    work->done_ns = sim->s.faults.busy_forever ? SIM_NEVER : sim->s.now_ns + ns;
    work->at = at;
    work->size = size;
    work->operation = operation;
    work->busy = true;
    work->scar = false;
    if (operation == KEDGE_OP_PROGRAM)
        memcpy(work->data, data, size);
    if (sim->s.faults.write_flip_at == sim->s.operations) {
        if (operation == KEDGE_OP_PROGRAM)
            sim_flip(sim, kedge_buf(work->data, size));
        else
            work->scar = true;
    }
    sim_settle(sim);
}

static int cut(struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at, uint32_t size,
               const uint8_t *data)
{
    unsigned kind = sim->s.faults.cut_kind;

    if (kind == KEDGE_SIM_CUT_TORN && device == KEDGE_INTERNAL)
        sim_advance(sim, sim_duration_ns(sim, device, operation, size) / 2);
    if (kind == KEDGE_SIM_CUT_AFTER || kind == KEDGE_SIM_RESET_WARM)
        start(sim, device, operation, at, size, data);
    if (kind == KEDGE_SIM_CUT_AFTER && device == KEDGE_EXTERNAL && sim->s.work.busy)
        finish(sim);
    sim->s.off = true;
    sim->s.warm = kind == KEDGE_SIM_RESET_WARM;
    if (!sim->s.warm)
        drop_power(sim);
    if (kind == KEDGE_SIM_CUT_TORN)
        tear(sim, device, operation, at, size, data);
    if (sim->hooks.cut != NULL)
        sim->hooks.cut(sim->hooks.ctx);
    return KEDGE_E_CUT;
}

static void trace(const struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at,
                  uint32_t size)
{
    struct kedge_sim_event event = {.time_us = sim->s.now_ns / 1000,
                                    .number = sim->s.operations,
                                    .at = at,
                                    .size = size,
                                    .device = device,
                                    .operation = operation};

    if (sim->hooks.trace != NULL)
        sim->hooks.trace(sim->hooks.ctx, &event);
}

int sim_operate(struct kedge_sim *sim, uint8_t device, uint8_t operation, uint32_t at,
                uint32_t size, const uint8_t *data)
{
    const struct kedge_sim_faults *faults = &sim->s.faults;
    uint32_t number = ++sim->s.operations;

    trace(sim, device, operation, at, size);
    if (operation == KEDGE_OP_PROGRAM)
        sim_check_program(sim, device, at, size, data);
    if (number == faults->cut_at)
        return cut(sim, device, operation, at, size, data);
    if (number == faults->op_fail_at)
        return KEDGE_E_IO;
    if (number != faults->op_ignore_at)
        start(sim, device, operation, at, size, data);
    if (number == faults->dead_from) {
        sim->s.chip.dead = true;
        sim->s.dead_since = sim->s.lives;
    }
    return 0;
}

bool sim_chip_silent(const struct kedge_sim *sim)
{
    return sim->s.chip.dead || sim->s.faults.external_dead || sim->s.chip.asleep ||
           sim->s.now_ns < sim->s.chip.awake_ns;
}

void sim_flip(struct kedge_sim *sim, struct kedge_buf in)
{
    in.at[kedge_random_below(&sim->s.random, (uint32_t)in.size)] ^=
        (uint8_t)(1u << kedge_random_below(&sim->s.random, 8));
}

int sim_read_faults(struct kedge_sim *sim, struct kedge_buf to)
{
    uint32_t number = ++sim->s.reads;

    if (number == sim->s.faults.read_fail_at)
        return KEDGE_E_IO;
    if (number == sim->s.faults.read_flip_at)
        sim_flip(sim, to);
    return 0;
}

void kedge_sim_power_on(struct kedge_sim *sim)
{
    struct sim_chip *chip = &sim->s.chip;

    if (sim->s.off && sim->s.warm) {
        kedge_sim_warm_reset(sim);
        return;
    }
    drop_power(sim);
    chip->enabled = false;
    chip->asleep = false;
    chip->four_bytes = false;
    chip->config[1] = 0;
    chip->awake_ns = 0;
    sim->s.off = false;
    sim->s.lives++;
    sim->s.weak_seed = kedge_random_next(&sim->s.random);
    if (chip->dead && sim->s.faults.dead_lives != 0 &&
        sim->s.lives - sim->s.dead_since >= sim->s.faults.dead_lives)
        chip->dead = false;
}

void kedge_sim_warm_reset(struct kedge_sim *sim)
{
    sim->s.off = false;
    sim->s.warm = false;
    sim->s.lives++;
}
