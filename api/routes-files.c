#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "file-work.h"
#include "handlers.h"
#include "pieces.h"
#include "put.h"
#include "routes.h"
#include "spool.h"
#include "stream.h"

/* A removal moves no bytes; it reports its progress from time to time. */
static const double REMOVAL_PATIENCE_S = 60;
enum { LISTING_MAX_BYTES = 4 << 20, FILE_STREAM_MAX_BYTES = 8 << 20 };

static void set_number(char text[static 24], int64_t number)
{
        (void)snprintf(text, 24, "%" PRId64, number);
}

/* Reads path and query. false: the fault has been answered. */
static bool read_request(struct file_work *work)
{
        struct request *request = work->request;
        struct fault why;

        if (file_query_parse(request->query, request->route->query, &work->query, &why) == 0 &&
            (request->rest == NULL || file_path_decode(request->rest, work->path, &why) == 0))
                return true;
        answer_fault(request, &why);
        return false;
}

/* ---- bytes to the client ---- */

static void on_drained(void *arg)
{
        file_work_pause(arg, false);
}

static bool open_stream(struct file_work *work)
{
        if (stream_new(&work->request->stream, work->request, FILE_STREAM_MAX_BYTES, on_drained, work) == 0)
                return true;
        answer_no_memory(work->request);
        return false;
}

static void push(struct file_work *work, const char *bytes, size_t length)
{
        struct fault why;

        if (work->request->stream == NULL)
                return;
        if (stream_push_bytes(work->request->stream, bytes, length) < 0) {
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "carreld is out of memory");
                file_work_fail(work, &why);
        } else if (stream_is_full(work->request->stream)) {
                file_work_pause(work, true);
        }
}

/* ---- GET files ---- */

enum { FILE_SIZE, FILE_MODE, FILE_MTIME, FILE_FIRST, FILE_LENGTH };

static void format_mtime(char ret_text[static 48], int64_t seconds)
{
        time_t mtime = (time_t)seconds;
        struct tm utc;

        if (gmtime_r(&mtime, &utc) == NULL || strftime(ret_text, 48, "%a, %d %b %Y %H:%M:%S GMT", &utc) == 0)
                ret_text[0] = '\0';
}

static void answer_file(struct file_work *work)
{
        const int64_t *numbers = work->answer.numbers;
        char mode[8], mtime[48], range[96];
        struct answer_header headers[] = {
                { "Content-Type", "application/octet-stream" },
                { "Accept-Ranges", "bytes" },
                { "Carrel-File-Mode", mode },
                { NULL, NULL },
                { NULL, NULL },
                { NULL, NULL },
        };
        size_t n = 3;

        /* The mode comes as octal digits and has been read as a decimal number. */
        (void)snprintf(mode, sizeof mode, "%04d", (int)(numbers[FILE_MODE] % 10000));
        format_mtime(mtime, numbers[FILE_MTIME]);
        if (mtime[0] != '\0')
                headers[n++] = (struct answer_header){ "Last-Modified", mtime };
        (void)snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, numbers[FILE_FIRST],
                       numbers[FILE_FIRST] + numbers[FILE_LENGTH] - 1, numbers[FILE_SIZE]);
        if (work->is_ranged)
                headers[n] = (struct answer_header){ "Content-Range", range };
        answer_stream(work->request, work->is_ranged ? HTTP_PARTIAL_CONTENT : HTTP_OK, work->left, headers);
}

/* Whether the part lies inside the file, as the headers will say. */
static bool is_part(const int64_t *numbers)
{
        return numbers[FILE_FIRST] <= numbers[FILE_SIZE] &&
               numbers[FILE_LENGTH] <= numbers[FILE_SIZE] - numbers[FILE_FIRST];
}

/* RFC 9110, section 15.5.17: the answer has the length of the file. */
static void refuse_range(struct request *request, int64_t size)
{
        char text[32];
        const struct answer_header header = { "Content-Range", text };
        struct fault why;

        (void)snprintf(text, sizeof text, "bytes */%" PRId64, size);
        (void)fault_set(&why, FAULT_REQUEST_INVALID, ERANGE, "the file has only %" PRId64 " bytes", size);
        answer_fault_as(request, HTTP_RANGE_NOT_SATISFIABLE, &why, &header);
}

