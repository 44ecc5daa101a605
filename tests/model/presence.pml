/* presence.pml - whether a stream has a sender that lives (channels/queue/presence.h, channels/queue/sender_peer.c): no stream that goes on is called
 * dead, and no dead one alive, wherever other senders that come stand still.
 *
 * SENDERS processes come once each: lock their participant, enter the gate, begin a stream or join the one that is open, and leave the gate. Each may be killed at
 * any step, and stand still for ever at any step (a process that is stopped is one that takes no further step). The receiver asks about the stream
 * that `opened` names, as often as it likes. A kill drops the participant, and the gate goes to the next who wants it.
 *
 * A stream that was over when the question began is not found to live, if everybody else stands still meanwhile: so no process hides a death by standing
 * still. One that has set its bit to join, and not looked again, counts as one of the stream.
 *
 * One step for each store and each question: what a processor may reorder here, a full fence or a release keeps in order, or the kernel's
 * locks do.
 *
 * -DBUG_... leaves one thing out; Spin must find a fault then:
 *     BUG_ANY_LOCK        a locked participant is a sender that lives, member or not
 *     BUG_BIT_LATE        a sender that begins a stream sets its bit after it raised `opened`
 *     BUG_NOT_COMING      the one that is about to begin the next stream counts for this one
 *     BUG_JOINS_BLINDLY   one that joins does not look for another member again
 *     BUG_BITS_ONCE       the receiver does not look whether the bits have changed */

#define SENDERS 3
#define NOBODY SENDERS
#define NO_STREAM 255

/* Memory. */
byte opened, coming_stream, coming_participant = NOBODY;
bool member[SENDERS];

/* What the kernel knows; the gate is held by a participant, whose holder may be dead. */
bool locked[SENDERS];
byte gate = NOBODY;

/* What is true: of which stream each process is, while it lives. */
byte stream_of[SENDERS] = NO_STREAM;
bool called_dead[SENDERS + 2];
bool joining[SENDERS]; /* its bit is set, and it has not looked again */
bool moved; /* a sender has, since the question began */

#define LIVES(v) ((locked[0] && stream_of[0] == (v)) || (locked[1] && stream_of[1] == (v)) || (locked[2] && stream_of[2] == (v)))
#define OTHER_LIVES(i) ((i != 0 && member[0] && locked[0]) || (i != 1 && member[1] && locked[1]) || (i != 2 && member[2] && locked[2]))
#define IS_OF(i, v) (locked[i] && (stream_of[i] == (v) || joining[i]))
#define IS_OVER(v) (!IS_OF(0, v) && !IS_OF(1, v) && !IS_OF(2, v))
#define S_STEP if :: goto dead :: skip fi

/* From here on it is one of that stream: which must not have been called dead. */
inline belongs(v) {
    stream_of[me] = v;
    assert(!called_dead[v])
}

proctype Sender(byte me) {
    byte other;
    atomic {locked[me] = true; moved = true};
    S_STEP;
    atomic {gate == NOBODY || !locked[gate] -> gate = me; moved = true}
    S_STEP;
    if
    :: atomic {opened > 0 && OTHER_LIVES(me) ->
#ifdef BUG_JOINS_BLINDLY
            belongs(opened)
#endif
       }
        atomic {member[me] = true; joining[me] = true; moved = true}
        S_STEP;
#ifndef BUG_JOINS_BLINDLY
        if
        :: atomic {OTHER_LIVES(me) -> joining[me] = false; moved = true; belongs(opened)}
            goto inside
        :: atomic {!OTHER_LIVES(me) -> member[me] = false; joining[me] = false; moved = true}
        fi
#else
        goto inside
#endif
    :: atomic {!(opened > 0 && OTHER_LIVES(me)) -> member[(me + 1) % SENDERS] = false; member[(me + 2) % SENDERS] = false; moved = true}
    fi;
    S_STEP;
    atomic {coming_stream = opened + 1; coming_participant = me; moved = true}
    S_STEP;
#ifndef BUG_BIT_LATE
    atomic {member[me] = true; moved = true}
    S_STEP;
#endif
    atomic {opened++; moved = true; belongs(opened)}
#ifdef BUG_BIT_LATE
    S_STEP;
    atomic {member[me] = true; moved = true}
#endif
inside:
    S_STEP;
    atomic {gate = NOBODY; moved = true}
    S_STEP;
    false; /* stays */
dead:
    atomic {locked[me] = false; moved = true; stream_of[me] = NO_STREAM}
}

/* Its bit, and not that of one that is about to begin the next stream. */
#ifdef BUG_NOT_COMING
#define COUNTS(i) (member[i])
#else
#define COUNTS(i) (member[i] && !(coming_participant == (i) && coming_stream == v + 1))
#endif

proctype Receiver() {
    byte v, i;
    bool counts[SENDERS], before[SENDERS], over;
end:
    do
    :: atomic {opened > 0 -> v = opened; over = IS_OVER(v); moved = false}
        /* Any lock: a member's, no member's, or none. */
        if
        :: atomic {!locked[0] && !locked[1] && !locked[2] -> goto died}
        :: atomic {locked[0] -> i = 0}
        :: atomic {locked[1] -> i = 1}
        :: atomic {locked[2] -> i = 2}
        fi;
#ifdef BUG_ANY_LOCK
        goto lives;
#else
        if
        :: COUNTS(i) -> goto lives
        :: else -> skip
        fi;
#endif
again:
        before[0] = member[0]; before[1] = member[1]; before[2] = member[2];
        atomic {counts[0] = before[0] && COUNTS(0); counts[1] = before[1] && COUNTS(1); counts[2] = before[2] && COUNTS(2)}
        i = 0;
        do
        :: i < SENDERS && counts[i] && locked[i] -> goto lives
        :: i < SENDERS && !(counts[i] && locked[i]) -> i++
        :: i == SENDERS -> break
        od;
#ifndef BUG_BITS_ONCE
        if
        :: atomic {member[0] != before[0] || member[1] != before[1] || member[2] != before[2] -> goto again}
        :: atomic {member[0] == before[0] && member[1] == before[1] && member[2] == before[2] -> skip}
        fi;
#endif
died:
        atomic {assert(!LIVES(v)); called_dead[v] = true}
        goto told;
lives:
        assert(!over || moved);
told:
        skip
    od
}

init {
    atomic {run Sender(0); run Sender(1); run Sender(2); run Receiver()}
}
