#include "upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "exchange.h"
#include "websocket.h"

/* Whether a list, separated by commas, has this word, in any case. */
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

int upgrade_check(struct request *request, const char *protocol)
{
        char accept[WEBSOCKET_ACCEPT_BYTES];
        const char *key = request_header(request, "Sec-WebSocket-Key");
        const char *version = request_header(request, "Sec-WebSocket-Version");
        char sentence[96];

        if (!str_equal(request->method, "GET") || !has_word(request_header(request, "Upgrade"), "websocket") ||
            !has_word(request_header(request, "Connection"), "upgrade"))
                return refuse(request, HTTP_UPGRADE_REQUIRED, "this is for WebSockets: ask for the upgrade");
        if (version == NULL || !str_equal(version, "13"))
                return refuse(request, HTTP_UPGRADE_REQUIRED, "the only Sec-WebSocket-Version accepted is 13");
        if (key == NULL || websocket_accept(key, accept) < 0)
                return refuse(request, HTTP_BAD_REQUEST, "Sec-WebSocket-Key must be base64 of 16 bytes");
        if (has_word(request_header(request, "Sec-WebSocket-Protocol"), protocol))
                return 0;
        (void)snprintf(sentence, sizeof sentence, "Sec-WebSocket-Protocol must offer %s", protocol);
        return refuse(request, HTTP_BAD_REQUEST, sentence);
}

static void on_upgrade(void *arg, struct MHD_Connection *http, void *context, const char *early, size_t early_length,
                       MHD_socket fd, struct MHD_UpgradeResponseHandle *upgraded)
{
        struct exchange *exchange = context;

        (void)arg, (void)http;
        exchange->upgraded = upgraded;
        if (exchange->is_dropped) {
                upgrade_end(&exchange->request);
                return;
        }
        connection_widen(exchange->connection);
        exchange->on_upgraded(&exchange->request, fd, early, early_length);
}

static struct MHD_Response *make_response(const struct request *request, const char *protocol,
                                          const struct answer_header *header)
{
        char accept[WEBSOCKET_ACCEPT_BYTES];
        struct MHD_Response *response = NULL;

        if (websocket_accept(request_header(request, "Sec-WebSocket-Key"), accept) == 0)
                response = MHD_create_response_for_upgrade(on_upgrade, NULL);
        if (response == NULL)
                return NULL;
        if (MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket") == MHD_YES &&
            MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) == MHD_YES &&
            MHD_add_response_header(response, header->name, header->value) == MHD_YES &&
            MHD_add_response_header(response, "Sec-WebSocket-Protocol", protocol) == MHD_YES)
                return response;
        MHD_destroy_response(response);
        return NULL;
}

void upgrade_answer(struct request *request, const char *protocol, const struct answer_header *header,
                    void (*on_upgraded)(struct request *request, int fd, const char *early, size_t early_length))
{
        struct exchange *exchange = exchange_of(request);
        struct MHD_Response *response = make_response(request, protocol, header);

        exchange->on_upgraded = on_upgraded;
        if (response != NULL)
                exchange_answer(exchange, HTTP_SWITCHING_PROTOCOLS, response);
        else
                answer_no_memory(request);
}

void upgrade_end(struct request *request)
{
        struct exchange *exchange = exchange_of(request);
        struct MHD_UpgradeResponseHandle *upgraded = exchange->upgraded;

        exchange->upgraded = NULL;
        if (upgraded == NULL)
                return;
        (void)MHD_upgrade_action(upgraded, MHD_UPGRADE_ACTION_CLOSE);
        httpd_wake(exchange->httpd);
}
