#include "central.h"

#include <stdio.h>
#include <string.h>

#include "host/ble_hs.h"
#include "npl.h"
#include "os/os.h"
#include "radio.h"
#include "smp_uuid.h"

#define NOBODY       BLE_HS_CONN_HANDLE_NONE
#define ATT_WRITE    3
#define SPARE_BLOCKS 8   /* of NimBLE's memory that writes leave to everything else */
#define SCAN         160 /* x 0.625 ms: all of each 100 ms */
#define CCCD         0x2902

static struct {
    const struct central_config *config;
    enum central_state state;
    enum central_pairing pairing;
    int status;
    uint16_t link, att_mtu;
    uint16_t service_end, value, cccd; /* handles; 0: not found yet */
    uint32_t until;                    /* when the search ends */
    ble_addr_t peer;
} central;

static int on_gap(struct ble_gap_event *event, void *arg);

static void give_up(int status)
{
    central.status = status;
    if (central.link != NOBODY) {
        (void)ble_gap_terminate(central.link, BLE_ERR_REM_USER_CONN_TERM);
    }
    central.link = NOBODY;
    central.state = CENTRAL_AWAY;
}

/* ---- preparing: MTU, service, characteristic, its descriptor, subscription ------------------- */

static int on_subscribed(uint16_t link, const struct ble_gatt_error *error,
                         struct ble_gatt_attr *attribute, void *arg)
{
    (void)link;
    (void)attribute;
    (void)arg;
    if (error->status != 0) {
        give_up(error->status);
    } else {
        central.state = CENTRAL_READY;
    }
    return 0;
}

static int on_descriptor(uint16_t link, const struct ble_gatt_error *error, uint16_t value,
                         const struct ble_gatt_dsc *descriptor, void *arg)
{
    static const uint8_t notify[2] = {1, 0};
    (void)value;
    (void)arg;
    if (error->status == 0 && ble_uuid_u16(&descriptor->uuid.u) == CCCD && central.cccd == 0) {
        central.cccd = descriptor->handle;
    } else if (error->status != 0 && central.cccd != 0) {
        const int status =
            ble_gattc_write_flat(link, central.cccd, notify, sizeof notify, on_subscribed, NULL);
        if (status != 0) {
            give_up(status);
        }
    } else if (error->status != 0) {
        give_up(error->status);
    }
    return 0;
}

static int on_characteristic(uint16_t link, const struct ble_gatt_error *error,
                             const struct ble_gatt_chr *characteristic, void *arg)
{
    (void)arg;
    if (error->status == 0) {
        central.value = characteristic->val_handle;
    } else if (error->status != BLE_HS_EDONE || central.value == 0 ||
               ble_gattc_disc_all_dscs(link, central.value, central.service_end, on_descriptor,
                                       NULL) != 0) {
        give_up(error->status);
    }
    return 0;
}

static int on_service(uint16_t link, const struct ble_gatt_error *error,
                      const struct ble_gatt_svc *service, void *arg)
{
    static uint16_t start;
    (void)arg;
    if (error->status == 0) {
        start = service->start_handle;
        central.service_end = service->end_handle;
    } else if (error->status != BLE_HS_EDONE || central.service_end == 0 ||
               ble_gattc_disc_chrs_by_uuid(link, start, central.service_end, &smp_characteristic.u,
                                           on_characteristic, NULL) != 0) {
        give_up(error->status);
    }
    return 0;
}

static int on_mtu(uint16_t link, const struct ble_gatt_error *error, uint16_t mtu, void *arg)
{
    (void)arg;
    if (error->status == 0) {
        central.att_mtu = mtu;
    }
    const int status = ble_gattc_disc_svc_by_uuid(link, &smp_service.u, on_service, NULL);
    if (status != 0) {
        give_up(status);
    }
    return 0;
}

