/* H4: a type byte, a header with a length, the body.
 *
 *     01 command  op16 len8     02 ACL data  handle16 len16     04 event  code8 len8
 *
 * NimBLE up to 1.4 calls its transport ble_hci_trans_*, from 1.5 on ble_transport_*; the two halves
 * at the end of this file. The build defines KEDGE_NIMBLE_TRANSPORT for a tree that has the latter.
 */
#include "h4.h"

#include <string.h>

#include "nimble/ble.h"
#include "nimble/hci_common.h"
#include "os/os.h"
#ifdef KEDGE_NIMBLE_TRANSPORT
#include "nimble/transport.h"
#else
#include "nimble/ble_hci_trans.h"
#endif

#define H4_COMMAND              1
#define H4_DATA                 2
#define H4_EVENT                4

#define EVENT_LE_META           0x3E
#define LE_ADVERTISING          0x02
#define LE_EXTENDED_ADVERTISING 0x0D
#define DATA_MAX                1024 /* of an ACL packet: no controller here has larger buffers */

/* The two interfaces, as this file needs them. */
static void *get_event(bool discardable);
static struct os_mbuf *get_data(void);
static void deliver_event(void *event);
static void deliver_data(struct os_mbuf *data);

static struct {
    const struct ble_line *line;
    bool dead;
    bool provided; /* the body has its buffer, or will be dropped */
    uint8_t type;  /* of the packet being received; 0: none */
    uint8_t have;  /* bytes of head */
    uint8_t head[4];
    uint16_t body;  /* bytes of the body still to come */
    uint16_t at;    /* bytes of the event so far */
    uint8_t *event; /* being filled; both NULL: dropped */
    struct os_mbuf *data;
    struct kedge_bytes unread; /* of chunk */
    uint8_t chunk[256];
} h4;

static uint8_t head_size(void)
{
    return h4.type == H4_DATA ? 4 : 2;
}

static int begin(uint8_t type)
{
    if (type != H4_DATA && type != H4_EVENT) {
        return -1; /* out of step, and H4 has no way back */
    }
    h4.type = type;
    h4.have = 0;
    h4.provided = false;
    h4.event = NULL;
    h4.data = NULL;
    return 0;
}

static int take_head(uint8_t byte)
{
    h4.head[h4.have++] = byte;
    if (h4.have == head_size()) {
        h4.body = h4.type == H4_DATA ? kedge_le16(h4.head + 2) : h4.head[1];
    }
    return h4.have == head_size() && h4.body > DATA_MAX ? -1 : 0;
}

static void append(const void *from, size_t size)
{
    if (h4.data != NULL && os_mbuf_append(h4.data, from, (uint16_t)size) != 0) {
        os_mbuf_free_chain(h4.data);
        h4.data = NULL;
    }
}

/* The head is there and the first byte of the body. False: wait for a buffer. */
static bool provide(uint8_t first, bool must)
{
    if (h4.type == H4_DATA) {
        h4.data = get_data();
        append(h4.head, 4);
        return h4.data != NULL || must;
    }
    const bool report = h4.head[0] == EVENT_LE_META &&
                        (first == LE_ADVERTISING || first == LE_EXTENDED_ADVERTISING);
    if (h4.body + 2 > MYNEWT_VAL(BLE_HCI_EVT_BUF_SIZE)) {
        return true; /* no event that NimBLE asks for is so long */
    }
    h4.event = get_event(report);
    if (h4.event != NULL) {
        memcpy(h4.event, h4.head, 2);
        h4.at = 2;
    }
    return h4.event != NULL || report || must;
}

static void finish(void)
{
    h4.type = 0;
    if (h4.data != NULL) {
        deliver_data(h4.data);
    } else if (h4.event != NULL) {
        deliver_event(h4.event);
    }
}

/* Bytes of the body go where they belong. */
static void fill(void)
{
    const size_t size = h4.unread.size < h4.body ? h4.unread.size : h4.body;
    append(h4.unread.at, size);
    if (h4.event != NULL) {
        memcpy(h4.event + h4.at, h4.unread.at, size);
        h4.at = (uint16_t)(h4.at + size);
    }
    h4.unread = kedge_bytes(h4.unread.at + size, h4.unread.size - size);
    h4.body = (uint16_t)(h4.body - size);
}

