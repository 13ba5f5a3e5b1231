/* Answers that are made while they are sent, one piece in a turn of the loop. So a long answer delays nobody and is
 * never in memory as a whole. A client that reads nothing for idle_deadline_s is cut. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct json;

struct pieces {
        /* Adds the next piece, about 64 KiB or some dozens of items. Returns 1, 0 when it was the last, or a negative
         * errno, and then the client is cut. A piece may be empty where JSON may have a space, and size is not
         * known. */
        int (*add)(void *arg, struct buffer *text);
        void (*release)(void *arg);
        void *arg; /* release gets it when the request ends */
};

enum { PIECE_TEXT_BYTES = 64 << 10, PIECE_ITEMS = 64 };

/* Answers 200 with JSON. An answer of one piece goes as a whole. size: bytes of all pieces, or ANSWER_SIZE_UNKNOWN.
 * Takes pieces->arg, also on failure. 0, -ENOMEM or the error of the first piece; after an error the caller must answer
 * the request. */
__attribute__((warn_unused_result)) int answer_pieces(struct request *request, int64_t size,
                                                      const struct pieces *pieces);

/* The text of one object with a long array in it, piece by piece. Errors are in text->has_failed. */
struct piece_list {
        bool has_begun, has_items;
};
/* The members before the array, and the array's beginning. Takes head, an object. */
void piece_list_begin(struct piece_list *list, struct buffer *text, struct json *head, const char *name);
/* Takes item; NULL is an error. */
void piece_list_add(struct piece_list *list, struct buffer *text, struct json *item);
/* The array's end, and the members after it. Takes tail, an object. */
void piece_list_end(struct buffer *text, struct json *tail);
