/* The answer of a buffered exec. Large outputs are encoded while they are sent, from the memory that holds them. */
#include "exec-answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base64.h"
#include "jobs.h"
#include "pieces.h"
#include "put.h"
#include "render.h"
#include "stream.h"
#include "utf8.h"

/* Outputs up to this size, taken together, are sent at once. Longer text becomes base64 where that is shorter. */
enum { WHOLE_BYTES = 64 << 10 };

enum part { PART_HEAD, PART_OUTPUT, PART_BETWEEN, PART_ERRORS, PART_TAIL, PARTS };

struct exec_answer {
        struct exec_outputs outputs; /* taken */
        const struct job *job;       /* or it keeps them; it may drop them, so they are looked up for each piece */
        char *frame[PARTS];          /* the text of the parts between the outputs */
        const char *bytes[PARTS];
        size_t lengths[PARTS];
        bool is_text;
        enum part part;
        size_t at;
};

static void release_answer(void *arg)
{
        struct exec_answer *answer = arg;

        exec_outputs_release(&answer->outputs);
        for (size_t i = 0; i < PARTS; i++)
                free(answer->frame[i]);
        free(answer);
}

static uint64_t base64_length(size_t length)
{
        return ((uint64_t)length + 2) / 3 * 4;
}

static uint64_t text_length(const struct exec_result *result)
{
        return (uint64_t)result->output_length + result->errors_length + result->n_escapes;
}

static uint64_t encoded_length(const struct exec_result *result, bool is_text)
{
        return is_text ? text_length(result)
                       : base64_length(result->output_length) + base64_length(result->errors_length);
}

/* The text of an object without its end (suffix is appended) or without its beginning. */
static char *cut_open(struct json *object, const char *suffix)
{
        struct buffer text = { 0 };
        char *printed = json_take(object);

        if (printed != NULL && suffix != NULL) {
                (void)buffer_append(&text, printed, strlen(printed) - 1);
                (void)buffer_text(&text, suffix);
        } else if (printed != NULL) {
                (void)buffer_text(&text, "\",");
                (void)buffer_text(&text, printed + 1);
        } else {
                text.has_failed = true;
        }
        free(printed);
        return buffer_take(&text);
}

static int frame_answer(struct exec_answer *answer, const struct exec_result *result)
{
        struct json *head = json_object(), *tail = json_object();

        render_exec_end(&head, result);
        render_exec_streams(&tail, result, answer->is_text);
        answer->frame[PART_HEAD] = cut_open(head, ",\"stdout\":\"");
        answer->frame[PART_BETWEEN] = strdup("\",\"stderr\":\"");
        answer->frame[PART_TAIL] = cut_open(tail, NULL);
        for (enum part part = PART_HEAD; part < PARTS; part += 2) {
                if (answer->frame[part] == NULL)
                        return -ENOMEM;
                answer->bytes[part] = answer->frame[part];
                answer->lengths[part] = strlen(answer->frame[part]);
        }
        return 0;
}

/* false: the job has dropped the outputs. */
static bool look_at_job(struct exec_answer *answer)
{
        struct job_view view;

        if (answer->job == NULL)
                return true;
        job_view(answer->job, &view);
        if (view.result == NULL || view.result->output_length != answer->lengths[PART_OUTPUT] ||
            view.result->errors_length != answer->lengths[PART_ERRORS])
                return false;
        answer->bytes[PART_OUTPUT] = view.result->output;
        answer->bytes[PART_ERRORS] = view.result->errors;
        return true;
}

/* Encodes as much of the part as fits, and moves on. */
static size_t encode(struct exec_answer *answer, char *target, size_t size)
{
        const char *bytes = answer->bytes[answer->part] + answer->at;
        size_t left = answer->lengths[answer->part] - answer->at;
        size_t taken, written;

        if (answer->frame[answer->part] != NULL) {
                taken = written = left < size ? left : size;
                memcpy(target, bytes, taken);
        } else if (answer->is_text) {
                written = json_escape(target, size, bytes, left, &taken);
        } else {
                taken = left < size / 4 * 3 ? left : size / 4 * 3;
                written = base64_encode_to(target, bytes, taken);
        }
        answer->at += taken;
        return written;
}

static int add_piece(void *arg, struct buffer *text)
{
        struct exec_answer *answer = arg;
        char piece[PIECE_TEXT_BYTES];
        size_t n = 0;

        if (!look_at_job(answer))
                return -ESTALE;
        while (answer->part < PARTS && sizeof piece - n >= JSON_ESCAPE_MAX) {
                n += encode(answer, piece + n, sizeof piece - n);
                if (answer->at < answer->lengths[answer->part])
                        break;
                answer->part++;
                answer->at = 0;
        }
        (void)buffer_append(text, piece, n);
        return answer->part < PARTS;
}

static void answer_large(struct request *request, const struct exec_result *result, const struct job *job)
{
        struct exec_answer *answer = calloc(1, sizeof *answer);
        int64_t size;

        if (answer == NULL) {
                answer_no_memory(request);
                return;
        }
        answer->is_text = result->is_text && encoded_length(result, true) <= encoded_length(result, false);
        answer->job = exec_result_take(result, &answer->outputs) ? NULL : job;
        answer->bytes[PART_OUTPUT] = result->output;
        answer->bytes[PART_ERRORS] = result->errors;
        answer->lengths[PART_OUTPUT] = result->output_length;
        answer->lengths[PART_ERRORS] = result->errors_length;
        size = (int64_t)encoded_length(result, answer->is_text);
        if (frame_answer(answer, result) < 0) {
                release_answer(answer);
                answer_no_memory(request);
                return;
        }
        for (enum part part = PART_HEAD; part < PARTS; part += 2)
                size += (int64_t)answer->lengths[part];
        if (answer_pieces(request, size, &(struct pieces){ add_piece, release_answer, answer }) < 0)
                answer_no_memory(request);
}

void answer_exec_result(struct request *request, const struct exec_result *result, const struct job *job)
{
        if (result->output_length + result->errors_length > WHOLE_BYTES)
                answer_large(request, result, job);
        else
                answer_json(request, HTTP_OK, render_exec_result(result));
}
