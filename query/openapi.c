#include "query/openapi.h"

#include "query/openapi_stamp.h" /* meson makes it anew when the description changes */

/* The assembler finds openapi.json through the -I that meson.build gives it. */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "tercet_openapi_begin:\n"
        ".incbin \"openapi.json\"\n"
        "tercet_openapi_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char tercet_openapi_begin[], tercet_openapi_end[];

const char *openapi_json(size_t *len_out) {
    *len_out = (size_t)(tercet_openapi_end - tercet_openapi_begin);
    return tercet_openapi_begin;
}

void openapi_handler(void *context, size_t worker, const struct server_request *request,
                     struct server_response *response) {
    (void)context, (void)worker, (void)request;
    server_response_header(response, "ETag", "\"" OPENAPI_SHA256 "\"");
    response->static_body = openapi_json(&response->static_len);
}
