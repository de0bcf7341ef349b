#include "scripted_modem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kedge/stage_modem.h"

struct scripted_modem far;

/* What lies at the URL that was given. */
static const struct kedge_bytes *served(void)
{
    const size_t size = strlen(far.url);
    const bool manifest = size > 9 && strcmp(far.url + size - 9, ".manifest") == 0;

    return manifest ? &far.manifest : &far.content;
}

static bool happens(unsigned one_of)
{
    return far.bad != 0 && kedge_random_below(&far.random, far.bad * one_of) == 0;
}

void scripted_says(const void *bytes, size_t size)
{
    assert_true(far.out_size + size <= sizeof(far.out));
    memcpy(far.out + far.out_size, bytes, size);
    far.out_size += size;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    scripted_says("\r\n", 2);
    scripted_says(text, strlen(text));
    scripted_says("\r\n", 2);
}

static void fetch(uint32_t at, uint32_t size, bool range)
{
    const bool part = range && !far.ranges_off;

    far.gets++;
    say("OK");
    far.body_at = part ? at : 0;
    far.body_size = part ? size : (uint32_t)served()->size;
    far.air += far.body_size;
    if (happens(3)) {
        say("+QHTTPGET: 702");
    } else if (happens(3)) {
        say("+QHTTPGET: none of your business");
    } else {
        say("+QHTTPGET: 0,%u,%u",
            far.status != 0 ? far.status
            : part          ? 206u
                            : 200u,
            (unsigned)far.body_size);
    }
}

/* The piece that was asked for, or something like it. */
static void read_file(unsigned size)
{
    uint8_t piece[2 * KEDGE_MODEM_PIECE];
    unsigned left = far.file_size - far.at;
    unsigned n = size < left ? size : left;

    far.reads++;
    say("CONNECT %u", happens(4) ? n + 1 : n);
    memcpy(piece, served()->at + far.file_at + far.at, n);
    far.at += n;
    if (n > 40 && happens(2)) { /* repeated */
        memmove(piece + 40, piece + 20, n - 20);
        n += 20;
    } else if (n > 0 && happens(2)) { /* cut short */
        n = kedge_random_below(&far.random, n);
    } else if (n > 0 && happens(2)) { /* changed */
        piece[kedge_random_below(&far.random, n)] ^= 0x20;
    }
    scripted_says(piece, n);
    say("OK");
}

static void start_anew(void)
{
    far.handle = 0;
    far.file_size = 0;
    far.echo = true;
    say("RDY");
}

static void obey(const char *text)
{
    unsigned a, b;
    char name[64];

    far.commands++;
    if (far.echo) {
        scripted_says(text, strlen(text));
        scripted_says("\r", 1);
    }
    if (happens(4)) {
        say("+QIURC: \"pdpdeact\",1");
    }
    if (happens(8)) {
        return; /* nothing */
    }
    if (happens(8)) {
        say("+CME ERROR: 703");
    } else if (happens(20)) {
        start_anew();
    } else if (strcmp(text, "AT") == 0) {
        if (!far.waking || far.commands > 3) {
            say("OK");
        }
    } else if (sscanf(text, "AT+QHTTPURL=%u,%u", &a, &b) == 2) {
        far.url_wanted = a;
        say("CONNECT");
    } else if (sscanf(text, "AT+QHTTPGETEX=%*u,%u,%u", &a, &b) == 2) {
        assert_true(a < served()->size && b <= served()->size - a);
        fetch(a, b, true);
    } else if (strncmp(text, "AT+QHTTPGET=", 12) == 0) {
        fetch(0, 0, false);
    } else if (sscanf(text, "AT+QHTTPREADFILE=\"%63[^\"]\",%u", name, &a) == 2) {
        if (far.handle != 0) {
            say("+CME ERROR: 426");
            return;
        }
        assert_string_equal(name, SCRIPTED_FILE);
        far.file_at = far.body_at;
        far.file_size = far.body_size;
        say("OK");
        say("+QHTTPREADFILE: 0");
    } else if (strcmp(text, "AT+QFOPEN?") == 0) {
        say("+QFOPEN: \"UFS:another\",7,0");
        if (far.handle != 0) {
            say("+QFOPEN: \"%s\",%u,2", SCRIPTED_FILE, far.handle);
        }
        say("OK");
    } else if (sscanf(text, "AT+QFOPEN=\"%63[^\"]\",2", name) == 1) {
        if (far.handle != 0 || far.file_size == 0) {
            say("+CME ERROR: 418");
            return;
        }
        far.handle = ++far.next;
        far.at = 0;
        say("+QFOPEN: %u", far.handle);
        say("OK");
    } else if (sscanf(text, "AT+QFSEEK=%u,%u,0", &a, &b) == 2 && a == far.handle) {
        far.at = b;
        say("OK");
    } else if (sscanf(text, "AT+QFREAD=%u,%u", &a, &b) == 2 && a == far.handle) {
        read_file(b);
    } else if (sscanf(text, "AT+QFCLOSE=%u", &a) == 1 && a == far.handle) {
        far.handle = 0;
        say("OK");
    } else {
        say("ERROR");
    }
}

bool scripted_write(void *ctx, struct kedge_bytes bytes)
{
    (void)ctx;
    for (size_t i = 0; i < bytes.size; i++) {
        if (far.url_wanted > 0) {
            far.url[far.command_size++] = (char)bytes.at[i];
            far.url[far.command_size] = '\0';
            if (--far.url_wanted == 0) {
                far.command_size = 0;
                say("OK");
            }
        } else if (bytes.at[i] == '\r') {
            far.command[far.command_size] = '\0';
            far.command_size = 0;
            obey((const char *)far.command);
        } else {
            assert_true(far.command_size + 1 < sizeof(far.command));
            far.command[far.command_size++] = bytes.at[i];
        }
    }
    return !far.line_gone;
}

/* In pieces of any length, with pauses. */
size_t scripted_read(void *ctx, struct kedge_buf to)
{
    size_t left = far.out_size - far.out_at;
    size_t n = 1 + kedge_random_below(&far.random, 64);

    (void)ctx;
    if (kedge_random_below(&far.random, 4) == 0) {
        return 0;
    }
    n = n < left ? n : left;
    n = n < to.size ? n : to.size;
    memcpy(to.at, far.out + far.out_at, n);
    far.out_at += n;
    if (far.out_at == far.out_size) {
        far.out_at = far.out_size = 0;
    }
    return n;
}

void scripted_forgets(void)
{
    far.out_size = far.out_at = far.command_size = 0;
}
