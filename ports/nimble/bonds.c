/* LE Secure Connections make one key for both directions, so a bond is one record, whichever of
 * NimBLE's two objects is asked for. A subscription that was made once stays: a reply goes to
 * whoever asked, so remembering that it ended would cost an erase and win nothing [B-4]. */
#include "bonds.h"

#include <string.h>

#define MAGIC         0x444E424Bu /* "KBND" */
#define RECORD        BONDS_RECORD
#define RECORDS_AT    8

#define HAS_IRK       1u
#define AUTHENTICATED 2u
#define SUBSCRIBED    4u
#define USED          8u

struct bond {
    ble_addr_t peer;     /* its identity */
    ble_addr_t over_air; /* where it came from when it paired */
    uint8_t flags, key_size;
    uint8_t ltk[16], irk[16];
    uint16_t subscribed_to; /* handle of the characteristic's value */
};

static struct {
    struct bonds_place place;
    bool changed;
    ble_addr_t met;              /* who is connected */
    struct bond bond[BONDS_MAX]; /* the oldest first */
} bonds;

/* ---- kept ------------------------------------------------------------------------------------ */

static void put(uint8_t *to, const struct bond *bond)
{
    memset(to, 0, RECORD);
    to[0] = bond->flags;
    to[1] = bond->key_size;
    to[2] = bond->peer.type;
    memcpy(to + 3, bond->peer.val, 6);
    kedge_put_le16(to + 10, bond->subscribed_to);
    memcpy(to + 12, bond->ltk, 16);
    memcpy(to + 28, bond->irk, 16);
    to[44] = bond->over_air.type;
    memcpy(to + 45, bond->over_air.val, 6);
}

static void get(const uint8_t *from, struct bond *bond)
{
    *bond = (struct bond){.flags = from[0],
                          .key_size = from[1],
                          .peer = {.type = from[2]},
                          .over_air = {.type = from[44]},
                          .subscribed_to = kedge_le16(from + 10)};
    memcpy(bond->peer.val, from + 3, 6);
    memcpy(bond->ltk, from + 12, 16);
    memcpy(bond->irk, from + 28, 16);
    memcpy(bond->over_air.val, from + 45, 6);
}

int bonds_keep(void)
{
    uint8_t stored[BONDS_STORED] = {0};
    if (!bonds.changed) {
        return 0;
    }
    kedge_put_le32(stored, MAGIC);
    for (unsigned i = 0; i < BONDS_MAX; i++) {
        put(stored + RECORDS_AT + i * RECORD, &bonds.bond[i]);
    }
    const int result = bonds.place.store(bonds.place.ctx, kedge_bytes(stored, sizeof stored));
    bonds.changed = result != 0;
    return result;
}

static void load(void)
{
    uint8_t stored[BONDS_STORED];
    if (bonds.place.load(bonds.place.ctx, kedge_buf(stored, sizeof stored)) != 0 ||
        kedge_le32(stored) != MAGIC) {
        return;
    }
    unsigned count = 0;
    for (unsigned i = 0; i < BONDS_MAX; i++) {
        get(stored + RECORDS_AT + i * RECORD, &bonds.bond[count]);
        count += (bonds.bond[count].flags & USED) != 0 && bonds.bond[count].key_size <= 16;
    }
    memset(bonds.bond + count, 0, (BONDS_MAX - count) * sizeof bonds.bond[0]);
}

unsigned bonds_count(void)
{
    unsigned count = 0;
    while (count < BONDS_MAX && bonds.bond[count].flags != 0) {
        count++;
    }
    return count;
}

/* ---- NimBLE's store -------------------------------------------------------------------------- */

/* The bond with this peer; with any, the `skip`th. NULL: none. */
static struct bond *find(const ble_addr_t *peer, unsigned skip)
{
    for (unsigned i = 0; i < bonds_count(); i++) {
        if (ble_addr_cmp(peer, BLE_ADDR_ANY) == 0 || ble_addr_cmp(peer, &bonds.bond[i].peer) == 0 ||
            ble_addr_cmp(peer, &bonds.bond[i].over_air) == 0) {
            if (skip-- == 0) {
                return &bonds.bond[i];
            }
        }
    }
    return NULL;
}

static void drop(struct bond *bond)
{
    const unsigned at = (unsigned)(bond - bonds.bond);
    memmove(bond, bond + 1, (BONDS_MAX - 1 - at) * sizeof *bond);
    memset(&bonds.bond[BONDS_MAX - 1], 0, sizeof *bond);
    bonds.changed = true;
}

