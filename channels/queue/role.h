/* channels/queue/role.h - what a sender and a receiver have in common: a place in a channel, a way
 * to wait, and a peer.
 *
 * Waiting is the loop of lib/wake/wait.h. A role sleeps on the *peer's* wake count, which only the
 * peer changes, so that every shared word has one writer:
 *
 *     waiter                                        the other side, after publishing
 *       count = peer's wake count
 *       own waiting = new ticket
 *       full fence               [S1] pairs [S2]    full fence
 *       poll the ring; ready? stop                  ticket = peer's waiting; 0, or woken? done
 *       sleep while peer's wake count == count      own wake count + 1; wake; note the ticket
 *
 * Nothing is done for a side that is awake, and a sleep is ended once.
 *
 * A sender that has sent a good deal without having to wake is *hot*: its page says so [S4], and it
 * leaves the full fence out, which would cost as much as all the rest. Then the waiter makes it
 * execute one, wherever it is just now, with a system call [S3]. Having found the waiter, the
 * sender cools down. So a fence is paid for once for each sleep, by the side that has nothing else
 * to do. Where the system call fails, the sleep is of a first slice.
 *
 * A peer is dead when the kernel has dropped the lock on its role, and for no other reason: one
 * that is stopped keeps it. The kernel is asked about that once in 50 ms, however a role waits.
 * Where the kernel does not answer, nothing is reported, and it is asked again within a slice. What
 * exactly is asked: channels/queue/presence.h.
 *
 * A role that waits in an event loop arms in the same way, with a third kind of ticket;
 * channels/waitset/waitset.h.
 *
 * The first slice, of 50 ms, is slept on the wake count, with a futex. After one in vain the role
 * sleeps on a *watch* (lib/os/os.h), which the kernel itself wakes when the peer dies, and the
 * slices grow to a minute: an idle side soon does nothing at all. The top bit of the ticket tells
 * the peer to touch the file instead of waking the futex. The watch is cleared before the
 * announcement, so that a touch between the poll and the sleep ends the sleep at once. The kernel
 * wakes the watch shortly *before* it drops a dead peer's lock: so a notice only starts the slices
 * from 50 ms again. Where no watch can be had, all slices are of 50 ms. Model:
 * tests/model/watch.pml.
 */
#ifndef LEAT_CHANNELS_QUEUE_ROLE_H
#define LEAT_CHANNELS_QUEUE_ROLE_H

#include "channels/queue/wire.h"
#include "leat/channel.h"
#include "lib/object/object.h"
#include "lib/wake/wait.h"

/* What has been counted since the last flush into the role's page, besides the lane's messages and
 * bytes. */
struct leat__tally {
    uint64_t stalls, sleeps, wake_calls, wakes, wake_ns;
};

struct leat__role {
    struct leat__object object; /* first: the object layer knows it */
    const struct leat__role_kind *kind;
    struct leat__watch watch; /* on when it has slept for long */
    struct leat__ring_memory memory;
    leat_lane *lane; /* of the same handle */
    /* the peer's is mapped read-only where pages are 4096 bytes */
    struct leat__role_page *own, *peer;
    const leat__u32 *wake_count; /* the peer's, to sleep on; NULL before the first sleep */
    struct leat__resource again; /* the page that it is in, mapped once more */
    bool unanswered; /* the kernel did not say whether the peer lives when it was asked last */
    bool interruptible;
    bool stays_awake; /* never sleeps: LEAT_SPIN_FOREVER, LEAT_SPIN_YIELD */
    bool yields;      /* the latter */
    /* sleeps are announced; false for one of many senders that does not have the lock: it only
     * polls often */
    bool arms;
    struct leat__spin spin;
    /* of the present wait: what for; its slice, 0: none yet; and of its last sleep: the peer's
     * wake count, and whether a hot peer could be made to execute its fence */
    const struct leat__role_wait *wait;
    uint64_t slice_ns;
    uint32_t slept_on;
    bool reached;
    bool closed;            /* the watch reported that a process let go of the object */
    uint64_t next_probe_ns; /* when to ask the kernel about the peer again; 0: it was never asked */
    /* what else to undo when a thread is cancelled while it waits; or NULL */
    void (*leave)(struct leat__role *role);
    leat_peer peer_state; /* as last reported to the caller */
    uint32_t peer_seen;   /* the peer's `opened` that this speaks of */
    struct leat__tally tally;
};

/* What a call waits for. */
struct leat__role_wait {
    bool (*ready)(struct leat__role *role); /* is it there? Cheap: called in a spin */
    bool reports; /* whether the caller is told when the peer comes or goes meanwhile */
    int (*check)(struct leat__role *role); /* NULL, or asked with the news, when it is not ready:
                                               an error that ends the wait, or LEAT_OK */
};

