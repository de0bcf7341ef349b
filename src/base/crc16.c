/* CRC-16/XMODEM, without a table: console packets are short and the line is slow. */
#include "kedge/base.h"

uint16_t kedge_crc16(uint16_t crc, struct kedge_bytes of)
{
    for (size_t i = 0; i < of.size; i++) {
        /* A byte at a time for x^16 + x^12 + x^5 + 1: the terms of the polynomial become shifts. */
        uint32_t t = (crc >> 8) ^ of.at[i];

        t ^= t >> 4;
        crc = (uint16_t)(((uint32_t)crc << 8) ^ (t << 12) ^ (t << 5) ^ t);
    }
    return crc;
}
