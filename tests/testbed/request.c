#include "request.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

enum { URL_BYTES = 1024, BODY_MAX = 64 << 20 };

/* ---- one exchange ---- */

struct exchange {
        char method[16];
        char url[URL_BYTES];
        char *body; /* NULL: none */
        struct answer answer;
        size_t length;
        double began_s;
        bool has_ended;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
        struct exchange *exchange = arg;
        char *grown;

        if (exchange->length + count > BODY_MAX)
                return 0;
        grown = realloc(exchange->answer.body, exchange->length + count + 1);
        if (grown == NULL)
                return 0;
        memcpy(grown + exchange->length, bytes, count);
        exchange->length += count;
        grown[exchange->length] = '\0';
        exchange->answer.body = grown;
        return size * count;
}

static void exchange_init(struct exchange *exchange, const char *method, const char *path, const char *body)
{
        *exchange = (struct exchange){ 0 };
        assert_true(snprintf(exchange->method, sizeof exchange->method, "%s", method) < 16);
        assert_true(snprintf(exchange->url, sizeof exchange->url, "http://test%s", path) < URL_BYTES);
        exchange->body = body != NULL ? strdup(body) : NULL;
        exchange->answer.body = strdup("");
        assert_non_null(exchange->answer.body);
}

static void exchange_arm(struct exchange *exchange, CURL *easy, const char *socket_path, double deadline_s)
{
        static struct curl_slist json = { .data = (char *)"Content-Type: application/json" };

        exchange->began_s = now_s();
        curl_easy_reset(easy);
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket_path);
        curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
        curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(deadline_s * 1000.0));
        if (exchange->body != NULL) {
                curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &json);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(exchange->body));
        }
}

static void exchange_end(struct exchange *exchange, CURL *easy, CURLcode code)
{
        long status = 0;
        curl_off_t retry_after_s = 0;

        if (code == CURLE_OK) {
                curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
                curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
        }
        exchange->answer.status = (int)status;
        exchange->answer.retry_after_s = (unsigned)retry_after_s;
        exchange->answer.json = cJSON_Parse(exchange->answer.body);
        exchange->answer.duration_s = now_s() - exchange->began_s;
        exchange->has_ended = true;
}

struct answer request_within(const char *socket_path, const char *method, const char *path, const char *body,
                             double deadline_s)
{
        struct exchange exchange;
        CURL *easy = curl_easy_init();

        assert_non_null(easy);
        exchange_init(&exchange, method, path, body);
        exchange_arm(&exchange, easy, socket_path, deadline_s);
        exchange_end(&exchange, easy, curl_easy_perform(easy));
        curl_easy_cleanup(easy);
        free(exchange.body);
        return exchange.answer;
}

struct answer request(const char *socket_path, const char *method, const char *path, const char *body)
{
        return request_within(socket_path, method, path, body, PATIENCE_S);
}

void answer_release(struct answer *answer)
{
        free(answer->body);
        cJSON_Delete(answer->json);
        *answer = (struct answer){ 0 };
}

void request_expect(const char *socket_path, const char *method, const char *path, const char *body, int status)
{
        struct answer answer = request(socket_path, method, path, body);

        if (answer.status != status)
                fail_msg("%s %s answered %d, not %d: %s", method, path, answer.status, status, answer.body);
        answer_release(&answer);
}

static const cJSON *find(const struct answer *answer, const char *path)
{
        const cJSON *at = answer->json;

        while (at != NULL && *path != '\0') {
                char key[64];
                size_t length = strcspn(path, ".");

                assert_true(length < sizeof key);
                memcpy(key, path, length);
                key[length] = '\0';
                at = cJSON_GetObjectItemCaseSensitive(at, key);
                path += length + (path[length] == '.');
        }
        return at;
}

const char *answer_text(const struct answer *answer, const char *path)
{
        const char *text = cJSON_GetStringValue(find(answer, path));

        return text != NULL ? text : "";
}

double answer_number(const struct answer *answer, const char *path)
{
        const cJSON *at = find(answer, path);

        return cJSON_IsNumber(at) ? at->valuedouble : -1.0;
}

/* ---- volleys ---- */

struct volley {
        char *socket_path;
        CURLM *multi;
        CURL **easies;
        unsigned n_easies;
        struct exchange **exchanges;
        size_t n_exchanges;
        size_t n_begun;
        size_t n_ended;
        bool is_running;
};

struct volley *volley_new(const char *socket_path, unsigned connections)
{
        struct volley *volley = calloc(1, sizeof *volley);

        assert_non_null(volley);
        volley->socket_path = strdup(socket_path);
        volley->multi = curl_multi_init();
        volley->easies = calloc(connections, sizeof *volley->easies);
        volley->n_easies = connections;
        assert_true(volley->socket_path != NULL && volley->multi != NULL && volley->easies != NULL);
        curl_multi_setopt(volley->multi, CURLMOPT_MAXCONNECTS, (long)connections);
        return volley;
}

