#include "upgrade.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "websocket.h"

static const char *header(const struct request *request, const char *name)
{
        return MHD_lookup_connection_value(request->http, MHD_HEADER_KIND, name);
}

/* Whether a list of words, separated by commas, has this one in either case. */
static bool has_word(const char *list, const char *word)
{
        size_t wanted = strlen(word);

        while (list != NULL && *list != '\0') {
                size_t length;

                list += strspn(list, ", \t");
                length = strcspn(list, ", \t");
                if (length == wanted && strncasecmp(list, word, length) == 0)
                        return true;
                list += length;
        }
        return false;
}

static int refuse(struct request *request, unsigned status, const char *sentence)
{
        struct fault why;

        (void)fault_set(&why, FAULT_REQUEST_INVALID, EPROTO, "%s", sentence);
        answer_fault_as(request, status, &why, NULL);
        return -EPROTO;
}

int upgrade_check(struct request *request)
{
        char accept[WEBSOCKET_ACCEPT_BYTES];
        const char *key = header(request, "Sec-WebSocket-Key");
        const char *version = header(request, "Sec-WebSocket-Version");

        if (!str_equal(request->method, "GET") || !has_word(header(request, "Upgrade"), "websocket") ||
            !has_word(header(request, "Connection"), "upgrade"))
                return refuse(request, MHD_HTTP_UPGRADE_REQUIRED, "this is for WebSockets: ask for the upgrade");
        if (version == NULL || !str_equal(version, "13"))
                return refuse(request, MHD_HTTP_UPGRADE_REQUIRED, "the only Sec-WebSocket-Version taken is 13");
        if (key == NULL || websocket_accept(key, accept) < 0)
                return refuse(request, MHD_HTTP_BAD_REQUEST, "Sec-WebSocket-Key must be base64 of 16 bytes");
        if (!has_word(header(request, "Sec-WebSocket-Protocol"), UPGRADE_PROTOCOL))
                return refuse(request, MHD_HTTP_BAD_REQUEST, "Sec-WebSocket-Protocol must offer " UPGRADE_PROTOCOL);
        return 0;
}

void upgrade_answer(struct request *request, const char *exec_id, MHD_UpgradeHandler on_upgraded, void *arg)
{
        char accept[WEBSOCKET_ACCEPT_BYTES];
        struct MHD_Response *response = NULL;
        bool is_complete = false;

        if (websocket_accept(header(request, "Sec-WebSocket-Key"), accept) == 0)
                response = MHD_create_response_for_upgrade(on_upgraded, arg);
        if (response != NULL)
                is_complete = MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket") == MHD_YES &&
                              MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) == MHD_YES &&
                              MHD_add_response_header(response, "Carrel-Exec-Id", exec_id) == MHD_YES &&
                              MHD_add_response_header(response, "Sec-WebSocket-Protocol", UPGRADE_PROTOCOL) == MHD_YES;
        if (is_complete) {
                request_answer(request, MHD_HTTP_SWITCHING_PROTOCOLS, response);
                return;
        }
        if (response != NULL)
                MHD_destroy_response(response);
        answer_no_memory(request);
}
