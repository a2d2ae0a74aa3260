#include "proxy/cli/version.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <yaml.h>

#include <brotli/decode.h>
#include <stdint.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

static void print_row(FILE *out, const char *name, const char *version)
{
    fprintf(out, "  %-10s%s\n", name, version);
}

static void print_parts(FILE *out, const char *name, unsigned major, unsigned minor,
                        unsigned patch)
{
    fprintf(out, "  %-10s%u.%u.%u\n", name, major, minor, patch);
}

void version_print(FILE *out)
{
    uint32_t brotli = BrotliDecoderVersion();
    unsigned xxhash = XXH_versionNumber();

    fputs("assay " ASSAY_VERSION "\n", out);
#ifdef ASSAY_TEST_CLOCK
    fputs("  test build: the time is read from a file (ASSAY_TEST_CLOCK)\n", out);
#endif
    print_row(out, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    print_row(out, "libevent", event_get_version());
    print_row(out, "llhttp", ASSAY_LLHTTP_VERSION);
    print_row(out, "cjson", cJSON_Version());
    print_row(out, "libyaml", yaml_get_version_string());
    print_row(out, "sqlite", sqlite3_libversion());
    print_row(out, "zlib", zlibVersion());
    print_parts(out, "brotli", brotli >> 24, brotli >> 12 & 0xfff, brotli & 0xfff);
    print_row(out, "zstd", ZSTD_versionString());
    print_parts(out, "xxhash", xxhash / 10000, xxhash / 100 % 100, xxhash % 100);
    print_parts(out, "hiredis", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}
