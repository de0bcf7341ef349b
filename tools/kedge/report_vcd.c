/* DIR/bus as the four wires of an SPI bus, mode 0, most significant bit first.
 *
 *      cs    ___                                 ___
 *               \_______________________________/
 *      clk   ______/--\__/--\__/--\__ ... ________    sampled at the rising edge
 *      mosi  ===X=====X=====X===
 *
 * A bit takes the time that the chip's part says (MX25R64 at 8 MHz: 125 ns, drawn as 120). Contents
 * that were read are not in the log: such a command is drawn with its address and no data, and of
 * status reads in a row with one answer only the first. Idle time over a millisecond is drawn as a
 * millisecond: decoders step through every sample. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "flight_log.h"
#include "report.h"
#include "report_export.h"

#define TICK_NS  10u
#define IDLE_MAX (1000000u / TICK_NS)
#define GAP      20u /* ticks: chip select before, behind and between commands */

struct wires {
    FILE *out;
    uint64_t now, stamped; /* ticks; the time that was printed last */
    uint64_t device_us;    /* the clock of the last command */
    uint32_t half;         /* ticks of half a bit */
    char mosi, miso;
};

static void change(struct wires *w, char value, char wire)
{
    if (w->stamped != w->now) {
        fprintf(w->out, "#%llu\n", (unsigned long long)w->now);
        w->stamped = w->now;
    }
    fprintf(w->out, "%c%c\n", value, wire);
}

static void set_data(struct wires *w, char *state, bool bit, char wire)
{
    const char value = bit ? '1' : '0';
    if (*state != value) {
        change(w, value, wire);
        *state = value;
    }
}

static void shift(struct wires *w, uint8_t mosi, uint8_t miso)
{
    for (int bit = 7; bit >= 0; bit--) {
        set_data(w, &w->mosi, (mosi >> bit & 1) != 0, 'o');
        set_data(w, &w->miso, (miso >> bit & 1) != 0, 'i');
        w->now += w->half;
        change(w, '1', 'k');
        w->now += w->half;
        change(w, '0', 'k');
    }
}

static void command(struct wires *w, struct kedge_bytes sent, struct kedge_bytes kept)
{
    change(w, '0', 'c');
    w->now += GAP;
    for (size_t i = 0; i < sent.size; i++) {
        shift(w, sent.at[i], 0xFF);
    }
    for (size_t i = 0; i < kept.size; i++) {
        shift(w, 0xFF, kept.at[i]);
    }
    w->now += GAP;
    change(w, '1', 'c');
    w->now += GAP;
}

/* Let the drawn time follow the device's, within reason. */
static void wait_until(struct wires *w, uint64_t time_us, uint64_t took_us)
{
    const uint64_t idle_us = time_us > w->device_us ? time_us - w->device_us : 0;
    const uint64_t ticks = idle_us * 1000u / TICK_NS;
    w->now += ticks < IDLE_MAX ? ticks : IDLE_MAX;
    w->device_us = time_us + took_us;
}

static void start(struct wires *w)
{
    fprintf(w->out,
            "$comment kedge flash report: what the driver sent to the external chip. Contents read "
            "are left out, and status reads that answer as the one before; idle time over 1 ms is "
            "drawn as 1 ms. $end\n"
            "$timescale %u ns $end\n$scope module spi $end\n"
            "$var wire 1 c cs $end\n$var wire 1 k clk $end\n$var wire 1 o mosi $end\n"
            "$var wire 1 i miso $end\n$upscope $end\n$enddefinitions $end\n"
            "#0\n1c\n0k\n0o\n0i\n",
            TICK_NS);
}

static uint64_t le64(const uint8_t *at)
{
    return (uint64_t)kedge_le32(at + 4) << 32 | kedge_le32(at);
}

/* false: the end; a record that is cut short is the end too. */
static bool next(struct wires *w, FILE *bus, uint32_t byte_ns)
{
    uint8_t header[FLIGHT_LOG_BUS_HEADER];
    uint8_t data[FLIGHT_LOG_SENT_MAX + FLIGHT_LOG_KEPT_MAX];
    if (fread(header, 1, sizeof header, bus) != sizeof header) {
        return false;
    }
    const uint64_t time_us = le64(header);
    const size_t sent = kedge_le16(header + 8);
    const size_t kept = kedge_le16(header + 10);
    const uint32_t received = kedge_le32(header + 12);
    if (sent > FLIGHT_LOG_SENT_MAX || kept > FLIGHT_LOG_KEPT_MAX ||
        fread(data, 1, sent + kept, bus) != sent + kept) {
        return false;
    }
    if (sent == 0) { /* a process starts, with a clock of its own */
        w->device_us = time_us;
        return true;
    }
    wait_until(w, time_us, (sent + received) * (uint64_t)byte_ns / 1000u);
    command(w, kedge_bytes(data, sent), kedge_bytes(data + sent, kept));
    return true;
}

int report_vcd(FILE *out, const struct flight_record *record, const char *directory)
{
    char path[4096];
    const uint32_t byte_ns = record->parts[KEDGE_EXTERNAL].byte_ns;
    struct wires wires = {
        .out = out, .now = GAP, .half = byte_ns / 16 / TICK_NS, .mosi = '0', .miso = '0'};
    snprintf(path, sizeof path, "%s/bus", directory);
    FILE *bus = fopen(path, "rb");
    if (bus == NULL) {
        return fail("cannot read %s: %s: start kedge-device --state %s first, it keeps the record",
                    path, strerror(errno), directory);
    }
    wires.half = wires.half == 0 ? 1 : wires.half;
    start(&wires);
    while (next(&wires, bus, byte_ns)) {
    }
    wires.now += GAP;
    change(&wires, '1', 'c');
    fclose(bus);
    return EXIT_DONE;
}
