/* What the meter costs per exchange: journal and ledger, metrics, prices.
 *
 *   ledger [FOLDER [ENTRIES [RATE]]]      defaults: a new folder in /tmp, 300000, 30000
 *
 * A worker settles RATE entries a second while the ledger's thread writes them; the CPU
 * time of each is divided by the number of entries. Run from the project's root. */
#include "proxy/meter/ledger.h"

#include "proxy/base/clock.h"
#include "proxy/meter/metrics.h"
#include "proxy/meter/price.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void store(char *array, size_t size, const char *word, unsigned number)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    text_put(&text, span_text(word));
    text_put_u64(&text, number);
    text_store(array, size, text_span(&text));
}

#define STORE(entry, field, word) text_store((entry)->field, sizeof(entry)->field, word)

/* An exchange as it is in practice: 200 sessions of 20 people, four models. */
static void fill(struct entry *entry, unsigned i)
{
    const struct span models[] = { SPAN("gpt-4o-2024-08-06"), SPAN("gpt-4o-mini"),
                                   SPAN("claude-sonnet-4-5-20250929"),
                                   SPAN("claude-haiku-4-5") };

    entry->started_ns = entry_id_time(entry->id) - 300 * NS_PER_US;
    entry->duration_us = 1200000 + i % 1000;
    entry->ttfb_us = 300000;
    entry->ttft_us = 310000;
    entry->overhead_us = 55;
    entry->request_bytes = 31337 + i % 5000;
    entry->response_bytes = 8123;
    entry->events = 80;
    entry->cost_nanousd = 12345678;
    entry->priced = 1;
    entry->stream = 1;
    entry->status = 200;
    usage_set(&entry->usage, TOKENS_INPUT, 12 + i % 100);
    usage_set(&entry->usage, TOKENS_CACHE_READ, 18000 + i % 3000);
    usage_set(&entry->usage, TOKENS_CACHE_WRITE, 900);
    usage_set(&entry->usage, TOKENS_OUTPUT, 300 + i % 700);
    usage_set(&entry->usage, TOKENS_REASONING, 0);
    entry->usage.source = USAGE_REPORTED;
    store(entry->team, sizeof entry->team, "team-", i % 5);
    store(entry->caller, sizeof entry->caller, "caller-", i % 20);
    store(entry->key, sizeof entry->key, "k", i % 20);
    store(entry->session, sizeof entry->session, "0b2a4e7c-1111-2222-", i % 200);
    STORE(entry, tool, SPAN("claude-code"));
    STORE(entry, tool_version, SPAN("2.1.42"));
    STORE(entry, provider, i % 4 < 2 ? SPAN("openai") : SPAN("anthropic"));
    STORE(entry, dialect, SPAN("openai.chat"));
    STORE(entry, operation, SPAN("chat"));
    STORE(entry, request_model, models[i % 4]);
    STORE(entry, response_model, models[i % 4]);
}

static void stop_on(struct error *error)
{
    if (error_any(error)) {
        error_print(error, stderr);
        exit(1);
    }
}

/* ---- journal and ledger ---------------------------------------------------------- */

enum { BURST = 32, SLOTS = 4096 };

static struct entry *take_waiting(struct journal *journal, uint64_t now,
                                  unsigned *waits)
{
    struct entry *entry;

    while ((entry = journal_take(journal, now)) == NULL) {
        ++*waits;
        usleep(1000);
    }
    return entry;
}

/* Returns the worker's CPU time in take and settle alone. */
static uint64_t settle_paced(struct journal *journal, unsigned entries, unsigned rate,
                             unsigned *waits)
{
    const uint64_t begin = clock_monotonic_ns();
    struct entry *taken[BURST];
    uint64_t spent = 0, at;

    for (unsigned i = 0; i < entries; i += BURST) {
        at = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned k = 0; k < BURST; k++) {
            taken[k] = take_waiting(journal, clock_unix_ns(), waits);
        }
        spent += cpu_ns(CLOCK_THREAD_CPUTIME_ID) - at;
        for (unsigned k = 0; k < BURST; k++) {
            fill(taken[k], i + k);
        }
        at = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned k = 0; k < BURST; k++) {
            journal_settle(journal, taken[k]);
        }
        spent += cpu_ns(CLOCK_THREAD_CPUTIME_ID) - at;
        while (clock_monotonic_ns() - begin < (uint64_t)i * NS_PER_S / rate) {
            usleep(200);
        }
    }
    return spent;
}

