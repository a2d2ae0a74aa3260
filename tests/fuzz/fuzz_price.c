/* Any text as a price file: it is refused with a reason, or what it says
 * can be used. */
#include "proxy/meter/price.h"
#include "proxy/meter/price_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of((const char *)data, size);
    struct error error;
    struct price_table *table;
    struct usage usage = { .tokens = { 1, 2, 3, 4, 5 } };
    struct price_rates rates;
    struct price_key key = { .model = SPAN("m-2025-01-01"),
                             .service_tier = SPAN("batch") };

    error_init(&error);
    table = price_table_parse("prices.yaml", text, &error);
    if ((table == NULL) != error_any(&error)) {
        __builtin_trap();
    }
    if (table != NULL && price_find(table, &key, &rates) &&
        price_cost(&rates, &usage) < 0) {
        __builtin_trap();
    }
    price_table_free(table);
    error_done(&error);
    return 0;
}
