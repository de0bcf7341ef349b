/* GAP and GATT of the device. Nothing in NimBLE's callbacks waits for flash or touches the agent:
 * writes go into kedge_gatt's buffers, bonds into RAM; the port's loop does the rest. */
#include "peripheral.h"

#include <string.h>

#include "bonds.h"
#include "h4.h"
#include "host/ble_hs.h"
#include "kedge/policy.h"
#include "kedge/smp.h"
#include "npl.h"
#include "os/os.h"
#include "radio.h"
#include "services/gap/ble_svc_gap.h"
#include "services/gatt/ble_svc_gatt.h"
#include "smp_uuid.h"

#define NOBODY      BLE_HS_CONN_HANDLE_NONE
#define ATT_MTU_MIN 23
#define ADV_IDLE    160   /* x 0.625 ms: found at once by a scanning phone */
#define ADV_SERVING 1600  /* the same while a central is served: only to tell others so */
#define QUIET_MS    5000  /* without requests for so long: slow connection parameters again */
#define SILENT_MS   30000 /* a central that said nothing for so long gives way to another */
#define MTU_MS                                                                                     \
    2000 /* a central that has not exchanged the MTU so long after subscribing is asked */
#define STOP_MS      500
#define SPARE_BLOCKS 4 /* of NimBLE's memory that replies leave to everything else */
#define NAME_SHORT   8 /* what fits behind flags and the 128-bit UUID */

static struct {
    const struct peripheral_config *config;
    uint16_t link;
    uint16_t att_mtu;
    bool subscribed, fast, mtu_asked;
    uint32_t last_ms; /* of the last sign of life of the central */
    uint32_t subscribed_ms;
    uint8_t own_address_type;
    ble_addr_t peer;
} device;

static uint16_t value_handle;

/* ---- events to the port ---------------------------------------------------------------------- */

static void tell_of(enum peripheral_event_kind kind, int value, const uint8_t *peer)
{
    struct peripheral_event event = {.kind = (uint8_t)kind, .value = value};
    memcpy(event.peer, peer, sizeof event.peer);
    if (device.config->event != NULL) {
        device.config->event(device.config->ctx, &event);
    }
}

static void tell(enum peripheral_event_kind kind, int value)
{
    tell_of(kind, value, device.peer.val);
}

/* ---- connection parameters ------------------------------------------------------------------- */

/* 7.5 to 15 ms while requests come; 100 to 200 ms, three events skipped, when none do. The central
 * may refuse; then everything is as it was. */
static void set_pace(bool fast)
{
    const struct ble_gap_upd_params wanted = {.itvl_min = fast ? 6 : 80,
                                              .itvl_max = fast ? 12 : 160,
                                              .latency = fast ? 0 : 3,
                                              .supervision_timeout = 400};
    device.fast = fast;
    (void)ble_gap_update_params(device.link, &wanted);
}

static void note_life(void)
{
    device.last_ms = ble_npl_time_get();
    if (!device.fast) {
        set_pace(true);
    }
}

/* ---- the SMP service ------------------------------------------------------------------------- */

static int on_access(uint16_t link, uint16_t handle, struct ble_gatt_access_ctxt *access, void *arg)
{
    static uint8_t value[BLE_ATT_ATTR_MAX_LEN];
    uint16_t size = 0;
    (void)handle;
    (void)arg;
    if (access->op != BLE_GATT_ACCESS_OP_WRITE_CHR ||
        ble_hs_mbuf_to_flat(access->om, value, sizeof value, &size) != 0) {
        return BLE_ATT_ERR_UNLIKELY;
    }
    const int result =
        kedge_gatt_write(device.config->gatt, link, ble_npl_time_get(), kedge_bytes(value, size));
    if (link == device.link) {
        note_life();
    }
    return result == 0               ? 0
           : result == KEDGE_E_SPACE ? BLE_ATT_ERR_INSUFFICIENT_RES
                                     : BLE_ATT_ERR_UNLIKELY;
}

static const struct ble_gatt_svc_def services[] = {
    {.type = BLE_GATT_SVC_TYPE_PRIMARY,
     .uuid = &smp_service.u,
     .characteristics =
         (struct ble_gatt_chr_def[]){{.uuid = &smp_characteristic.u,
                                      .access_cb = on_access,
                                      .val_handle = &value_handle,
                                      .flags = BLE_GATT_CHR_F_WRITE_NO_RSP | BLE_GATT_CHR_F_NOTIFY},
                                     {0}}},
    {0},
};

