/* sending.h - what the two files of `leat send` share: cmd_send.c (arguments, input to messages)
 * and send_receiver.c (the receiver: whether it is there, what if it goes). */
#ifndef LEAT_TOOLS_SENDING_H
#define LEAT_TOOLS_SENDING_H

#include "common.h"
#include "figures.h"
#include "framing.h"

struct sending {
    struct target target;
    leat_channel_options options;
    enum framing_mode mode;
    uint64_t frame_size;
    uint64_t wait_ns;
    bool has_wait, follow, keep, lines, json;

    leat_sender *sender;
    struct framing framing;
    struct progress progress;
    uint64_t messages, bytes; /* sent by this command */
    uint64_t unsent_bytes;    /* cut into messages and not sent */
    uint64_t start_ns, next_poll_ns;
};

/* The functions below give END_OK to go on, or how the command ends (then all is reported). */

/* Opens the channel, and waits for the receiver as the options ask. */
int sending_open(struct sending *sending);

/* What a sender's call that can wait gave, other than LEAT_OK. END_OK: call again. */
int sending_on_event(struct sending *sending, int code);

/* While there is room, a sender gets no event when its receiver goes. So that a slow input does not
 * fill the ring without a receiver (a pipe would not either), this polls ten times a second. */
int sending_poll(struct sending *sending);

/* The capacity that a channel needs for messages of this size; 0 when no channel takes them. */
uint64_t sending_capacity_for(uint64_t message);

#endif
