#include "config/aws_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void hosts_tell_region_and_service(void **state)
{
    static const struct {
        const char *host, *region, *service;
    } rows[] = {
        { "bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1", "bedrock" },
        { "bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1",
          "bedrock" },
        { "bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1", "bedrock" },
        { "vpce-0a1-b2.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
          "ap-southeast-2", "bedrock" },
        { "bedrock-mantle.us-east-2.api.aws", "us-east-2", "bedrock-mantle" },
        { "bedrock-runtime.amazonaws.com", "", "bedrock" },
        { "127.0.0.1", "", "bedrock" },
        { "us-east.example.org", "", "bedrock" },
        { "east-1.example.org", "", "bedrock" },
        { "us-east-1-x.example.org", "", "bedrock" },
        { "u-east-1.example.org", "", "bedrock" },
        { "us-east-1a.example.org", "", "bedrock" },
        { "localhost", "", "bedrock" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span region = aws_host_region(rows[i].host);

        if (!span_equal(region, span_text(rows[i].region))) {
            fail_msg("%s: region '%.*s'", rows[i].host, (int)region.len, region.at);
        }
        assert_true(
            span_equal(aws_host_service(rows[i].host), span_text(rows[i].service)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_tell_region_and_service),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
