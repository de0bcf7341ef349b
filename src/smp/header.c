/* The eight bytes in front of every SMP message, big endian:
 *
 *   byte 0            1      2..3        4..5      6          7
 *   000 version op    flags  data size   group     sequence   command
 *   bits 7-5 4-3 2-0                                                    */
#include "kedge/smp.h"

int kedge_smp_header_parse(struct kedge_bytes from, struct kedge_smp_header *header)
{
    if (from.size < KEDGE_SMP_HEADER_SIZE) {
        return KEDGE_E_FORMAT;
    }
    *header = (struct kedge_smp_header){
        .op = from.at[0] & 7,
        .version = (from.at[0] >> 3) & 3,
        .flags = from.at[1],
        .size = kedge_be16(from.at + 2),
        .group = kedge_be16(from.at + 4),
        .sequence = from.at[6],
        .command = from.at[7],
    };
    return 0;
}

void kedge_smp_header_put(uint8_t *to, const struct kedge_smp_header *header)
{
    to[0] = (uint8_t)((header->version << 3) | header->op);
    to[1] = header->flags;
    kedge_put_be16(to + 2, header->size);
    kedge_put_be16(to + 4, header->group);
    to[6] = header->sequence;
    to[7] = header->command;
}