struct volley *volley_free(struct volley *volley)
{
        if (volley == NULL)
                return NULL;
        for (unsigned i = 0; i < volley->n_easies; i++) {
                if (volley->easies[i] != NULL)
                        curl_multi_remove_handle(volley->multi, volley->easies[i]);
                curl_easy_cleanup(volley->easies[i]);
        }
        for (size_t i = 0; i < volley->n_exchanges; i++) {
                free(volley->exchanges[i]->body);
                answer_release(&volley->exchanges[i]->answer);
                free(volley->exchanges[i]);
        }
        curl_multi_cleanup(volley->multi);
        free(volley->easies);
        free(volley->exchanges);
        free(volley->socket_path);
        free(volley);
        return NULL;
}

size_t volley_add(struct volley *volley, const char *method, const char *path, const char *body)
{
        struct exchange **grown = reallocarray(volley->exchanges, volley->n_exchanges + 1, sizeof(struct exchange *));

        assert_non_null(grown);
        volley->exchanges = grown;
        grown[volley->n_exchanges] = calloc(1, sizeof(**grown));
        assert_non_null(grown[volley->n_exchanges]);
        exchange_init(grown[volley->n_exchanges], method, path, body);
        return volley->n_exchanges++;
}

static void begin_next(struct volley *volley, CURL *easy)
{
        if (volley->n_begun == volley->n_exchanges)
                return;
        exchange_arm(volley->exchanges[volley->n_begun++], easy, volley->socket_path, 900.0);
        curl_multi_add_handle(volley->multi, easy);
}

static void begin_all(struct volley *volley)
{
        for (unsigned i = 0; i < volley->n_easies; i++) {
                volley->easies[i] = curl_easy_init();
                assert_non_null(volley->easies[i]);
                begin_next(volley, volley->easies[i]);
        }
        volley->is_running = true;
}

static void gather(struct volley *volley)
{
        int left = 0;

        for (CURLMsg *message = curl_multi_info_read(volley->multi, &left); message != NULL;
             message = curl_multi_info_read(volley->multi, &left)) {
                CURL *easy = message->easy_handle;
                CURLcode code = message->data.result;
                struct exchange *exchange = NULL;

                curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&exchange);
                exchange_end(exchange, easy, code);
                volley->n_ended++;
                curl_multi_remove_handle(volley->multi, easy);
                begin_next(volley, easy);
        }
}

size_t volley_run(struct volley *volley, double duration_s)
{
        double end_s = now_s() + duration_s;
        int running = 0;

        if (!volley->is_running)
                begin_all(volley);
        for (;;) {
                double left_s = end_s - now_s();

                curl_multi_perform(volley->multi, &running);
                gather(volley);
                if (volley->n_ended == volley->n_exchanges || left_s <= 0.0)
                        return volley->n_exchanges - volley->n_ended;
                curl_multi_poll(volley->multi, NULL, 0, left_s < 1.0 ? (int)(left_s * 1000.0) + 1 : 1000, NULL);
        }
}

const struct answer *volley_answer(const struct volley *volley, size_t index)
{
        assert_true(index < volley->n_exchanges);
        return &volley->exchanges[index]->answer;
}

/* ---- raw bytes ---- */

static int connect_to(const char *socket_path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_return_code(fd, errno);
        assert_true(strlen(socket_path) < sizeof address.sun_path);
        memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
        assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof address), errno);
        return fd;
}

size_t raw_request(const char *socket_path, const void *bytes, size_t length, char *ret_answer, size_t size,
                   double deadline_s, bool *ret_has_closed)
{
        double end_s = now_s() + deadline_s;
        int fd = connect_to(socket_path);
        size_t sent = 0, received = 0;

        *ret_has_closed = false;
        while (!*ret_has_closed && received < size - 1 && now_s() < end_s) {
                struct pollfd watched = { fd, (short)(POLLIN | (sent < length ? POLLOUT : 0)), 0 };
                ssize_t count;

                if (poll(&watched, 1, (int)((end_s - now_s()) * 1000.0) + 1) <= 0)
                        break;
                if (watched.revents & POLLOUT) {
                        count = send(fd, (const char *)bytes + sent, length - sent, MSG_NOSIGNAL);
                        sent = count > 0 ? sent + (size_t)count : length;
                }
                if ((watched.revents & ~POLLOUT) == 0)
                        continue;
                count = recv(fd, ret_answer + received, size - 1 - received, 0);
                received += count > 0 ? (size_t)count : 0;
                *ret_has_closed = count == 0 || (count < 0 && errno != EAGAIN);
        }
        close(fd);
        ret_answer[received] = '\0';
        return received;
}