static void bench_ledger(const char *folder, unsigned entries, unsigned rate)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, SLOTS, &error);
    struct ledger *ledger = ledger_open(folder, NULL, &error);
    uint64_t worker, process, mine;
    unsigned waits = 0;

    stop_on(&error);
    if (!ledger_recover(ledger, journal, &error) ||
        !ledger_start(ledger, &journal, 1, NULL, NULL, &error)) {
        stop_on(&error);
    }
    process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    mine = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    worker = settle_paced(journal, entries, rate, &waits);
    mine = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
    ledger_stop(ledger);
    process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - process;
    printf("journal_take and _settle  %8.1f ns of CPU per entry\n",
           (double)worker / entries);
    printf("ledger thread             %8.1f ns of CPU per entry at %u/s; %u waits for "
           "a "
           "slot\n",
           (double)(process - mine) / entries, rate, waits);
    ledger_close(ledger);
    journal_close(journal);
}

static void bench_idle(const char *folder)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, SLOTS, &error);
    struct ledger *ledger = ledger_open(folder, NULL, &error);
    uint64_t process;

    stop_on(&error);
    if (!ledger_start(ledger, &journal, 1, NULL, NULL, &error)) {
        stop_on(&error);
    }
    process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    sleep(2);
    process = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - process;
    printf("idle ledger thread        %8.1f us of CPU per second\n",
           (double)process / 2 / NS_PER_US);
    ledger_close(ledger);
    journal_close(journal);
}

/* ---- metrics and prices ---------------------------------------------------------- */

enum { ENTRIES = 64, TURNS = 20000 };

static void bench_metrics(const struct entry *entries)
{
    struct metrics_shard *shard = metrics_shard_new(2000);
    uint64_t begin;

    for (unsigned i = 0; i < ENTRIES; i++) {
        metrics_count(shard, &entries[i]);
    }
    begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < TURNS * ENTRIES; i++) {
        metrics_count(shard, &entries[i % ENTRIES]);
    }
    printf("metrics_count             %8.1f ns\n",
           (double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (TURNS * ENTRIES));
    metrics_shard_free(shard);
}

static void bench_prices(const struct entry *entries)
{
    struct error error = { 0 };
    struct price_table *table = price_table_load("config/prices.yaml", &error);
    int64_t sum = 0;
    uint64_t begin;

    stop_on(&error);
    begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < TURNS * ENTRIES; i++) {
        const struct entry *entry = &entries[i % ENTRIES];
        struct price_key key = { .provider = span_text(entry->provider),
                                 .model = span_text(entry->response_model),
                                 .service_tier = span_text(entry->service_tier),
                                 .at_unix_ns = entry->started_ns,
                                 .input_tokens = usage_input(&entry->usage) };
        struct price_rates rates;

        if (price_find(table, &key, &rates)) {
            sum += price_cost(&rates, &entry->usage);
        }
    }
    begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    printf("price_find and _cost      %8.1f ns (%" PRId64 " nano-dollars)\n",
           (double)begin / (TURNS * ENTRIES), sum);
    price_table_free(table);
}

static void bench_json(const struct entry *entries)
{
    static char memory[ENTRY_JSON_MAX];
    uint64_t begin = cpu_ns(CLOCK_THREAD_CPUTIME_ID);

    for (unsigned i = 0; i < TURNS * ENTRIES / 8; i++) {
        struct text text = text_over(memory, sizeof memory);

        entry_json(&entries[i % ENTRIES], &text);
    }
    printf("entry_json                %8.1f ns\n",
           (double)(cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (TURNS * ENTRIES / 8));
}

int main(int count, char **arguments)
{
    char folder[] = "/tmp/bench_ledger.XXXXXX";
    const char *where = count > 1 ? arguments[1] : mkdtemp(folder);
    unsigned entries = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 300000;
    unsigned rate = count > 3 ? (unsigned)strtoul(arguments[3], NULL, 10) : 30000;
    static struct entry some[ENTRIES];

    for (unsigned i = 0; i < ENTRIES; i++) {
        some[i].id = entry_id_at(clock_unix_ns());
        fill(&some[i], i);
    }
    bench_metrics(some);
    bench_prices(some);
    bench_json(some);
    bench_ledger(where, entries, rate);
    bench_idle(where);
    return 0;
}
