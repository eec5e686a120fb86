// SPDX-License-Identifier: Apache-2.0
// The signal that makes a thread's blocking system call (KVM_RUN, write) return with EINTR.
#pragma once

#include <pthread.h>

namespace godwit {

/// Installs the empty handler, once in the process and without SA_RESTART. To be called before a thread that will be
/// kicked is started: the signal's default action would end the process.
void install_kick_handler();

/// To be called by such a thread first: blocks every signal but the kick and the thread's own faults, so that only the
/// process's main thread handles the others.
void accept_kicks();

/// The thread must exist: not joined yet. A kick before the system call begins is lost, so the caller needs a flag that
/// closes the race (kvm_run.immediate_exit) or repeats the kick.
void kick(pthread_t thread);

}  // namespace godwit