static void on_file(struct file_work *work, const struct file_answer *answer)
{
        struct request *request = work->request;
        struct fault why;

        if (answer->kind == FILE_OK && !is_part(answer->numbers)) {
                (void)fault_set(&why, FAULT_FILE_REFUSED, EPROTO,
                                "the answer from inside the carrel does not describe a part of a file");
                file_work_fail(work, &why);
                return;
        }
        if (answer->kind == FILE_RANGE) {
                refuse_range(request, answer->numbers[FILE_SIZE]);
                return;
        }
        work->left = answer->numbers[FILE_LENGTH];
        work->is_ranged = work->is_ranged && work->left > 0; /* an empty file has no part */
        if (open_stream(work))
                answer_file(work);
}

/* No more than the announced length can be sent. */
static void on_file_bytes(struct file_work *work, const char *bytes, size_t length)
{
        if ((int64_t)length > work->left)
                length = (size_t)work->left;
        work->left -= (int64_t)length;
        if (length > 0)
                push(work, bytes, length);
}

static void end_stream(struct file_work *work, bool is_whole)
{
        if (work->request->stream == NULL)
                return;
        if (is_whole)
                stream_end(work->request->stream);
        else
                stream_break(work->request->stream);
}

static void on_file_end(struct file_work *work, bool is_success)
{
        end_stream(work, is_success && work->left == 0);
}

/* ---- GET files, as a list ---- */

static void on_listing(struct file_work *work, const struct file_answer *answer)
{
        (void)work, (void)answer;
}

static void fail_listing(struct file_work *work)
{
        struct fault why;

        (void)fault_set(&why, FAULT_FILE_REFUSED, EPROTO, "the list that came from inside the carrel is malformed");
        file_work_fail(work, &why);
}

static size_t count_records(const char *bytes, size_t length)
{
        const char *end = bytes + length;
        size_t n = 0;

        for (const char *at = bytes; (at = memchr(at, '\0', (size_t)(end - at))) != NULL; at++)
                n++;
        return n;
}

/* carrel-init stops at the same number of entries, and that many fit even with the longest names. */
static void on_listing_bytes(struct file_work *work, const char *bytes, size_t length)
{
        work->n_entries += count_records(bytes, length);
        if (work->n_entries > FILE_LIST_MAX_ENTRIES || work->listing.length + length > LISTING_MAX_BYTES)
                fail_listing(work);
        else
                (void)buffer_append(&work->listing, bytes, length);
}

static int add_entries(void *arg, struct buffer *text)
{
        struct file_work *work = arg;
        const char *end = work->listing.data + work->listing.length;
        int problem = 0;

        if (work->next_record == NULL) {
                struct json *head = json_object();

                put_text(&head, "path", work->path);
                put_bool(&head, "truncated", work->n_entries >= FILE_LIST_MAX_ENTRIES);
                piece_list_begin(&work->list, text, head, "entries");
                work->next_record = work->listing.data;
        }
        for (unsigned i = 0; i < PIECE_ITEMS && work->next_record < end; i++) {
                struct json *entry = file_list_next(&work->next_record, end, &problem);

                if (entry == NULL)
                        return problem;
                piece_list_add(&work->list, text, entry);
        }
        if (work->next_record < end)
                return 1;
        piece_list_end(text, json_object());
        return 0;
}

static void keep_work(void *arg)
{
        (void)arg; /* the request owns it */
}

static void on_listing_end(struct file_work *work, bool is_success)
{
        const struct pieces pieces = { add_entries, keep_work, work };
        int r = -EPROTO;

        if (is_success && buffer_append(&work->listing, "", 0) == 0 && !work->listing.has_failed)
                r = answer_pieces(work->request, ANSWER_SIZE_UNKNOWN, &pieces);
        if (r == -EPROTO)
                fail_listing(work);
        else if (r < 0)
                answer_no_memory(work->request);
}