/* 1: go on; 0: no buffer now; negative: not H4. */
static int digest(bool must)
{
    int result = 0;
    if (h4.type == 0 || h4.have < head_size()) {
        const uint8_t byte = *h4.unread.at++;
        h4.unread.size--;
        result = h4.type == 0 ? begin(byte) : take_head(byte);
        if (result < 0 || h4.have < head_size() || h4.body > 0) {
            return result < 0 ? result : 1;
        }
        h4.provided = provide(0, true);
    } else {
        h4.provided = h4.provided || provide(h4.unread.at[0], must);
        if (!h4.provided) {
            return 0;
        }
        fill();
    }
    if (h4.body == 0) {
        finish();
    }
    return 1;
}

bool h4_has_more(void)
{
    return h4.unread.size > 0;
}

int h4_read(bool must)
{
    while (!h4.dead) {
        while (h4.unread.size > 0) {
            const int result = digest(must);
            if (result <= 0) {
                h4.dead = result < 0;
                return result;
            }
            if (h4.type == 0 && !must) {
                return 1;
            }
        }
        const int size = h4.line->receive(h4.line->ctx, kedge_buf(h4.chunk, sizeof h4.chunk));
        if (size <= 0) {
            h4.dead = size < 0;
            return size < 0 ? -1 : 0;
        }
        h4.unread = kedge_bytes(h4.chunk, (size_t)size);
    }
    return -1;
}

static int send(const void *at, size_t size)
{
    if (!h4.dead && h4.line->send(h4.line->ctx, kedge_bytes(at, size)) < 0) {
        h4.dead = true;
    }
    return h4.dead ? BLE_ERR_HW_FAIL : 0;
}

/* A packet goes out in one piece: lines that keep packets apart (Linux's user channel) want that.
 */
static int send_command(const uint8_t *command)
{
    uint8_t packet[1 + 3 + 255] = {H4_COMMAND};
    const size_t size = 3 + (size_t)command[2];
    memcpy(packet + 1, command, size);
    return send(packet, 1 + size);
}

static int send_data(const struct os_mbuf *data)
{
    static uint8_t packet[1 + 4 + DATA_MAX];
    const uint16_t size = OS_MBUF_PKTLEN(data);
    packet[0] = H4_DATA;
    if (size > sizeof packet - 1 || os_mbuf_copydata(data, 0, size, packet + 1) != 0) {
        return BLE_ERR_MEM_CAPACITY;
    }
    return send(packet, 1 + (size_t)size);
}

static void reset(const struct ble_line *line)
{
    memset(&h4, 0, sizeof h4);
    h4.line = line;
}

#ifdef KEDGE_NIMBLE_TRANSPORT

/* ---- NimBLE 1.5 and later: it has pools of its own ------------------------------------------- */

void h4_start(const struct ble_line *line)
{
    reset(line);
    ble_transport_init();
}

static void *get_event(bool discardable)
{
    return ble_transport_alloc_evt(discardable);
}

static struct os_mbuf *get_data(void)
{
    return ble_transport_alloc_acl_from_ll();
}

static void deliver_event(void *event)
{
    ble_transport_to_hs_evt(event);
}

static void deliver_data(struct os_mbuf *data)
{
    ble_transport_to_hs_acl(data);
}

int ble_transport_to_ll_cmd_impl(void *command)
{
    const int result = send_command(command);
    ble_transport_free(command);
    return result;
}

int ble_transport_to_ll_acl_impl(struct os_mbuf *data)
{
    const int result = send_data(data);
    os_mbuf_free_chain(data);
    return result;
}

void ble_transport_ll_init(void)
{
}

#else

/* ---- NimBLE up to 1.4: the transport brings the pools ---------------------------------------- */

#define BLOCK(size)  OS_ALIGN((size), OS_ALIGNMENT)
#define EVENT_SIZE   BLOCK(MYNEWT_VAL(BLE_HCI_EVT_BUF_SIZE))
#define COMMAND_SIZE BLOCK(BLE_HCI_TRANS_CMD_SZ)
#define DATA_SIZE                                                                                  \
    BLOCK(MYNEWT_VAL(BLE_ACL_BUF_SIZE) + BLE_MBUF_MEMBLOCK_OVERHEAD + BLE_HCI_DATA_HDR_SZ)
