// SPDX-License-Identifier: Apache-2.0
#include "core/channels/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstdint>

namespace godwit {

Result<std::shared_ptr<Interrupt>> Interrupt::create() {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return Failure::from_errno("eventfd", "Unable to create an event descriptor");
  return std::shared_ptr<Interrupt>(new Interrupt(std::move(event)));
}

void Interrupt::raise() {
  if (raised_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  // Cannot fail: the counter is 0 and the descriptor is ours.
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void Interrupt::retire() {
  raise();
  event_.reset();
}

Readiness wait_ready(int fd, short events, std::initializer_list<const Interrupt*> interrupts,
                     std::chrono::milliseconds timeout) {
  constexpr std::size_t kMaxInterrupts = 3;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + timeout;
  std::array<pollfd, 1 + kMaxInterrupts> watched{};
  nfds_t count = 0;
  watched[count++] = {fd, events, 0};
  for (const Interrupt* interrupt : interrupts) {
    if (interrupt != nullptr && count < watched.size()) watched[count++] = {interrupt->fd(), POLLIN, 0};
  }
  for (;;) {
    int milliseconds = -1;
    if (timeout >= std::chrono::milliseconds::zero()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      milliseconds = left > 0 ? static_cast<int>(left) : 0;
    }
    const int ready = ::poll(watched.data(), count, milliseconds);
    for (const Interrupt* interrupt : interrupts) {
      if (interrupt != nullptr && interrupt->raised()) return Readiness::kInterrupted;
    }
    if (ready > 0) return Readiness::kReady;
    if (ready == 0) return Readiness::kTimedOut;
    // EINTR: again. Anything else (ENOMEM) is left to the caller's next read or write, which reports it.
    if (errno != EINTR) return Readiness::kReady;
  }
}

}  // namespace godwit