void handle_file_get(struct request *request)
{
        static const struct file_operation GET = { .on_ok = on_file, .on_bytes = on_file_bytes, .on_end = on_file_end };
        static const struct file_operation LIST = { .on_ok = on_listing,
                                                    .on_bytes = on_listing_bytes,
                                                    .on_end = on_listing_end };
        struct file_work *work = file_work_new(request, &GET);
        const char *range = request_header(request, "Range");
        int64_t first = 0, last = -1;

        if (work == NULL || !read_request(work))
                return;
        work->is_ranged = file_range_parse(range, &first, &last);
        set_number(work->numbers[0], first);
        set_number(work->numbers[1], last);
        if (work->query.is_listing) {
                work->operation = &LIST;
                memcpy(work->arguments, (const char *[]){ "list", work->path }, 2 * sizeof(char *));
        } else {
                memcpy(work->arguments, (const char *[]){ "get", work->path, work->numbers[0], work->numbers[1] },
                       4 * sizeof(char *));
        }
        file_work_begin(work);
}

/* ---- PUT and DELETE files ---- */

static void on_changed(struct file_work *work, const struct file_answer *answer)
{
        struct json *object = json_object();

        (void)answer;
        put_text(&object, "path", work->path);
        if (work->request->spool != NULL)
                put_number(&object, "size", (double)work->request->spool->length);
        answer_json(work->request, HTTP_OK, object);
}

void handle_file_put(struct request *request)
{
        static const struct file_operation PUT = { .on_ok = on_changed, .has_body = true };
        struct file_work *work = file_work_new(request, &PUT);

        if (work == NULL || !read_request(work))
                return;
        set_number(work->numbers[0], request->spool == NULL ? 0 : (int64_t)request->spool->length);
        set_number(work->numbers[1], work->query.mode);
        set_number(work->numbers[2], work->query.is_making_parents);
        memcpy(work->arguments,
               (const char *[]){ "put", work->path, work->numbers[0], work->numbers[1], work->numbers[2] },
               5 * sizeof(char *));
        file_work_begin(work);
}

void handle_file_remove(struct request *request)
{
        static const struct file_operation REMOVE = { .on_ok = on_changed, .patience_s = REMOVAL_PATIENCE_S };
        struct file_work *work = file_work_new(request, &REMOVE);

        if (work == NULL || !read_request(work))
                return;
        memcpy(work->arguments, (const char *[]){ "remove", work->path, work->query.is_recursive ? "1" : "0" },
               3 * sizeof(char *));
        file_work_begin(work);
}

/* ---- archives ---- */

static void on_archive(struct file_work *work, const struct file_answer *answer)
{
        static const struct answer_header HEADERS[] = { { "Content-Type", "application/x-tar" }, { 0 } };

        (void)answer;
        if (open_stream(work))
                answer_stream(work->request, HTTP_OK, ANSWER_SIZE_UNKNOWN, HEADERS);
}

static bool read_archive_request(struct file_work *work)
{
        if (!read_request(work))
                return false;
        (void)snprintf(work->path, sizeof work->path, "%s", work->query.path[0] == '\0' ? "." : work->query.path);
        return true;
}

void handle_archive_get(struct request *request)
{
        static const struct file_operation PACK = { .on_ok = on_archive, .on_bytes = push, .on_end = end_stream };
        struct file_work *work = file_work_new(request, &PACK);

        if (work == NULL || !read_archive_request(work))
                return;
        memcpy(work->arguments, (const char *[]){ "pack", work->path }, 2 * sizeof(char *));
        file_work_begin(work);
}

static void on_unpacked(struct file_work *work, const struct file_answer *answer)
{
        struct json *object = json_object();

        put_text(&object, "path", work->path);
        put_number(&object, "entries", (double)answer->numbers[0]);
        answer_json(work->request, HTTP_OK, object);
}

void handle_archive_put(struct request *request)
{
        static const struct file_operation UNPACK = { .on_ok = on_unpacked, .has_body = true };
        struct file_work *work = file_work_new(request, &UNPACK);

        if (work == NULL || !read_archive_request(work))
                return;
        memcpy(work->arguments, (const char *[]){ "unpack", work->path }, 2 * sizeof(char *));
        file_work_begin(work);
}
