/* What a request says of itself, from its path, head and body. The model and the stream
 * flag steer metering; tool, session and the like are claims: bounded, shown, never
 * trusted. */
#ifndef ASSAY_FILTERS_FACTS_H
#define ASSAY_FILTERS_FACTS_H

#include <stdbool.h>
#include <stdint.h>

/* Tools of the provider's own that a request names. */
enum { NAMED_TOOLS_MAX = 8, NAMED_TOOL_SIZE = 32 };

struct named_tools {
    uint8_t count;
    bool cut; /* more tools than there is room for, or a longer name */
    char names[NAMED_TOOLS_MAX][NAMED_TOOL_SIZE];
};

struct facts {
    uint64_t object; /* hash of the id of what a ROUTE_ONCE asks for; 0: nothing */
    /* For the engine to give, zeroed, once the watch is open; NULL: nobody
     * asks for them */
    struct named_tools *tools;
    uint64_t max_output; /* the greatest of the body's limits; 0: none */
    uint64_t choices;    /* n or best_of; 0: not said */
    /* where stream_options stands in the body, for the splice; end 0: it does not */
    uint64_t options_begin, options_end;
    uint64_t include_begin, include_end; /* the value of include_usage within it */
    uint64_t body_open;                  /* offset behind the body's opening brace */
    uint32_t per_mille; /* tokens that this model's provider finds where a thousand are
                           counted here; 0: not known. For the engine to say */
    char model[64];
    char service_tier[16];
    bool model_cut;      /* the model's name was longer */
    bool awaited;        /* somebody has to pay for the object. For the engine to say */
    bool stream;         /* asked for a stream */
    bool stream_said;    /* "stream" stood in the body */
    bool usage_asked;    /* stream_options.include_usage is true */
    bool background;     /* openai.responses: the answer comes later */
    bool fast;           /* the tier came as the body's "speed" */
    bool more_models;    /* names further models to fall back to */
    bool options_empty;  /* stream_options is {} */
    bool options_object; /* stream_options is an object */
    bool body_empty;     /* the body is {} */
};

/* What a client's message over a WebSocket says of itself. */
struct message_facts {
    char type[40]; /* "response.create"; empty: it does not say */
    char lane[64]; /* the stream it belongs to; empty: the connection's own */
};

struct claims {
    char tool[24];
    char tool_version[16];
    char mode[12]; /* "interactive", "headless" or "" */
    char session[48];
    char agent[40];
    uint32_t retry;
};

#endif