#define EVENTS  MYNEWT_VAL(BLE_HCI_EVT_HI_BUF_COUNT)
#define REPORTS MYNEWT_VAL(BLE_HCI_EVT_LO_BUF_COUNT)
#define DATAS   MYNEWT_VAL(BLE_ACL_BUF_COUNT)

static struct {
    struct os_mempool events, reports, commands, datas;
    struct os_mbuf_pool mbufs;
    os_membuf_t event_memory[OS_MEMPOOL_SIZE(EVENTS, EVENT_SIZE)];
    os_membuf_t report_memory[OS_MEMPOOL_SIZE(REPORTS, EVENT_SIZE)];
    os_membuf_t command_memory[OS_MEMPOOL_SIZE(1, COMMAND_SIZE)];
    os_membuf_t data_memory[OS_MEMPOOL_SIZE(DATAS, DATA_SIZE)];
    ble_hci_trans_rx_cmd_fn *on_event;
    ble_hci_trans_rx_acl_fn *on_data;
    void *event_arg, *data_arg;
} pools;

void h4_start(const struct ble_line *line)
{
    reset(line);
    os_mempool_init(&pools.events, EVENTS, EVENT_SIZE, pools.event_memory, "events");
    os_mempool_init(&pools.reports, REPORTS, EVENT_SIZE, pools.report_memory, "reports");
    os_mempool_init(&pools.commands, 1, COMMAND_SIZE, pools.command_memory, "commands");
    os_mempool_init(&pools.datas, DATAS, DATA_SIZE, pools.data_memory, "data");
    os_mbuf_pool_init(&pools.mbufs, &pools.datas, DATA_SIZE, DATAS);
}

static void *get_event(bool discardable)
{
    void *event = discardable ? NULL : os_memblock_get(&pools.events);
    return event != NULL ? event : os_memblock_get(&pools.reports);
}

static struct os_mbuf *get_data(void)
{
    return os_mbuf_get_pkthdr(&pools.mbufs, sizeof(struct ble_mbuf_hdr));
}

static void deliver_event(void *event)
{
    if (pools.on_event(event, pools.event_arg) != 0) {
        ble_hci_trans_buf_free(event);
    }
}

static void deliver_data(struct os_mbuf *data)
{
    pools.on_data(data, pools.data_arg);
}

uint8_t *ble_hci_trans_buf_alloc(int type)
{
    return type == BLE_HCI_TRANS_BUF_CMD ? os_memblock_get(&pools.commands)
                                         : get_event(type == BLE_HCI_TRANS_BUF_EVT_LO);
}

void ble_hci_trans_buf_free(uint8_t *buffer)
{
    os_memblock_put(os_memblock_from(&pools.commands, buffer) ? &pools.commands
                    : os_memblock_from(&pools.events, buffer) ? &pools.events
                                                              : &pools.reports,
                    buffer);
}

int ble_hci_trans_hs_cmd_tx(uint8_t *command)
{
    const int result = send_command(command);
    ble_hci_trans_buf_free(command);
    return result;
}

int ble_hci_trans_hs_acl_tx(struct os_mbuf *data)
{
    const int result = send_data(data);
    os_mbuf_free_chain(data);
    return result;
}

void ble_hci_trans_cfg_hs(ble_hci_trans_rx_cmd_fn *on_event, void *event_arg,
                          ble_hci_trans_rx_acl_fn *on_data, void *data_arg)
{
    pools.on_event = on_event;
    pools.event_arg = event_arg;
    pools.on_data = on_data;
    pools.data_arg = data_arg;
}

int ble_hci_trans_set_acl_free_cb(os_mempool_put_fn *callback, void *arg)
{
    (void)callback;
    (void)arg;
    return BLE_ERR_UNSUPPORTED;
}

/* The host resets the controller by a command; the line itself is the port's. */
int ble_hci_trans_reset(void)
{
    return 0;
}

#endif