static void prepare(uint16_t link)
{
    central.link = link;
    central.state = CENTRAL_PREPARING;
    central.att_mtu = 23;
    central.service_end = 0;
    central.value = 0;
    central.cccd = 0;
    radio_widen(link);
    const int status = ble_gattc_exchange_mtu(link, on_mtu, NULL);
    if (status != 0) {
        give_up(status);
    }
}

/* ---- searching ------------------------------------------------------------------------------- */

static bool is_target(const struct ble_gap_disc_desc *found)
{
    char text[18];
    struct ble_hs_adv_fields fields;
    const uint8_t *a = found->addr.val;
    snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", a[5], a[4], a[3], a[2], a[1],
             a[0]);
    if (strcasecmp(text, central.config->target) == 0) {
        return true;
    }
    /* a shortened name counts for as much as it says */
    return ble_hs_adv_parse_fields(&fields, found->data, found->length_data) == 0 &&
           fields.name != NULL && fields.name_len > 0 &&
           strncmp(central.config->target, (const char *)fields.name, fields.name_len) == 0 &&
           (!fields.name_is_complete || central.config->target[fields.name_len] == '\0');
}

static uint32_t remaining(void)
{
    const int32_t left = (int32_t)(central.until - ble_npl_time_get());
    return left > 0 ? (uint32_t)left : 1;
}

static void on_found(const struct ble_gap_disc_desc *found)
{
    static const struct ble_gap_conn_params params = {.scan_itvl = SCAN,
                                                      .scan_window = SCAN,
                                                      .itvl_min = 6,
                                                      .itvl_max = 12,
                                                      .supervision_timeout = 400};
    if (central.state != CENTRAL_SEARCHING || !is_target(found)) {
        return;
    }
    (void)ble_gap_disc_cancel();
    central.peer = found->addr;
    central.state = CENTRAL_CONNECTING;
    const int status = ble_gap_connect(BLE_OWN_ADDR_RANDOM, &central.peer, (int32_t)remaining(),
                                       &params, on_gap, NULL);
    if (status != 0) {
        give_up(status);
    }
}

