/* Makes a libcurl easy handle of a struct http_request, and handles libcurl's callbacks for it. A callback must call no
 * libcurl functions except curl_easy_getinfo and curl_easy_header. */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "scope.h"

enum { STREAM_READ_BYTES = 65536, MAX_HEADER_BYTES = 65536 };
#define DEFAULT_RESPONSE_BYTES ((size_t)16 << 20)

void call_free(struct http_call *call)
{
        if (call == NULL)
                return;
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->headers);
        tail_release(&call->tail);
        buffer_free(&call->body);
        free(call);
}

static void call_release(struct http_call **call)
{
        call_free(*call);
}

void call_fail(struct http_call *call, enum fault_kind kind, int err, const char *sentence)
{
        if (call->has_failed)
                return;
        call->has_failed = true;
        fault_set(&call->why, kind, err, "%s", sentence);
}

const char *http_header(struct http_call *call, const char *name)
{
        struct curl_header *header;

        return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

void call_restart_idle(struct http_call *call)
{
        if (call->idle.repeat > 0 && !call->is_paused)
                ev_timer_again(call->loop, &call->idle);
}

/* --- called by libcurl --------------------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct http_call *call = arg;
        int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

        if (fd < 0)
                return CURL_SOCKET_BAD;
        if (tail_attach(&call->tail, fd) < 0) {
                close(fd);
                return CURL_SOCKET_BAD;
        }
        return fd;
}

static void header_has_come(struct http_call *call)
{
        if (call->on_header != NULL && call->status / 100 == 2)
                call->on_header(call->arg);
        if (!call->is_over)
                tail_start(&call->tail);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        size_t length = size * count;
        long status = 0;

        call->header_bytes += length;
        if (call->is_over || call->header_bytes > MAX_HEADER_BYTES)
                return 0;
        call_restart_idle(call);
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        call->status = (int)status;
        if (status >= 200 && length == 2 && memcmp(bytes, "\r\n", 2) == 0)
                header_has_come(call);
        return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        size_t length = size * count;

        if (call->is_over)
                return 0;
        if (call->on_data != NULL && call->status / 100 == 2) {
                if (call->is_paused)
                        return CURL_WRITEFUNC_PAUSE;
                call_restart_idle(call);
                call->on_data(call->arg, bytes, length);
                return length;
        }
        call_restart_idle(call);
        if (length > call->max_body_bytes - call->body.length) {
                call_fail(call, FAULT_ENGINE_UNAVAILABLE, EMSGSIZE, "the answer is larger than its limit");
                return 0;
        }
        if (buffer_append(&call->body, bytes, length) < 0) {
                call_fail(call, FAULT_ENGINE_UNAVAILABLE, ENOMEM, "out of memory for the answer");
                return 0;
        }
        return length;
}

static size_t on_upload(char *bytes, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        ssize_t n = pread(call->upload_fd, bytes, size * count, call->upload_offset);

        if (n < 0)
                return CURL_READFUNC_ABORT;
        call->upload_offset += n;
        return (size_t)n;
}

static int on_upload_seek(void *arg, curl_off_t offset, int origin)
{
        struct http_call *call = arg;

        if (origin != SEEK_SET)
                return CURL_SEEKFUNC_CANTSEEK;
        call->upload_offset = offset;
        return CURL_SEEKFUNC_OK;
}

/* --- requests ------------------------------------------------------------------------------------------------ */

/* A value of NULL removes a header that libcurl sends by default. */
static int add_header(struct http_call *call, const char *name, const char *value)
{
        struct buffer line = { 0 };
        struct curl_slist *longer = NULL;

        if (buffer_format(&line, "%s:%s%s", name, value != NULL ? " " : "", value != NULL ? value : "") == 0)
                longer = curl_slist_append(call->headers, line.data);
        buffer_free(&line);
        if (longer == NULL)
                return -ENOMEM;
        call->headers = longer;
        return 0;
}

static int set_upload(struct http_call *call, const struct http_request *request)
{
        struct stat file;
        int bad = 0;

        if (fstat(request->body_fd, &file) < 0 || !S_ISREG(file.st_mode) || request->body_length > 0)
                return -EINVAL;
        call->upload_fd = request->body_fd;
        bad |= curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
        bad |= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)file.st_size);
        bad |= curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, on_upload);
        bad |= curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
        bad |= curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, on_upload_seek);
        bad |= curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
        return bad != 0 ? -ENOMEM : 0;
}

