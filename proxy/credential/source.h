/* One credential and how it is renewed. Shared by the keeper and the files that
 * know how a cloud hands credentials out (source_aws.c, source_google.c); all on
 * the keeper's loop. */
#ifndef ASSAY_CREDENTIAL_SOURCE_H
#define ASSAY_CREDENTIAL_SOURCE_H

#include "proxy/base/text.h"
#include "proxy/credential/credential.h"
#include "proxy/credential/fetch.h"

enum {
    SOURCE_TOKEN_SIZE = 512, /* of an instance's metadata session */
    SOURCE_WORDS_SIZE = 512
};

struct keeper;

struct source {
    struct source *next;
    struct keeper *keeper;
    struct credential_origin origin; /* owned copies */
    struct credential *credential;   /* the last good one; NULL: none yet */
    struct event *due;
    struct fetch *fetch; /* under way */
    void (*fetched)(struct source *source, const struct fetch_reply *reply);
    char metadata_token[SOURCE_TOKEN_SIZE];
    uint64_t now_s;    /* when the renewal under way began */
    unsigned failures; /* in a row */
    bool asked;        /* an attempt has ended */
    bool resting;      /* the configuration names it no longer */
};

/* Begin to renew; one of the two below is called, now or later. */
void source_renew_aws(struct source *source);
void source_renew_google(struct source *source);

/* A fresh credential, whose reference is taken over. */
void source_renewed(struct source *source, struct credential *credential);

/* No luck: tried again, later each time. The last good one stays. */
void source_failed(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Starts a fetch for the source; `done` gets the source and finds source->fetch NULL. A
 * fetch that cannot start fails the source. */
void source_fetch(struct source *source, const struct fetch_request *request,
                  void (*done)(struct source *source, const struct fetch_reply *reply));

#endif
