/* The steps that bring a user's files into a container that runs already: all of CLAIM's, and those of an ENSURE whose
 * user has an image of his own. Without an image the latter do nothing. Their subject is a struct task. */
#pragma once

#include "flow.h"

struct task;

/* Has carrel-diskd mount the user's image, which it makes if the user has none. The undo, step_drop_disk, lets it go.
 */
enum flow_verdict step_disk(struct flow *flow, void *subject);
enum flow_verdict step_drop_disk(struct flow *flow, void *subject);
/* Has carrel-mountd attach that image. */
enum flow_verdict step_attach_disk(struct flow *flow, void *subject);
/* Reads from the kernel that it is the user's, nosuid and nodev, and has the right owner. */
enum flow_verdict step_prove_disk(struct flow *flow, void *subject);

/* Has carrel-mountd attach the user's directory or image, and resumes the task. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int user_mount_attach(struct task *task, struct fault *why);
/* step_prove_disk, also for a directory. */
enum flow_verdict user_mount_prove(const struct task *task, struct fault *why);