static int set_method(struct http_call *call, const struct http_request *request)
{
        int bad = 0;

        if (request->body_fd > 0) {
                int r = set_upload(call, request);
                if (r < 0)
                        return r;
        } else if (request->body_length > 0 || str_equal(request->method, "POST")) {
                bad |= curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
                bad |= curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS,
                                        request->body_length > 0 ? request->body : "");
        } else if (str_equal(request->method, "HEAD")) {
                bad |= curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
        }
        if (!str_equal(request->method, "HEAD"))
                bad |= curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
        return bad != 0 ? -ENOMEM : 0;
}

static int set_target(struct http_call *call, const struct http_target *target, const char *path)
{
        struct buffer url = { 0 };
        int bad = -1;

        if (buffer_format(&url, "http://%s%s", target->authority, path) == 0)
                bad = (int)curl_easy_setopt(call->easy, CURLOPT_URL, url.data);
        buffer_free(&url);
        bad |= (int)curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, target->socket_path);
        bad |= (int)curl_easy_setopt(call->easy, CURLOPT_PATH_AS_IS, 1L);
        bad |= (int)curl_easy_setopt(call->easy, CURLOPT_PROXY, ""); /* ignores the environment's proxy */
        bad |= (int)curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        bad |= (int)curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
        return bad != 0 ? -ENOMEM : 0;
}

static int set_callbacks(struct http_call *call)
{
        CURL *easy = call->easy;
        int bad = 0;

        bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
        bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_says);
        bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
        bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
        bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
        if (call->on_data != NULL)
                bad |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)STREAM_READ_BYTES);
        if (!call->tail.is_wanted)
                return bad != 0 ? -ENOMEM : 0;
        bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        bad |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        return bad != 0 ? -ENOMEM : 0;
}

static int set_headers(struct http_call *call, const struct http_request *request)
{
        int r = add_header(call, "Expect", request->asks_first ? "100-continue" : NULL);

        if (r == 0)
                r = add_header(call, "Accept", request->accept);
        if (r == 0)
                r = add_header(call, "Content-Type", request->content_type);
        if (r == 0 && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) != CURLE_OK)
                r = -ENOMEM;
        return r;
}

/* Refuses characters that could begin a header line or end the request line. */
static bool is_token(const char *text)
{
        if (text == NULL || *text == '\0')
                return false;
        for (; *text != '\0'; text++)
                if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
                        return false;
        return true;
}

static bool is_header_value(const char *text)
{
        return text == NULL || text[strcspn(text, "\r\n")] == '\0';
}

static bool is_valid(const struct http_request *request)
{
        return is_token(request->method) && is_token(request->path) && request->path[0] == '/' &&
               is_header_value(request->content_type) && is_header_value(request->accept) && request->deadline_s >= 0 &&
               request->idle_deadline_s >= 0 && (request->body != NULL || request->body_length == 0);
}

int call_new(struct http_call **ret_call, struct ev_loop *loop, const struct http_target *target,
             const struct http_request *request)
{
        int r;

        if (!is_valid(request))
                return -EINVAL;
        AUTO(call_release) struct http_call *call = calloc(1, sizeof *call);
        if (call == NULL)
                return -ENOMEM;
        list_init(&call->node);
        list_init(&call->resuming_node);
        call->loop = loop;
        call->on_header = request->on_header;
        call->on_data = request->on_data;
        call->max_body_bytes = request->max_response_bytes > 0 ? request->max_response_bytes : DEFAULT_RESPONSE_BYTES;
        r = tail_init(&call->tail, loop, request->after_header, request->after_header_length,
                      request->is_hijacked || request->after_header_length > 0);
        if (r < 0)
                return r;
        call->easy = curl_easy_init();
        if (call->easy == NULL)
                return -ENOMEM;
        r = set_target(call, target, request->path);
        if (r == 0)
                r = set_callbacks(call);
        if (r == 0)
                r = set_method(call, request);
        if (r == 0)
                r = set_headers(call, request);
        if (r == 0)
                *ret_call = TAKE(call);
        return r;
}
