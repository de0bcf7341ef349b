/* Arbitrary bytes on a serial line, to both framings: no crash, no message that is not one. The
 * first byte chooses the room. */
#include <stdlib.h>
#include <string.h>

#include "kedge/transport.h"

void kedge_trap(void)
{
    abort();
}

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

/* What came out goes through our own encoder and must come out again. */
static void send_back(struct kedge_bytes message)
{
    static uint8_t packet[65537];
    struct kedge_console console;
    struct kedge_console_lines lines;
    struct kedge_bytes again = {0};
    uint8_t line[KEDGE_CONSOLE_LINE];
    size_t size;
    int came = 0;

    kedge_console_start(&console, kedge_buf(packet, sizeof packet));
    kedge_console_lines_start(&lines, message);
    while ((size = kedge_console_lines_next(&lines, line)) != 0) {
        for (size_t i = 0; i < size; i++) {
            came += kedge_console_push(&console, line[i], &again);
        }
    }
    must(came == 1 && again.size == message.size && memcmp(again.at, message.at, again.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t room = size > 0 ? 8u + data[0] : 8;
    uint8_t *const packet = malloc(room), *const buffer = malloc(room);
    struct kedge_console console;
    struct kedge_raw raw;
    struct kedge_bytes message;

    kedge_console_start(&console, kedge_buf(packet, room));
    kedge_raw_start(&raw, kedge_buf(buffer, room));
    for (size_t i = 1; i < size; i++) {
        if (kedge_console_push(&console, data[i], &message) == 1) {
            must(message.size <= room - KEDGE_CONSOLE_OVERHEAD);
            send_back(message);
        }
        if (kedge_raw_push(&raw, data[i], &message) == 1) {
            must(message.size >= 8 && message.size <= room);
        }
        if (data[i] == 0xFF) {
            kedge_raw_idle(&raw);
        }
    }
    free(packet);
    free(buffer);
    return 0;
}
