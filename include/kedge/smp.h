/* SMP (the mcumgr protocol) as bytes in, bytes out: header, versions 1 and 2, both error forms, a
 * dispatcher over const group tables. No transport, no agent in here. Rules: facts/smp.md A1-A3. */
#ifndef KEDGE_SMP_H
#define KEDGE_SMP_H

#include "kedge/base.h"

#define KEDGE_SMP_HEADER_SIZE 8
/* Largest request or reply of the ports here; params says so. */
#define KEDGE_SMP_MESSAGE_MAX 4096

enum kedge_smp_op { KEDGE_SMP_READ, KEDGE_SMP_READ_REPLY, KEDGE_SMP_WRITE, KEDGE_SMP_WRITE_REPLY };

/* Management return codes (A2). */
enum kedge_smp_rc {
    KEDGE_SMP_EOK,
    KEDGE_SMP_EUNKNOWN,
    KEDGE_SMP_ENOMEM,
    KEDGE_SMP_EINVAL,
    KEDGE_SMP_ETIMEOUT,
    KEDGE_SMP_ENOENT,
    KEDGE_SMP_EBADSTATE,
    KEDGE_SMP_EMSGSIZE,
    KEDGE_SMP_ENOTSUP,
    KEDGE_SMP_ECORRUPT,
    KEDGE_SMP_EBUSY,
    KEDGE_SMP_EACCESS,
    KEDGE_SMP_TOO_OLD,
    KEDGE_SMP_TOO_NEW
};

struct kedge_smp_header {
    uint8_t op, version, flags;
    uint16_t size, group; /* size: payload bytes behind the header */
    uint8_t sequence, command;
};
/* KEDGE_E_FORMAT when fewer than 8 bytes. */
int kedge_smp_header_parse(struct kedge_bytes from, struct kedge_smp_header *header);
void kedge_smp_header_put(uint8_t *to, const struct kedge_smp_header *header);

/* One request on its way through a handler. The handler reads the request's map and writes the
 * reply's entries with the codec of smp_cbor.h; the dispatcher opens and closes the maps. */
struct kedge_smp_call {
    const struct kedge_smp_header *header;
    uint32_t peer;
    struct kedge_bytes request; /* CBOR of the request; empty means an empty map */
    struct kedge_smp_writer *reply;
    void *ctx; /* of the server: what the handlers work on */
};

/* Returns 0; or a management code (1..13 or >= 256); or KEDGE_SMP_GROUP_ERROR(code of the group).
 * What was written to the reply before an error is dropped. */
typedef int (*kedge_smp_handler)(struct kedge_smp_call *call);
#define KEDGE_SMP_GROUP_ERROR(code) (0x10000 | (code))

struct kedge_smp_command {
    uint8_t id;
    kedge_smp_handler read, write; /* NULL: ENOTSUP */
};

struct kedge_smp_group {
    uint16_t id;
    const char *name; /* for the enumeration group */
    const struct kedge_smp_command *commands;
    size_t command_count;
    /* version 1 clients get a management code for a group error; NULL: EUNKNOWN for all */
    int (*to_v1)(int group_code);
};

struct kedge_smp_server {
    const struct kedge_smp_group *const *groups;
    size_t group_count;
    void *ctx;
};

/* Answer one message. Every well-formed header gets an answer; less than a header, a response op or
 * a length that does not match gives KEDGE_E_FORMAT and no reply. *reply_size: bytes in `reply`.
 * Several requests in one `request` buffer are not allowed (a datagram is one message). */
int kedge_smp_handle(const struct kedge_smp_server *server, uint32_t peer,
                     struct kedge_bytes request, struct kedge_buf reply, size_t *reply_size);

#endif
