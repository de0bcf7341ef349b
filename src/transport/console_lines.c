/* Console framing, sending side: a packet as lines of at most 127 bytes, each encoded by itself, as
 * Zephyr does. 93 bytes a line are whole groups of three, so only the last line has padding [C-6].
 */
#include <string.h>

#include "kedge/transport.h"
#include "transport/base64.h"

#define LINE_BYTES 93 /* (127 - start 2 - LF 1) / 4 * 3 */

void kedge_console_lines_start(struct kedge_console_lines *lines, struct kedge_bytes message)
{
    KEDGE_ASSERT(message.size <= KEDGE_CONSOLE_MESSAGE_MAX);
    *lines = (struct kedge_console_lines){.message = message, .crc = kedge_crc16(0, message)};
}

/* Byte `at` of: be16 length | message | be16 crc. */
static uint8_t packet_byte(const struct kedge_console_lines *lines, size_t at)
{
    const size_t length = lines->message.size + 2;

    if (at < 2) {
        return (uint8_t)(at == 0 ? length >> 8 : length);
    }
    if (at < length) {
        return lines->message.at[at - 2];
    }
    return (uint8_t)(at == length ? lines->crc >> 8 : lines->crc);
}

size_t kedge_console_lines_next(struct kedge_console_lines *lines, uint8_t *line)
{
    const size_t total = lines->message.size + KEDGE_CONSOLE_OVERHEAD;
    size_t size = 0;

    if (lines->at >= total) {
        return 0;
    }
    line[0] = lines->at == 0 ? 0x06 : 0x04;
    line[1] = lines->at == 0 ? 0x09 : 0x14;
    size = 2;
    for (size_t end = lines->at + LINE_BYTES; lines->at < end && lines->at < total;) {
        uint8_t group[3];
        size_t in_group = 0;

        while (in_group < 3 && lines->at < total) {
            group[in_group++] = packet_byte(lines, lines->at++);
        }
        kedge_base64_group(group, in_group, line + size);
        size += 4;
    }
    line[size++] = '\n';
    return size;
}
