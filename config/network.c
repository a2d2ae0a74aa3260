#include "config/network.h"

#include "proxy/base/text.h"

#include <arpa/inet.h>

enum { MAPPED_BITS = 96, ADDRESS_BITS = 128 };

/* The address as 16 bytes; *width gets how many bits of it were written. */
static bool address_read(struct span text, uint8_t address[16], unsigned *width)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    char copy[INET6_ADDRSTRLEN];

    if (!text_store(copy, sizeof copy, text)) {
        return false;
    }
    memcpy(address, mapped, sizeof mapped);
    *width = ADDRESS_BITS - MAPPED_BITS;
    if (inet_pton(AF_INET, copy, address + sizeof mapped) == 1) {
        return true;
    }
    *width = ADDRESS_BITS;
    return inet_pton(AF_INET6, copy, address) == 1;
}

static bool bit_set(const uint8_t address[16], unsigned bit)
{
    return (address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

bool network_parse(const char *text, struct config_network *network)
{
    struct span rest = span_text(text), address;
    uint64_t bits;
    unsigned width;

    *network = (struct config_network){ .local = strcmp(text, "unix") == 0 };
    if (network->local) {
        return true;
    }
    if (!span_next(&rest, '/', &address) ||
        !address_read(address, network->address, &width)) {
        return false;
    }
    bits = width;
    if (strchr(text, '/') != NULL && (!span_decimal(rest, &bits) || bits > width)) {
        return false;
    }
    network->bits = (uint8_t)(ADDRESS_BITS - width + bits);
    for (unsigned bit = network->bits; bit < ADDRESS_BITS; bit++) {
        if (bit_set(network->address, bit)) {
            return false;
        }
    }
    return true;
}

static bool network_holds(const struct config_network *network, const uint8_t *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (address == NULL || network->local) {
        return address == NULL && network->local;
    }
    return memcmp(network->address, address, whole) == 0 &&
           (rest == 0 || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

bool networks_hold(const struct config_networks *networks, const uint8_t *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (network_holds(&networks->at[i], address)) {
            return true;
        }
    }
    return false;
}
