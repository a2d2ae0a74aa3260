#include "certs/store.h"

#include "certs/tls_reason.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static const struct error_place nowhere = { 0 };

static pthread_once_t system_once = PTHREAD_ONCE_INIT;
static X509_STORE *system_store;

static bool readable(const char *variable, const char *otherwise)
{
    const char *path = getenv(variable);

    return access(path != NULL ? path : otherwise, R_OK) == 0;
}

static void system_load(void)
{
    X509_STORE *store;

    if (!readable(X509_get_default_cert_file_env(), X509_get_default_cert_file()) &&
        !readable(X509_get_default_cert_dir_env(), X509_get_default_cert_dir())) {
        return;
    }
    store = X509_STORE_new();
    if (store != NULL && X509_STORE_set_default_paths(store) != 1) {
        X509_STORE_free(store);
        store = NULL;
    }
    system_store = store;
}

X509_STORE *store_system(struct error *error)
{
    pthread_once(&system_once, system_load);
    if (system_store == NULL) {
        error_add(error, nowhere,
                  "no CA certificates in %s or %s; install the package ca-certificates",
                  X509_get_default_cert_file(), X509_get_default_cert_dir());
    }
    return system_store;
}

X509_STORE *store_file(const char *file, struct error *error)
{
    X509_STORE *store = X509_STORE_new();

    if (store == NULL || X509_STORE_load_file(store, file) != 1) {
        error_add(error, nowhere, "%s: cannot read CA certificates: %s", file,
                  tls_reason().words);
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}
