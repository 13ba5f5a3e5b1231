/* The synchronous face of carreld's API: the http room's client on a private event loop that runs inside each call. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

struct api_client;

/* The exit statuses of carrel(1). */
enum cli_status {
        STATUS_OK = 0,
        STATUS_FAILED = 1,      /* carreld answered, and its answer was a failure; or nothing could be written */
        STATUS_USAGE = 2,       /* the command line */
        STATUS_UNREACHABLE = 3, /* carreld does not answer */
        STATUS_EXEC_FAILED = 125
};

/* Why a call failed. */
struct api_error {
        enum cli_status status;
        int http_status;   /* 0: no answer came */
        int signal;        /* the call was ended by this signal to us; else 0 */
        bool is_abandoned; /* a stream was ended by its own on_line */
        bool is_retryable;
        char code[64];     /* the API's, "" when no answer came */
        char message[512]; /* a sentence, as it came: clean it before it is shown */
};

/* Nothing is connected yet. socket_path is borrowed; deadline_s is that of each api_call. Returns 0, -ENOMEM or
 * another errno. */
__attribute__((warn_unused_result)) int api_client_new(struct api_client **ret_client, const char *socket_path,
                                                       double deadline_s);
/* From now on a signal that comes to interrupt_fd (of interrupt_open) ends each call, with -EINTR and error->signal;
 * -1: none does. */
void api_client_heed(struct api_client *client, int interrupt_fd);
struct api_client *api_client_free(struct api_client *client);

/* One call. path is escaped already (api-path.h); body may be NULL. Returns 0 with the 2xx answer's JSON
 * (an empty body is an empty object; free it with cJSON_Delete), or a negative errno with *ret_error filled. */
int api_call(struct api_client *client, const char *method, const char *path, const cJSON *body, cJSON **ret_answer,
             struct api_error *ret_error);

/* Bytes of an answer as they come. A negative answer ends the call. */
typedef int (*api_on_bytes)(void *arg, const void *bytes, size_t length);

/* GET of something that is no JSON. The same failures; what on_bytes answered is passed on. */
int api_receive(struct api_client *client, const char *path, api_on_bytes on_bytes, void *arg,
                struct api_error *ret_error);
/* PUT or POST of the whole of a regular file, from its beginning. fd is borrowed, and not 0. */
int api_send_file(struct api_client *client, const char *method, const char *path, int fd, cJSON **ret_answer,
                  struct api_error *ret_error);

/* A line of an NDJSON stream. A negative answer ends the stream at once: the connection is closed. */
typedef int (*api_on_line)(void *arg, const cJSON *line);

/* A signal has come: 0 lets the stream go on, a negative answer ends it. */
typedef int (*api_on_interrupt)(void *arg, int signal);

struct api_stream_request {
        const char *method, *path;
        const cJSON *body; /* may be NULL */
        int interrupt_fd;  /* of interrupt_open, or -1: a signal there ends the stream */
        api_on_line on_line;
        /* Output may come as it is, and on_line is then called with carreld's report only; NULL: NDJSON it must be. */
        int (*on_output)(void *arg, int stream, const void *bytes, size_t length);
        void (*on_exec_id)(void *arg, const char *exec_id); /* with on_output: the id that the answer's header has */
        api_on_interrupt on_interrupt;                      /* NULL: any signal ends the stream */
        void *arg;
};

/* Returns 0 when the stream ended by itself, at a line's end. On failure *ret_error says which of the many ends. */
int api_stream(struct api_client *client, const struct api_stream_request *request, struct api_error *ret_error);

/* Lets `seconds` pass. */
void api_client_wait(struct api_client *client, double seconds);
