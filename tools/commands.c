/* commands.c - the commands of `leat`, in the order of its help. */
#include "common.h"

#include <string.h>

const struct command *const commands[] = {
    &command_ls,
    &command_info,
    &command_top,
    &command_send,
    &command_recv,
    &command_create,
    &command_read,
    &command_write,
    &command_grow,
    &command_map_into,
    &command_rm,
    &command_gc,
    &command_run,
    &command_wait,
    &command_set,
    &command_reset,
    &command_pulse,
    &command_release,
    &command_demo,
    &command_bench,
    &command_demo_producer,
    NULL,
};

const struct command *command_named(const char *name) {
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}
