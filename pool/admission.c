#include "admission.h"

enum { RETRY_MAX_S = 30 };

void admission_init(struct admission *admission, unsigned max_starts, unsigned max_queued)
{
        *admission = (struct admission){ .max_starts = max_starts, .max_queued = max_queued };
        list_init(&admission->queue);
}

/* A new request never overtakes the queue. */
enum admission_answer admission_peek(const struct admission *admission)
{
        if (admission->n_queued == 0 && admission->in_flight < admission->max_starts)
                return ADMISSION_GRANTED;
        return admission->n_queued < admission->max_queued ? ADMISSION_QUEUED : ADMISSION_REFUSED;
}

enum admission_answer admission_request(struct admission *admission, struct list *node)
{
        enum admission_answer answer = admission_peek(admission);

        if (answer == ADMISSION_GRANTED)
                admission->in_flight++;
        if (answer == ADMISSION_QUEUED) {
                list_append(&admission->queue, node);
                admission->n_queued++;
        }
        return answer;
}

struct list *admission_next(struct admission *admission)
{
        if (admission->n_queued == 0 || admission->in_flight >= admission->max_starts)
                return NULL;
        admission->n_queued--;
        admission->in_flight++;
        return list_pop(&admission->queue);
}

void admission_release(struct admission *admission)
{
        admission->in_flight--;
}

void admission_withdraw(struct admission *admission, struct list *node)
{
        list_remove(node);
        admission->n_queued--;
}

unsigned admission_retry_after_s(const struct admission *admission)
{
        unsigned rounds = 1 + admission->n_queued / admission->max_starts;

        return rounds < RETRY_MAX_S ? rounds : RETRY_MAX_S;
}
