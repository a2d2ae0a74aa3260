/* The rows of who may call, and as whom: groups that schema.c hangs into the file. */
#ifndef ASSAY_CONFIG_SCHEMA_IDENTITY_H
#define ASSAY_CONFIG_SCHEMA_IDENTITY_H

#include "config/field.h"

/* Tags of a team, at most. */
enum { TAGS_MAX = 16 };

/* Of listen[].identify. */
extern const char *const identify_words[];

extern const struct field_group tls_group;
extern const struct field_group trusted_header_group;
extern const struct field_group issuer_group;
extern const struct field_group admin_user_group;
extern const struct field_group tag_group; /* of a provider */

#endif