/* ---- advertising ----------------------------------------------------------------------------- */

static int on_gap(struct ble_gap_event *event, void *arg);

/* A controller that cannot advertise while it is connected refuses; then others just do not see us.
 */
static void advertise(void)
{
    const bool serving = device.link != NOBODY;
    const size_t length = strlen(device.config->name);
    const struct ble_hs_adv_fields fields = {
        .flags = BLE_HS_ADV_F_DISC_GEN | BLE_HS_ADV_F_BREDR_UNSUP,
        .uuids128 = (ble_uuid128_t *)(uintptr_t)&smp_service,
        .num_uuids128 = 1,
        .uuids128_is_complete = 1,
        .name = (const uint8_t *)device.config->name,
        .name_len = (uint8_t)(length < NAME_SHORT ? length : NAME_SHORT),
        .name_is_complete = length <= NAME_SHORT};
    const struct ble_hs_adv_fields answer = {.name = (const uint8_t *)device.config->name,
                                             .name_len = (uint8_t)(length < 29 ? length : 29),
                                             .name_is_complete = 1};
    const struct ble_gap_adv_params params = {.conn_mode = BLE_GAP_CONN_MODE_UND,
                                              .disc_mode = BLE_GAP_DISC_MODE_GEN,
                                              .itvl_min = serving ? ADV_SERVING : ADV_IDLE,
                                              .itvl_max = serving ? ADV_SERVING : ADV_IDLE};
    if (ble_gap_adv_active()) {
        (void)ble_gap_adv_stop();
    }
    (void)ble_gap_adv_set_fields(&fields);
    (void)ble_gap_adv_rsp_set_fields(&answer);
    (void)ble_gap_adv_start(device.own_address_type, NULL, BLE_HS_FOREVER, &params, on_gap, NULL);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void serve(uint16_t link, const struct ble_gap_conn_desc *about)
{
    device.link = link;
    device.att_mtu = ATT_MTU_MIN;
    device.subscribed = false;
    device.fast = true; /* nothing was asked for yet: the first pause asks for slow ones */
    device.mtu_asked = false;
    device.last_ms = ble_npl_time_get();
    device.peer = about->peer_id_addr;
    bonds_met(&about->peer_ota_addr);
    tell(PERIPHERAL_CONNECTED, 0);
    radio_widen(link);
    if (device.config->security != PERIPHERAL_OPEN) {
        (void)ble_gap_security_initiate(link);
    }
}

static void let_go(uint16_t link)
{
    kedge_gatt_disconnect(device.config->gatt, link);
    if (link == device.link) {
        device.link = NOBODY;
    }
}

static void on_connect(uint16_t link)
{
    struct ble_gap_conn_desc about;
    struct kedge_gatt *gatt = device.config->gatt;
    if (ble_gap_conn_find(link, &about) != 0) {
        return;
    }
    if (gatt->connected && ble_npl_time_get() - device.last_ms >= SILENT_MS) {
        tell(PERIPHERAL_GAVE_WAY, 0);
        (void)ble_gap_terminate(device.link, BLE_ERR_REM_USER_CONN_TERM);
        let_go(device.link);
    }
    if (kedge_gatt_connect(gatt, link) != 0) {
        tell_of(PERIPHERAL_SECOND_REFUSED, 0, about.peer_id_addr.val);
        (void)ble_gap_terminate(link, BLE_ERR_RD_CONN_TERM_RESRCS);
    } else {
        serve(link, &about);
    }
}

static void on_disconnect(const struct ble_gap_event *event)
{
    if (event->disconnect.conn.conn_handle == device.link) {
        tell(PERIPHERAL_DISCONNECTED, event->disconnect.reason);
    }
    let_go(event->disconnect.conn.conn_handle);
}

static void on_subscribe(const struct ble_gap_event *event)
{
    if (event->subscribe.conn_handle != device.link ||
        event->subscribe.attr_handle != value_handle) {
        return;
    }
    device.subscribed = event->subscribe.cur_notify;
    device.subscribed_ms = ble_npl_time_get();
    if (!device.subscribed) {
        (void)kedge_gatt_connect(device.config->gatt, device.link); /* begin anew */
    }
}

static void on_secured(const struct ble_gap_event *event)
{
    struct ble_gap_conn_desc about;
    if (event->enc_change.conn_handle != device.link) {
        return;
    }
    if (event->enc_change.status == BLE_HS_ENOTCONN) {
        return; /* the link ended first, which is another event */
    }
    if (event->enc_change.status != 0 || ble_gap_conn_find(device.link, &about) != 0) {
        tell(PERIPHERAL_PAIRING_FAILED, event->enc_change.status);
        return;
    }
    device.peer = about.peer_id_addr;
    tell(PERIPHERAL_SECURED, about.sec_state.authenticated);
}

/* The device shows six digits, whoever sees it types them. */
static void on_passkey(const struct ble_gap_event *event)
{
    struct ble_sm_io answer = {.action = event->passkey.params.action};
    if (answer.action == BLE_SM_IOACT_DISP) {
        answer.passkey = device.config->random(device.config->ctx) % 1000000u;
        tell(PERIPHERAL_PASSKEY, (int)answer.passkey);
        (void)ble_sm_inject_io(event->passkey.conn_handle, &answer);
    }
}

/* A central that we know pairs again: it has lost its keys. What it could do before it can do now
 * that it proves itself as it did then; the old bond goes. */
static int on_repeat(const struct ble_gap_event *event)
{
    struct ble_gap_conn_desc about;
    if (ble_gap_conn_find(event->repeat_pairing.conn_handle, &about) == 0) {
        (void)ble_store_util_delete_peer(&about.peer_id_addr);
    }
    return BLE_GAP_REPEAT_PAIRING_RETRY;
}

static int on_gap(struct ble_gap_event *event, void *arg)
{
    (void)arg;
    switch (event->type) {
    case BLE_GAP_EVENT_CONNECT:
        if (event->connect.status == 0) {
            on_connect(event->connect.conn_handle);
        }
        advertise();
        break;
    case BLE_GAP_EVENT_DISCONNECT:
        on_disconnect(event);
        advertise();
        break;
    case BLE_GAP_EVENT_ADV_COMPLETE:
        advertise();
        break;
    case BLE_GAP_EVENT_MTU:
        if (event->mtu.conn_handle == device.link) {
            device.att_mtu = event->mtu.value;
        }
        break;
    case BLE_GAP_EVENT_SUBSCRIBE:
        on_subscribe(event);
        break;
    case BLE_GAP_EVENT_ENC_CHANGE:
        on_secured(event);
        break;
    case BLE_GAP_EVENT_PASSKEY_ACTION:
        on_passkey(event);
        break;
    case BLE_GAP_EVENT_REPEAT_PAIRING:
        return on_repeat(event);
    default:
        break;
    }
    return 0;
}

/* ---- host ------------------------------------------------------------------------------------ */

static void on_sync(void)
{
    static const uint8_t none[6];
    device.own_address_type = BLE_OWN_ADDR_PUBLIC;
    if (memcmp(device.config->address, none, sizeof none) != 0 &&
        ble_hs_id_set_rnd(device.config->address) == 0) {
        device.own_address_type = BLE_OWN_ADDR_RANDOM;
    }
    tell(PERIPHERAL_READY, 0);
    advertise();
}

static int load_bonds(void *ctx, struct kedge_buf to)
{
    const struct peripheral_config *config = ctx;
    return config->settings.flash == NULL ? KEDGE_E_UNSUPPORTED
                                          : kedge_settings_load(&config->settings, to);
}

static int store_bonds(void *ctx, struct kedge_bytes bonds)
{
    const struct peripheral_config *config = ctx;
    return config->settings.flash == NULL ? 0 : kedge_settings_store(&config->settings, bonds);
}

static void configure(const struct peripheral_config *config)
{
    const struct bonds_place place = {load_bonds, store_bonds, (void *)(uintptr_t)config};
    const bool compares = config->security == PERIPHERAL_AUTHENTICATED;
    ble_hs_cfg.sync_cb = on_sync;
    ble_hs_cfg.sm_sc = 1;
    ble_hs_cfg.sm_bonding = 1;
    ble_hs_cfg.sm_mitm = compares;
    ble_hs_cfg.sm_io_cap = compares ? BLE_HS_IO_DISPLAY_ONLY : BLE_HS_IO_NO_INPUT_OUTPUT;
    bonds_start(&place);
}

void peripheral_start(const struct peripheral_config *config, const struct ble_line *line)
{
    memset(&device, 0, sizeof device);
    device.config = config;
    device.link = NOBODY;
    kedge_gatt_disconnect(config->gatt, config->gatt->link);
    radio_start(line);
    ble_svc_gap_init();
    ble_svc_gatt_init();
    (void)ble_svc_gap_device_name_set(config->name);
    (void)ble_gatts_count_cfg(services);
    (void)ble_gatts_add_svcs(services);
    (void)ble_att_set_preferred_mtu(config->att_mtu);
    configure(config);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static uint32_t remaining(uint32_t since, uint32_t ms)
{
    const uint32_t passed = ble_npl_time_get() - since;
    return passed < ms ? ms - passed : 0;
}

static bool wants_mtu(void)
{
    return device.subscribed && !device.mtu_asked && device.att_mtu == ATT_MTU_MIN &&
           device.config->att_mtu > ATT_MTU_MIN;
}

int peripheral_poll(void)
{
    const int result = radio_poll();
    if (result < 0 || device.link == NOBODY) {
        return result;
    }
    if (device.fast && remaining(device.last_ms, QUIET_MS) == 0) {
        set_pace(false);
    }
    if (wants_mtu() && remaining(device.subscribed_ms, MTU_MS) == 0) {
        device.mtu_asked = true;
        (void)ble_gattc_exchange_mtu(device.link, NULL, NULL);
    }
    return result;
}

uint32_t peripheral_next_ms(void)
{
    uint32_t ms = npl_next_ms();
    if (device.link != NOBODY && device.fast && remaining(device.last_ms, QUIET_MS) < ms) {
        ms = remaining(device.last_ms, QUIET_MS);
    }
    if (device.link != NOBODY && wants_mtu() && remaining(device.subscribed_ms, MTU_MS) < ms) {
        ms = remaining(device.subscribed_ms, MTU_MS);
    }
    return ms;
}

bool peripheral_denied(void)
{
    struct ble_gap_conn_desc about;
    if (device.config->security == PERIPHERAL_OPEN || device.link == NOBODY) {
        return false;
    }
    if (ble_gap_conn_find(device.link, &about) == 0 && about.sec_state.encrypted &&
        (device.config->security == PERIPHERAL_ENCRYPTED || about.sec_state.authenticated)) {
        return false;
    }
    tell(PERIPHERAL_DENIED, 0);
    (void)ble_gap_security_initiate(device.link);
    return true;
}

size_t peripheral_deny(struct kedge_bytes request, uint8_t *reply)
{
    static const uint8_t map[] = {0xA1, 0x62, 'r', 'c', KEDGE_SMP_EACCESS};
    struct kedge_smp_header header;
    if (kedge_smp_header_parse(request, &header) != 0) {
        return 0;
    }
    header.op |= 1;
    header.flags = 0;
    header.size = sizeof map;
    kedge_smp_header_put(reply, &header);
    memcpy(reply + KEDGE_SMP_HEADER_SIZE, map, sizeof map);
    return KEDGE_SMP_HEADER_SIZE + sizeof map;
}

bool peripheral_send(void)
{
    struct kedge_bytes fragment;
    struct kedge_gatt *gatt = device.config->gatt;
    while (device.subscribed && kedge_gatt_fragment(gatt, device.att_mtu, &fragment)) {
        if (os_msys_num_free() <= SPARE_BLOCKS) {
            return false;
        }
        struct os_mbuf *om = ble_hs_mbuf_from_flat(fragment.at, (uint16_t)fragment.size);
        if (om == NULL || ble_gattc_notify_custom(device.link, value_handle, om) != 0) {
            return om != NULL; /* the link is going: nobody will hear the rest */
        }
        kedge_gatt_sent(gatt, fragment.size);
    }
    return true;
}

uint32_t peripheral_peer(void)
{
    return kedge_crc32(0x626C6500u, kedge_bytes(device.peer.val, sizeof device.peer.val));
}

void peripheral_stop(void)
{
    const uint32_t start = ble_npl_time_get();
    if (device.link == NOBODY || ble_gap_terminate(device.link, BLE_ERR_RD_CONN_TERM_PWROFF) != 0) {
        return;
    }
    while (device.link != NOBODY && remaining(start, STOP_MS) > 0 && radio_poll() == 0) {
        ble_npl_time_delay(1);
    }
}

void peripheral_keep(void)
{
    static bool told;
    const int result = bonds_keep();
    if (result != 0 && !told) {
        tell(PERIPHERAL_BOND_LOST, result);
    }
    told = result != 0;
}
