/* NimBLE's settings, forced into each of its files before its own defaults (which are all #ifndef).
 * Two users: a device, with the peripheral role only, so that its code stays small; and the host
 * tool, which defines KEDGE_NIMBLE_CENTRAL as well. */
#ifndef KEDGE_NIMBLE_CONFIG_H
#define KEDGE_NIMBLE_CONFIG_H

#ifdef KEDGE_NIMBLE_CENTRAL
#define MYNEWT_VAL_BLE_ROLE_CENTRAL  (1)
#define MYNEWT_VAL_BLE_ROLE_OBSERVER (1)
#else
#define MYNEWT_VAL_BLE_ROLE_CENTRAL  (0)
#define MYNEWT_VAL_BLE_ROLE_OBSERVER (0)
#endif
#define MYNEWT_VAL_BLE_ROLE_PERIPHERAL  (1)
#define MYNEWT_VAL_BLE_ROLE_BROADCASTER (1)
#define MYNEWT_VAL_BLE_WHITELIST        (0)

/* One central is served; the second place is for telling another one so. */
#define MYNEWT_VAL_BLE_MAX_CONNECTIONS (2)

/* ATT: writes and notifications of at most 498 - 3 bytes. */
#define MYNEWT_VAL_BLE_ATT_PREFERRED_MTU        (498)
#define MYNEWT_VAL_BLE_ATT_SVR_FIND_TYPE        (1)
#define MYNEWT_VAL_BLE_ATT_SVR_INDICATE         (0)
#define MYNEWT_VAL_BLE_ATT_SVR_READ_MULT        (0)
#define MYNEWT_VAL_BLE_ATT_SVR_SIGNED_WRITE     (0)
#define MYNEWT_VAL_BLE_ATT_SVR_QUEUED_WRITE     (0)
#define MYNEWT_VAL_BLE_ATT_SVR_MAX_PREP_ENTRIES (0)
#define MYNEWT_VAL_BLE_GATT_INDICATE            (1) /* service changed */
#define MYNEWT_VAL_BLE_L2CAP_COC_MAX_NUM        (0)
#define MYNEWT_VAL_BLE_GATT_MAX_PROCS           (4)

/* Pairing: LE Secure Connections only, with bonding. */
#define MYNEWT_VAL_BLE_SM_MAX_PROCS      (2)
#define MYNEWT_VAL_BLE_SM_LEGACY         (0)
#define MYNEWT_VAL_BLE_SM_SC             (1)
#define MYNEWT_VAL_BLE_SM_BONDING        (1)
#define MYNEWT_VAL_BLE_SM_OUR_KEY_DIST   (0x03) /* LTK (unused by LESC), identity */
#define MYNEWT_VAL_BLE_SM_THEIR_KEY_DIST (0x03)
#define MYNEWT_VAL_BLE_STORE_MAX_BONDS   (4)
#define MYNEWT_VAL_BLE_STORE_MAX_CCCDS   (8)

/* Buffers. While a command waits for the controller's answer, data packets of 251 bytes pile up: on
 * a radio a few, on a virtual one as many as four messages of 4 KB have. */
#ifdef __linux__
#define MYNEWT_VAL_MSYS_1_BLOCK_COUNT (96)
#define MYNEWT_VAL_BLE_ACL_BUF_COUNT  (96)
#else
#define MYNEWT_VAL_MSYS_1_BLOCK_COUNT (20)
#define MYNEWT_VAL_BLE_ACL_BUF_COUNT  (12)
#endif
#define MYNEWT_VAL_MSYS_1_BLOCK_SIZE        (292)
#define MYNEWT_VAL_BLE_ACL_BUF_SIZE         (255)
#define MYNEWT_VAL_BLE_HCI_EVT_BUF_SIZE     (70)
#define MYNEWT_VAL_BLE_HCI_EVT_HI_BUF_COUNT (12)
#define MYNEWT_VAL_BLE_HCI_EVT_LO_BUF_COUNT (8)

/* The same pools by the names of NimBLE 1.5 and later. */
#define MYNEWT_VAL_BLE_TRANSPORT_ACL_COUNT             MYNEWT_VAL_BLE_ACL_BUF_COUNT
#define MYNEWT_VAL_BLE_TRANSPORT_ACL_FROM_LL_COUNT     MYNEWT_VAL_BLE_ACL_BUF_COUNT
#define MYNEWT_VAL_BLE_TRANSPORT_ACL_FROM_HS_COUNT     (0)
#define MYNEWT_VAL_BLE_TRANSPORT_ACL_SIZE              (255)
#define MYNEWT_VAL_BLE_TRANSPORT_EVT_SIZE              (257)
#define MYNEWT_VAL_BLE_TRANSPORT_EVT_COUNT             MYNEWT_VAL_BLE_HCI_EVT_HI_BUF_COUNT
#define MYNEWT_VAL_BLE_TRANSPORT_EVT_DISCARDABLE_COUNT MYNEWT_VAL_BLE_HCI_EVT_LO_BUF_COUNT
#define MYNEWT_VAL_BLE_TRANSPORT_HS__native            (1)

/* No console: what matters is reported by events (ble.h). */
#define MYNEWT_VAL_LOG_LEVEL               (255)
#define MYNEWT_VAL_BLE_HS_LOG_LVL          (255)
#define MYNEWT_VAL_BLE_HS_REQUIRE_OS       (0)
#define MYNEWT_VAL_BLE_HS_STOP_ON_SHUTDOWN (0)

#define MYNEWT_VAL_BLE_SVC_GAP_DEVICE_NAME ("Kedge")
#define NIMBLE_CFG_CONTROLLER              0

#endif