static int read_security(const struct ble_store_key_sec *key, struct ble_store_value_sec *value)
{
    const struct bond *bond = find(&key->peer_addr, key->idx);
    if (bond == NULL || (key->ediv_rand_present && (key->ediv != 0 || key->rand_num != 0))) {
        return BLE_HS_ENOENT;
    }
    *value = (struct ble_store_value_sec){.peer_addr = bond->peer,
                                          .key_size = bond->key_size,
                                          .ltk_present = 1,
                                          .irk_present = (bond->flags & HAS_IRK) != 0,
                                          .authenticated = (bond->flags & AUTHENTICATED) != 0,
                                          .sc = 1};
    memcpy(value->ltk, bond->ltk, 16);
    memcpy(value->irk, bond->irk, 16);
    return 0;
}

static int read_subscription(const struct ble_store_key_cccd *key,
                             struct ble_store_value_cccd *value)
{
    const struct bond *bond = find(&key->peer_addr, key->idx);
    if (bond == NULL || (bond->flags & SUBSCRIBED) == 0 ||
        (key->chr_val_handle != 0 && key->chr_val_handle != bond->subscribed_to)) {
        return BLE_HS_ENOENT;
    }
    *value = (struct ble_store_value_cccd){
        .peer_addr = bond->peer, .chr_val_handle = bond->subscribed_to, .flags = 1};
    return 0;
}

static int on_read(int type, const union ble_store_key *key, union ble_store_value *value)
{
    return type == BLE_STORE_OBJ_TYPE_CCCD ? read_subscription(&key->cccd, &value->cccd)
                                           : read_security(&key->sec, &value->sec);
}

static struct bond *find_or_add(const ble_addr_t *peer)
{
    struct bond *bond = find(peer, 0);
    if (bond != NULL) {
        return bond;
    }
    if (bonds_count() == BONDS_MAX) {
        drop(&bonds.bond[0]);
    }
    bond = &bonds.bond[bonds_count()];
    *bond = (struct bond){.peer = *peer, .over_air = bonds.met, .flags = USED};
    return bond;
}

/* Once of our side and once of the peer's; only the latter has its IRK. */
static void write_security(const struct ble_store_value_sec *value, bool of_peer)
{
    struct bond *bond = find_or_add(&value->peer_addr);
    struct bond before;
    memcpy(&before, bond, sizeof before); /* padding too */
    if (value->ltk_present) {
        bond->key_size = value->key_size;
        memcpy(bond->ltk, value->ltk, 16);
        bond->flags =
            (uint8_t)((bond->flags & ~AUTHENTICATED) | (value->authenticated ? AUTHENTICATED : 0u));
    }
    if (of_peer && value->irk_present) {
        memcpy(bond->irk, value->irk, 16);
        bond->flags |= HAS_IRK;
    }
    bonds.changed = bonds.changed || memcmp(&before, bond, sizeof before) != 0;
}

static void write_subscription(const struct ble_store_value_cccd *value)
{
    struct bond *bond = find(&value->peer_addr, 0);
    if (bond != NULL && (value->flags & 1) != 0 &&
        ((bond->flags & SUBSCRIBED) == 0 || bond->subscribed_to != value->chr_val_handle)) {
        bond->flags |= SUBSCRIBED;
        bond->subscribed_to = value->chr_val_handle;
        bonds.changed = true;
    }
}

static int on_write(int type, const union ble_store_value *value)
{
    if (type == BLE_STORE_OBJ_TYPE_CCCD) {
        write_subscription(&value->cccd);
    } else {
        write_security(&value->sec, type == BLE_STORE_OBJ_TYPE_PEER_SEC);
    }
    return 0;
}

static int on_delete(int type, const union ble_store_key *key)
{
    if (type == BLE_STORE_OBJ_TYPE_CCCD) { /* one: stays, see above; all: they go with their bond */
        return key->cccd.chr_val_handle != 0 ? 0 : BLE_HS_ENOENT;
    }
    struct bond *bond = find(&key->sec.peer_addr, key->sec.idx);
    if (bond == NULL) {
        return BLE_HS_ENOENT;
    }
    drop(bond);
    return 0;
}

void bonds_met(const ble_addr_t *over_air)
{
    bonds.met = *over_air;
}

void bonds_start(const struct bonds_place *place)
{
    memset(&bonds, 0, sizeof bonds);
    bonds.place = *place;
    load();
    ble_hs_cfg.store_read_cb = on_read;
    ble_hs_cfg.store_write_cb = on_write;
    ble_hs_cfg.store_delete_cb = on_delete;
    ble_hs_cfg.store_status_cb = ble_store_util_status_rr;
}
