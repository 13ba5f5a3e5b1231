/* Answers that are made while they are sent: a piece a turn of the loop, so that a long one keeps nobody waiting and is
 * never whole in memory. A client that takes none of it for idle_deadline_s is cut. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct cJSON;

struct pieces {
        /* Adds the next piece, some 64 KiB or some dozens of items: 1, 0 when it was the last, or negative when it
         * cannot be made: the client is cut then. A piece may be empty where JSON may have a space, and size is not
         * known. */
        int (*add)(void *arg, struct buffer *text);
        void (*release)(void *arg);
        void *arg; /* given to release with the request's end */
};

enum { PIECE_TEXT_BYTES = 64 << 10, PIECE_ITEMS = 64 };

/* Answers 200 with JSON. A text that ends with its first piece is sent whole. size: of all of it; below 0: not known.
 * In any case arg is taken. 0, or what the first piece failed with, or -ENOMEM: then the request is yet to be answered.
 */
__attribute__((warn_unused_result)) int answer_pieces(struct request *request, int64_t size,
                                                      const struct pieces *pieces);

/* The text of one object with a long array in it, from its pieces. A failure is in text->has_failed. */
struct piece_list {
        bool has_items;
};
/* The members in front, and the array's beginning; takes head, an object. */
void piece_list_begin(struct piece_list *list, struct buffer *text, struct cJSON *head, const char *name);
/* Takes item; NULL is a failure. */
void piece_list_add(struct piece_list *list, struct buffer *text, struct cJSON *item);
/* The array's end, and the members after it; takes tail, an object. */
void piece_list_end(struct buffer *text, struct cJSON *tail);
