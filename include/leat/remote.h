/* leat/remote.h - mapping a region into another process without its cooperation, as a debugger
 * would. The functions are in a library of their own: link leat_remote besides leat. (libleat makes
 * no system call that stops, reads or writes another process.)
 *
 * Caveats. One thread of the target is stopped for some tenths of a millisecond and made to run a
 * few system calls. Its registers, signal mask and signals are restored, and an interrupted system
 * call is restarted as the kernel would restart it. The caller needs the rights of a debugger: the
 * same user or CAP_SYS_PTRACE, and no objection by kernel.yama.ptrace_scope. If *this* process is
 * killed in that time, the target is likely to crash. docs/map-into.md has all steps and risks.
 *
 *     leat_region *region;
 *     uint64_t address;
 *     if (leat_region_open_into(&region, "counters", 4096, NULL, pid, &address) != LEAT_OK)
 *         fprintf(stderr, "%s\n", leat_error_detail());
 *     ... tell the target `address`; leat_region_data(region) is the same memory here ...
 *     leat_region_unmap_from(pid, address);
 *     leat_region_close(region);
 *
 * Lifetime. The target's view stays until leat_region_unmap_from, or until the target unmaps it,
 * executes another program or ends; its forked children inherit it. Like a detached view it keeps
 * the memory, not the name: the name lives as long as a handle, or until leat_unlink if the region
 * is persistent. The target has no handle and does not count as a user.
 *
 * `process` is a process id in this process's pid namespace; its own id is allowed. The functions
 * exist for 64-bit Linux on x86-64 and arm64; elsewhere, and for 32-bit targets, they return
 * LEAT_ENOTSUP.
 *
 * Threads: any; of concurrent calls on one target one succeeds, the others return LEAT_EBUSY. Fork:
 * a parent's region handle is LEAT_EFORKED. Signals: no function may be called from a signal
 * handler; the calling thread's signals are blocked during the call. The kernel reports the
 * target's stops to this process as those of a child: a SIGCHLD handler may run, and another
 * thread's wait for *any* child may return the target's stops. Blocking: as in leat/object.h, and
 * until the chosen thread of the target has been scheduled and has run the calls; a target that
 * cannot run (frozen) is LEAT_ETIMEDOUT after ten seconds.
 */
#ifndef LEAT_REMOTE_H
#define LEAT_REMOTE_H

#include "leat/region.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Maps a whole region into the process: readable, writable unless the handle is read-only, never
 * executable. *address is the address in the *target*. Each call makes another view.
 *
 * Returns LEAT_OK; LEAT_ENOENT: no such process, or it ended or executed another program;
 * LEAT_EACCES: the detail names the missing right; LEAT_EBUSY: a debugger traces the process, the
 * detail names it; LEAT_EAGAIN: all its threads are in uninterruptible sleep; LEAT_ETIMEDOUT: it is
 * frozen; LEAT_ENOTSUP: a 32-bit process, a kernel thread, or a seccomp filter that refuses the
 * calls; LEAT_ENOMEM, LEAT_ELIMIT: the *target* has no address space or descriptor left;
 * LEAT_EINVAL: the id is a thread's or not positive, or an argument is NULL; LEAT_EFORKED;
 * LEAT_ESTATE: the handle's view was detached. */
LEAT_API LEAT_CHECKED int leat_region_map_into(const leat_region *region, int process,
                                               uint64_t *address);

/* leat_region_open and leat_region_map_into in one call; on failure no handle is left. Returns as
 * both. */
LEAT_API LEAT_CHECKED int leat_region_open_into(leat_region **region, const char *name,
                                                uint64_t size, const leat_region_options *options,
                                                int process, uint64_t *address);

/* Unmaps a view that this process mapped into the target; the region's handle may be closed.
 * Returns LEAT_OK; LEAT_EINVAL if this process mapped nothing at that address, or something else is
 * mapped there now (nothing changes); LEAT_ENOENT if the process is gone; otherwise as
 * leat_region_map_into. */
LEAT_API LEAT_CHECKED int leat_region_unmap_from(int process, uint64_t address);

#ifdef __cplusplus
}
#endif
#endif