static void search(void)
{
    static const struct ble_gap_disc_params params = {.itvl = SCAN, .window = SCAN};
    const int status =
        ble_gap_disc(BLE_OWN_ADDR_RANDOM, (int32_t)remaining(), &params, on_gap, NULL);
    central.state = CENTRAL_SEARCHING;
    if (status != 0) {
        give_up(status);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool is_bonded(uint16_t link)
{
    struct ble_gap_conn_desc about;
    struct ble_store_value_sec value;
    struct ble_store_key_sec key = {0};
    if (ble_gap_conn_find(link, &about) != 0) {
        return false;
    }
    key.peer_addr = about.peer_id_addr;
    return ble_store_read_peer_sec(&key, &value) == 0;
}

static void on_connected(const struct ble_gap_event *event)
{
    if (event->connect.status != 0) {
        give_up(event->connect.status);
        return;
    }
    central.pairing = CENTRAL_NOT_PAIRED;
    prepare(event->connect.conn_handle);
    if (central.link != NOBODY && is_bonded(central.link)) {
        central_pair();
    }
}

static void on_disconnected(const struct ble_gap_event *event)
{
    if (event->disconnect.conn.conn_handle == central.link) {
        central.link = NOBODY;
        central.state = CENTRAL_AWAY;
        central.status = event->disconnect.reason;
    }
}

static void on_secured(const struct ble_gap_event *event)
{
    const int status = event->enc_change.status;
    central.pairing = status == 0                                        ? CENTRAL_SECURED
                      : status == BLE_HS_HCI_ERR(BLE_ERR_PINKEY_MISSING) ? CENTRAL_BOND_UNKNOWN
                                                                         : CENTRAL_PAIRING_FAILED;
    if (status != 0) {
        central.status = status;
    }
}

static void on_passkey(const struct ble_gap_event *event)
{
    struct ble_sm_io answer = {.action = event->passkey.params.action};
    const int passkey =
        answer.action == BLE_SM_IOACT_INPUT ? central.config->passkey(central.config->ctx) : -1;
    if (passkey >= 0) {
        answer.passkey = (uint32_t)passkey;
        (void)ble_sm_inject_io(event->passkey.conn_handle, &answer);
    } else {
        give_up(BLE_HS_EAUTHEN);
    }
}

static void on_notification(const struct ble_gap_event *event)
{
    static uint8_t fragment[BLE_ATT_ATTR_MAX_LEN];
    uint16_t size = 0;
    if (event->notify_rx.conn_handle == central.link &&
        event->notify_rx.attr_handle == central.value &&
        ble_hs_mbuf_to_flat(event->notify_rx.om, fragment, sizeof fragment, &size) == 0) {
        central.config->received(central.config->ctx, kedge_bytes(fragment, size));
    }
}

static int on_gap(struct ble_gap_event *event, void *arg)
{
    (void)arg;
    switch (event->type) {
    case BLE_GAP_EVENT_DISC:
        on_found(&event->disc);
        break;
    case BLE_GAP_EVENT_DISC_COMPLETE:
        if (central.state == CENTRAL_SEARCHING) {
            give_up(BLE_HS_ETIMEOUT);
        }
        break;
    case BLE_GAP_EVENT_CONNECT:
        on_connected(event);
        break;
    case BLE_GAP_EVENT_DISCONNECT:
        on_disconnected(event);
        break;
    case BLE_GAP_EVENT_ENC_CHANGE:
        on_secured(event);
        break;
    case BLE_GAP_EVENT_PASSKEY_ACTION:
        on_passkey(event);
        break;
    case BLE_GAP_EVENT_NOTIFY_RX:
        on_notification(event);
        break;
    case BLE_GAP_EVENT_MTU:
        central.att_mtu = event->mtu.value;
        break;
    default:
        break;
    }
    return 0;
}

static void on_sync(void)
{
    (void)ble_hs_id_set_rnd(central.config->address);
    central.state = CENTRAL_AWAY;
}

/* ---- for the program ------------------------------------------------------------------------- */

void central_start(const struct central_config *config, const struct ble_line *line)
{
    memset(&central, 0, sizeof central);
    central.config = config;
    central.link = NOBODY;
    radio_start(line);
    ble_hs_cfg.sync_cb = on_sync;
    ble_hs_cfg.sm_sc = 1;
    ble_hs_cfg.sm_bonding = 1;
    ble_hs_cfg.sm_mitm = 0; /* as the peripheral demands */
    ble_hs_cfg.sm_io_cap = BLE_HS_IO_KEYBOARD_ONLY;
    (void)ble_att_set_preferred_mtu(config->att_mtu);
    bonds_start(&config->bonds);
}

int central_poll(void)
{
    return radio_poll();
}

uint32_t central_next_ms(void)
{
    return npl_next_ms();
}

enum central_state central_state(void)
{
    return central.state;
}

enum central_pairing central_pairing(void)
{
    return central.pairing;
}

int central_status(void)
{
    return central.status;
}

void central_connect(uint32_t ms)
{
    if (central.state == CENTRAL_AWAY) {
        central.until = ble_npl_time_get() + ms;
        central.status = 0;
        search();
    }
}

void central_disconnect(void)
{
    if (central.link != NOBODY) {
        (void)ble_gap_terminate(central.link, BLE_ERR_REM_USER_CONN_TERM);
    }
}

void central_pair(void)
{
    if (central.link != NOBODY) {
        (void)ble_gap_security_initiate(central.link);
    }
}

size_t central_send(struct kedge_bytes rest)
{
    const size_t room = central.att_mtu - ATT_WRITE;
    const size_t size = rest.size < room ? rest.size : room;
    if (central.state != CENTRAL_READY || os_msys_num_free() <= SPARE_BLOCKS) {
        return 0;
    }
    return ble_gattc_write_no_rsp_flat(central.link, central.value, rest.at, (uint16_t)size) == 0
               ? size
               : 0;
}
