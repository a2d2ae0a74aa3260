/* assay certs: a development CA and the certificates it signs. */
#include "certs/mint.h"
#include "proxy/base/span.h"
#include "proxy/cli/command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CA_DAYS = 3650, LEAF_DAYS = 365, DAYS_MAX = 3650, FILE_MAX = 64 };

static const char *const default_names[] = { "localhost", "127.0.0.1", "::1", NULL };

/* What the command line asks for. */
struct wish {
    const char *folder;
    const char *file;
    struct mint_leaf leaf;
    const char **names; /* room for leaf.names; owned */
};

static bool made_of(const char *text, const char *characters)
{
    return *text != '\0' && text[strspn(text, characters)] == '\0';
}

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool names_read(const struct command_line *line, struct wish *wish)
{
    size_t count = 0;
    const char *name;

    wish->names = calloc(line->setting_count + 1, sizeof *wish->names);
    if (wish->names == NULL) {
        fputs("assay certs: not enough memory\n", stderr);
        return false;
    }
    while ((name = command_option_nth(line, "name", count)) != NULL) {
        if (!made_of(name, ALPHANUMERIC ".-_*:")) {
            command_misused(line, "--name: '%s' is no DNS name or IP address", name);
            return false;
        }
        wish->names[count++] = name;
    }
    wish->leaf.names = wish->names;
    if (count == 0 && !wish->leaf.client) {
        wish->leaf.names = default_names;
    }
    if (count == 0 && wish->leaf.client && wish->leaf.spiffe == NULL) {
        command_misused(line, "a client needs a --name or --spiffe URI");
        return false;
    }
    return true;
}

static bool days_read(const struct command_line *line, unsigned *days)
{
    const char *text = command_option(line, "days");
    uint64_t read = LEAF_DAYS;

    if (text != NULL &&
        (!span_decimal(span_text(text), &read) || read < 1 || read > DAYS_MAX)) {
        command_misused(line, "--days: '%s' is not a number from 1 to %d", text,
                        DAYS_MAX);
        return false;
    }
    *days = (unsigned)read;
    return true;
}

static bool file_read(const struct command_line *line, struct wish *wish)
{
    const char *file = command_option(line, "file");

    if (file == NULL) {
        file = wish->leaf.client ? "client" : "server";
    }
    if (!made_of(file, ALPHANUMERIC ".-_") || strlen(file) > FILE_MAX || *file == '.' ||
        strcmp(file, "ca") == 0) {
        command_misused(line, "--file: '%s' cannot be the name of a certificate", file);
        return false;
    }
    wish->file = file;
    return true;
}

static bool wish_read(const struct command_line *line, struct wish *wish)
{
    wish->folder = command_option(line, "out");
    if (wish->folder == NULL) {
        command_misused(line, "needs --out FOLDER");
        return false;
    }
    wish->leaf.client = command_option(line, "client") != NULL;
    wish->leaf.spiffe = command_option(line, "spiffe");
    if (wish->leaf.spiffe != NULL &&
        (!span_starts(span_text(wish->leaf.spiffe), SPAN("spiffe://")) ||
         !made_of(wish->leaf.spiffe, ALPHANUMERIC ".-_:/"))) {
        command_misused(line, "--spiffe: '%s' is no spiffe://... URI",
                        wish->leaf.spiffe);
        return false;
    }
    return names_read(line, wish) && days_read(line, &wish->leaf.days) &&
           file_read(line, wish);
}

static void tell_server(const struct wish *wish, const char *folder)
{
    printf("\nServe it:\n"
           "  listen:\n"
           "    - address: 127.0.0.1:8443\n"
           "      tls:\n"
           "        certificates:\n"
           "          - {chain: %s/%s.pem, key: %s/%s.key}\n",
           folder, wish->file, folder, wish->file);
    printf("\nTrust the CA, in what connects to it:\n"
           "  curl                 --cacert %s/ca.pem\n"
           "  Node.js              NODE_EXTRA_CA_CERTS=%s/ca.pem\n"
           "  Python, OpenSSL, Go  SSL_CERT_FILE=%s/ca.pem\n"
           "  all of Debian        cp %s/ca.pem /usr/local/share/ca-certificates/"
           "assay-development.crt && update-ca-certificates\n",
           folder, folder, folder, folder);
}

static void tell(const struct wish *wish, bool ca_is_new)
{
    char folder[PATH_MAX];
    const char *at = realpath(wish->folder, folder) != NULL ? folder : wish->folder;

    printf("%s %s/ca.pem: the development CA, %s\n", ca_is_new ? "wrote" : "kept ", at,
           ca_is_new ? "good for 10 years" : "as it was");
    printf("%s %s/ca.key: its key; whoever has it can pose as any server to those who"
           " trust it\n",
           ca_is_new ? "wrote" : "kept ", at);
    printf("wrote %s/%s.pem: good for %u days, for", at, wish->file, wish->leaf.days);
    for (const char *const *name = wish->leaf.names; *name != NULL; name++) {
        printf(" %s", *name);
    }
    printf("%s%s\n", wish->leaf.spiffe != NULL ? " " : "",
           wish->leaf.spiffe != NULL ? wish->leaf.spiffe : "");
    printf("wrote %s/%s.key: its key\n", at, wish->file);
    if (!wish->leaf.client) {
        tell_server(wish, at);
    }
}

static bool there(const char *folder, const char *file)
{
    char path[PATH_MAX];
    struct stat status;

    return snprintf(path, sizeof path, "%s/%s", folder, file) < PATH_MAX &&
           stat(path, &status) == 0;
}

static int grant(const struct wish *wish)
{
    bool ca_is_new = !there(wish->folder, "ca.pem") || !there(wish->folder, "ca.key");
    struct error error;
    bool made;

    error_init(&error);
    if (mkdir(wish->folder, 0755) != 0 && errno != EEXIST) {
        error_add(&error, (struct error_place){ 0 }, "%s: %s", wish->folder,
                  strerror(errno));
    }
    made = !error_any(&error) &&
           mint_ca(wish->folder, "assay development CA", CA_DAYS, &error) &&
           mint_leaf(wish->folder, wish->file, &wish->leaf, &error);
    if (made) {
        tell(wish, ca_is_new);
    }
    error_print(&error, stderr);
    error_done(&error);
    return made ? COMMAND_OK : COMMAND_FAILED;
}

int command_certs(const struct command_line *line)
{
    struct wish wish = { 0 };
    int status = wish_read(line, &wish) ? grant(&wish) : COMMAND_MISUSED;

    free(wish.names);
    return status;
}
