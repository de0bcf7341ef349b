/* The firmware that patches are measured on: a device with TLS, TCP/IP, a file system and CBOR. It
 * is linked, never run. VERSION is the change of the pair "version"; main() is first in the image.
 */
#include <cbor.h>
#include <lfs.h>
#include <lwip/init.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <mbedtls/ssl.h>
#include <stdio.h>

const char version[] = VERSION;

static struct lfs_config storage;
static lfs_t files;
static mbedtls_ssl_context tls;
static uint8_t message[256];

uint32_t sys_now(void)
{
    static uint32_t now;
    return now++;
}

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t size, size_t *taken);
int mbedtls_hardware_poll(void *data, unsigned char *output, size_t size, size_t *taken)
{
    (void)data;
    for (size_t i = 0; i < size; i++) {
        output[i] = (unsigned char)sys_now();
    }
    *taken = size;
    return 0;
}

static size_t report(uint32_t value)
{
    CborEncoder encoder, map;
    cbor_encoder_init(&encoder, message, sizeof(message), 0);
    cbor_encoder_create_map(&encoder, &map, 2);
    cbor_encode_text_stringz(&map, "version");
    cbor_encode_text_stringz(&map, version);
    cbor_encode_text_stringz(&map, "value");
    cbor_encode_uint(&map, value);
    cbor_encoder_close_container(&encoder, &map);
    return cbor_encoder_get_buffer_size(&encoder, message);
}

int main(void)
{
    lfs_file_t file;
    lwip_init();
    mbedtls_ssl_init(&tls);
    if (lfs_mount(&files, &storage) != 0) {
        lfs_format(&files, &storage);
    }
    for (;;) {
        const size_t size = report(sys_now());
        sys_check_timeouts();
        if (lfs_file_open(&files, &file, "log", LFS_O_WRONLY | LFS_O_APPEND) == 0) {
            lfs_file_write(&files, &file, message, (lfs_size_t)size);
            lfs_file_close(&files, &file);
        }
        mbedtls_ssl_write(&tls, message, size);
        printf("%s: %u bytes\n", version, (unsigned)size);
    }
}
