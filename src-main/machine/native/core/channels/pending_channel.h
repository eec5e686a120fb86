// SPDX-License-Identifier: Apache-2.0
// A channel that is being connected or accepted, on a thread of its own.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/channel.h"
#include "core/channels/completion.h"
#include "core/channels/interrupt.h"

namespace godwit {

class PendingChannel {
 public:
  /// Blocks until there is a connected socket, or until the interrupt is raised.
  using Open = std::function<Result<UniqueFd>(const Interrupt& cancel)>;

  /// Makes the channel of the connected socket.
  using Adopt = std::function<Result<std::shared_ptr<Channel>>(UniqueFd socket)>;

  /// `done` is called exactly once, on the new thread, unless this call fails.
  static Result<std::shared_ptr<PendingChannel>> start(Open open, Completion<std::shared_ptr<Channel>> done,
                                                       Adopt adopt = Channel::adopt);
  PendingChannel(const PendingChannel&) = delete;
  PendingChannel& operator=(const PendingChannel&) = delete;
  ~PendingChannel() { stop(); }

  /// Fails with ECANCELED unless it is done already. Any thread.
  void cancel() { cancel_->raise(); }
  /// Cancels and joins. Again: no effect. Not on the new thread, and by one thread at a time.
  void stop();

 private:
  PendingChannel(Open open, Adopt adopt, Completion<std::shared_ptr<Channel>> done, std::shared_ptr<Interrupt> cancel);

  const std::shared_ptr<Interrupt> cancel_;
  std::thread thread_;  // last member: starts when all others exist
};

}  // namespace godwit
