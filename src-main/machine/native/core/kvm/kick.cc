// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/kick.h"

#include <signal.h>

#include <mutex>

namespace godwit {
namespace {

// Not SIGUSR1, which opens Node's inspector; libuv and V8 use no real-time signal.
int kick_signal() { return SIGRTMIN + 3; }

void ignore_kick(int) {}

}  // namespace

void install_kick_handler() {
  static std::once_flag installed;
  std::call_once(installed, [] {
    struct sigaction action {};
    action.sa_handler = ignore_kick;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(kick_signal(), &action, nullptr);
  });
}

void accept_kicks() {
  sigset_t blocked;
  ::sigfillset(&blocked);
  ::sigdelset(&blocked, kick_signal());
  // Faults of this thread itself must reach their handlers (a crash report, a sanitizer).
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::sigdelset(&blocked, fault);
  ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

void kick(pthread_t thread) { ::pthread_kill(thread, kick_signal()); }

}  // namespace godwit
