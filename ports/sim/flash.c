#include "inner.h"

/* False, and a broken rule, when [at, at + size) leaves the device. */
static bool check_place(struct kedge_sim *sim, uint8_t device, uint32_t at, size_t size)
{
    const struct kedge_sim_part *part = &sim->array[device].part;

    if (at <= part->geometry.size && size <= part->geometry.size - at)
        return true;
    sim_violate(sim, "%s 0x%lx: %lu bytes leave the device", part->name, (unsigned long)at,
                (unsigned long)size);
    return false;
}

static bool check_align(struct kedge_sim *sim, uint8_t device, uint32_t at, size_t size,
                        uint32_t align)
{
    if (((at | size) & (align - 1)) == 0)
        return true;
    sim_violate(sim, "%s 0x%lx: %lu bytes are not aligned to %lu", sim->array[device].part.name,
                (unsigned long)at, (unsigned long)size, (unsigned long)align);
    return false;
}

static void use_bus(struct kedge_sim *sim, size_t bytes)
{
    if (sim->time != KEDGE_SIM_TIME_NONE)
        sim_advance(sim, (uint64_t)bytes * sim->array[KEDGE_EXTERNAL].part.byte_ns);
}

/* What the driver would say: wait for the chip, or name what is wrong with it. */
static int sync_port(void *ctx)
{
    const struct sim_port *port = ctx;
    struct kedge_sim *sim = port->sim;

    if (sim->s.off)
        return KEDGE_E_CUT;
    if (port->device == KEDGE_INTERNAL)
        return 0;
    if (sim_chip_silent(sim))
        return KEDGE_E_DEAD;
    if (!sim->s.work.busy)
        return 0;
    if (sim->s.work.done_ns == SIM_NEVER)
        return KEDGE_E_BUSY;
    if (sim->s.work.done_ns > sim->s.now_ns)
        sim_advance(sim, sim->s.work.done_ns - sim->s.now_ns);
    sim_settle(sim);
    return 0;
}

static int read_port(void *ctx, uint32_t at, struct kedge_buf to)
{
    const struct sim_port *port = ctx;
    struct kedge_sim *sim = port->sim;
    int error = sync_port(ctx);

    if (error != 0)
        return error;
    if (!check_place(sim, port->device, at, to.size))
        return KEDGE_E_BOUNDS;
    sim_array_read(sim, port->device, at, to.at, to.size);
    if (port->device == KEDGE_INTERNAL)
        return 0;
    use_bus(sim, to.size + 4);
    return to.size > 0 ? sim_read_faults(sim, to) : 0;
}

static int program_port(void *ctx, uint32_t at, struct kedge_bytes from)
{
    const struct sim_port *port = ctx;
    struct kedge_sim *sim = port->sim;
    const struct kedge_sim_part *part = &sim->array[port->device].part;
    int error = 0;

    if (!check_place(sim, port->device, at, from.size))
        return KEDGE_E_BOUNDS;
    if (!check_align(sim, port->device, at, from.size, part->geometry.write_block))
        return KEDGE_E_ALIGN;
    while (error == 0 && from.size > 0) {
        uint32_t size = part->burst - at % part->burst;

        if (size > from.size)
            size = (uint32_t)from.size;
        error = sync_port(ctx);
        if (error != 0)
            return error;
        if (port->device == KEDGE_EXTERNAL)
            use_bus(sim, size + 4);
        error = sim_operate(sim, port->device, KEDGE_OP_PROGRAM, at, size, from.at);
        at += size;
        from = kedge_bytes(from.at + size, from.size - size);
    }
    return error;
}

static int erase_port(void *ctx, uint32_t at, uint32_t size)
{
    const struct sim_port *port = ctx;
    struct kedge_sim *sim = port->sim;
    uint32_t sector = sim->array[port->device].part.geometry.erase_size;
    int error = 0;

    if (!check_place(sim, port->device, at, size))
        return KEDGE_E_BOUNDS;
    if (!check_align(sim, port->device, at, size, sector))
        return KEDGE_E_ALIGN;
    for (; error == 0 && size > 0; at += sector, size -= sector) {
        error = sync_port(ctx);
        if (error == 0)
            error = sim_operate(sim, port->device, KEDGE_OP_ERASE, at, sector, NULL);
    }
    return error;
}

void kedge_sim_flash(struct kedge_sim *sim, uint8_t device, struct kedge_flash *flash)
{
    static const struct kedge_flash_ops ops = {.read = read_port,
                                               .program = program_port,
                                               .erase = erase_port,
                                               .sync = sync_port,
                                               .probe = sync_port};

    flash->ops = &ops;
    flash->ctx = &sim->port[device];
    flash->geometry = sim->array[device].part.geometry;
}
