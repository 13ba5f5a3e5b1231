/* An intrusive circular doubly linked list: no allocation, O(1) insert and remove.
 * A node that is in no list points at itself, so list_remove is idempotent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
        struct list *next;
        struct list *previous;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* `at` is the current node, which may be removed inside the loop.
 * NOLINTBEGIN(bugprone-macro-parentheses): a name that is being declared cannot stand in parentheses. */
#define LIST_EACH(head, at)                                                                                            \
        for (struct list *at = (head)->next, *at##_next = at->next; at != (head); at = at##_next, at##_next = at->next)
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *node)
{
        node->next = node->previous = node;
}

static inline bool list_is_empty(const struct list *head)
{
        return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
        node->previous = head->previous;
        node->next = head;
        head->previous->next = node;
        head->previous = node;
}

static inline void list_remove(struct list *node)
{
        node->previous->next = node->next;
        node->next->previous = node->previous;
        list_init(node);
}

/* The first node, removed from the list; NULL when the list is empty. */
static inline struct list *list_pop(struct list *head)
{
        struct list *first = head->next;

        if (first == head)
                return NULL;
        list_remove(first);
        return first;
}

/* Moves every node of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *from, struct list *to)
{
        for (struct list *node = list_pop(from); node != NULL; node = list_pop(from))
                list_append(to, node);
}
