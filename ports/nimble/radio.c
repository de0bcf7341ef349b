/* The one call that NimBLE moved: setting the data length was internal up to 1.4. */
#include "radio.h"

#include "h4.h"
#include "host/ble_hs.h"
#include "npl.h"
#include "os/os.h"
#ifndef KEDGE_NIMBLE_TRANSPORT
#include "../src/ble_hs_hci_priv.h"
#endif

#define PACKETS_MAX 64 /* in a row, before others have their turn */
#define OCTETS_MAX  251
#define TIME_MAX    2120 /* microseconds that 251 bytes take at 1 Mbit/s */

void os_msys_init(void);

void radio_start(const struct ble_line *line)
{
    npl_start(line);
    os_msys_init();
    h4_start(line);
    ble_hs_init();
}

/* One packet at a time: NimBLE keeps data and events apart, and takes all data that is there before
 * an event that came between. A key that overtakes the news of the encryption ends a pairing. */
int radio_poll(void)
{
    int result = 1;
    unsigned idle = 0; /* twice: what had no buffer at first may have one after the run */
    for (unsigned i = 0; result >= 0 && idle < 2 && (i < PACKETS_MAX || h4_has_more()); i++) {
        result = h4_read(false);
        idle = result > 0 ? 0 : idle + 1;
        npl_run();
    }
    return result < 0 ? result : 0;
}

void radio_widen(uint16_t link)
{
#ifdef KEDGE_NIMBLE_TRANSPORT
    (void)ble_gap_set_data_len(link, OCTETS_MAX, TIME_MAX);
#else
    (void)ble_hs_hci_util_set_data_len(link, OCTETS_MAX, TIME_MAX);
#endif
    (void)ble_gap_set_prefered_le_phy(link, BLE_GAP_LE_PHY_2M_MASK, BLE_GAP_LE_PHY_2M_MASK,
                                      BLE_GAP_LE_PHY_CODED_ANY);
}