/* What distinguishes the two roles when they come. */
struct leat__role_kind {
    bool sends;
    /* locks what is this side's alone: side->object.place. The channel is mapped */
    int (*take_place)(struct leat__role *role);
    int (*attach)(struct leat__role *role); /* takes the role */
};

/* Opens or creates the channel (options may be NULL), maps it, and takes the role. On failure
 * nothing is left and the channel's name is in the detail. */
int leat__role_open(struct leat__role *role, leat_lane *lane, const char *name,
                    const leat_channel_options *options, const struct leat__role_kind *kind);

/* Unmaps and leaves. */
void leat__role_close(struct leat__role *role);

/* Waits until `ready`, with events in between. LEAT_OK, LEAT_EAGAIN, LEAT_ETIMEDOUT, LEAT_EINTR, or
 * the event. */
int leat__role_wait(struct leat__role *role, const struct leat__role_wait *wait,
                    uint64_t deadline_ns);

/* What a thread does last that is cancelled while it waits. context: its side. */
void leat__role_leave_wait(void *context);

/* Where a call waits and nothing is announced: the thread may be cancelled here, and leaves nothing
 * behind. */
void leat__role_cancellation_point(struct leat__role *role);

/* Rings for the sleep with this ticket, unless that has been done. */
void leat__role_wake_for(struct leat__role *role, uint32_t ticket);

/* Wakes the peer if it sleeps. After what it waits for was published. */
static inline void leat__role_wake(struct leat__role *role) {
    leat__fence_full(); /* [S2] what was published before the look */
    uint32_t ticket = leat__load_relaxed32(&role->peer->waiting);
    if (__builtin_expect(ticket != 0, 0))
        leat__role_wake_for(role, ticket);
}

/* The same, but not if it waits for news only. */
static inline void leat__role_wake_for_room(struct leat__role *role) {
    leat__fence_full(); /* [S2] */
    uint32_t ticket = leat__load_relaxed32(&role->peer->waiting);
    if (__builtin_expect(ticket != 0 && (ticket & LEAT__EVENTS_ONLY) == 0, 0))
        leat__role_wake_for(role, ticket);
}

/* Has all senders that wait in event loops look again, this one too. */
void leat__role_touch_senders(struct leat__role *role);

/* Announces that this side sleeps; `how`: 0 (on the wake count), LEAT__WATCHES, or that and
 * LEAT__LOOPS, or all three flags. Then a full fence, here and in a hot peer. False: not in the
 * peer, and a short sleep has to make up for it. */
bool leat__role_arm(struct leat__role *role, uint32_t how);

/* A wait in an event loop that began at began_ns is over; its sleep began at slept_ns, 0: it had
 * none. Adapts the next spin. */
void leat__role_learn(struct leat__role *role, uint64_t began_ns, uint64_t slept_ns);

/* --- For the waiting of others --- */

/* When what was waited for came, in a sleep between these two: when the peer woke this side, or at
 * the end. */
uint64_t leat__role_came_between(const struct leat__role *role, uint64_t slept_ns,
                                 uint64_t awake_ns);

/* Awake again. */
void leat__role_disarm(struct leat__role *role);

/* Counts that the peer ended an announced sleep between these two, unless it cannot have rung when
 * it says it did. */
void leat__role_count_wake(struct leat__role *role, uint64_t slept_ns, uint64_t awake_ns);

/* News of the peer, if the wait is one that is told: once each. Not waiting. */
int leat__role_report_event(struct leat__role *role, const struct leat__role_wait *wait);

/* The same for callers that poll and never wait: the kernel is asked once in a slice. */
int leat__role_event_for_poller(struct leat__role *role, const struct leat__role_wait *wait);

/* The same for a wait that goes on: the kernel is asked once in a slice, and when the call is about
 * to give up. */
int leat__role_event_in_time(struct leat__role *role, const struct leat__role_wait *wait,
                             uint64_t now_ns, bool gives_up);

/* Whether the peer's page shows that it came, or left in order. A death only the kernel knows. */
bool leat__role_page_has_event(const struct leat__role *role);

/* Whether a call that waits would be told something about the peer. Asks the kernel;
 * side->unanswered: in vain. */
bool leat__role_has_event(struct leat__role *role);

/* Whether the peer is there: a wait looks again within a slice where the kernel did not answer. */
bool leat__role_finds_peer(struct leat__role *role);

/* The peer's state as its page and the kernel tell it now: a system call if it seems to be
 * there. */
leat_peer leat__role_peer(const struct leat__role *role);

/* Adds the tally to the page's counters and clears it. */
void leat__role_flush(struct leat__role *role);

/* A page's counters. */
void leat__counters_read(const struct leat__counters *counters, leat_statistics *statistics);

/* The own page's counters plus the tally. */
void leat__role_statistics(const struct leat__role *role, leat_statistics *statistics);

/* LEAT_EFORKED, recorded, for every call on a handle that was inherited. */
int leat__role_fail_forked(void);

#endif
