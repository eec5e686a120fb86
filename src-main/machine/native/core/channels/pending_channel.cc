// SPDX-License-Identifier: Apache-2.0
#include "core/channels/pending_channel.h"

#include <pthread.h>

#include <utility>

namespace godwit {
namespace {

Result<std::shared_ptr<Channel>> open_channel(const PendingChannel::Open& open, const PendingChannel::Adopt& adopt,
                                              const Interrupt& cancel) {
  Result<UniqueFd> socket = open(cancel);
  if (!socket) return std::move(socket).failure();
  if (cancel.raised()) return Failure::cancelled("Opening the channel");
  return adopt(*std::move(socket));
}

}  // namespace

Result<std::shared_ptr<PendingChannel>> PendingChannel::start(Open open, Completion<std::shared_ptr<Channel>> done,
                                                              Adopt adopt) {
  Result<std::shared_ptr<Interrupt>> cancel = Interrupt::create();
  if (!cancel) return std::move(cancel).failure();
  return std::shared_ptr<PendingChannel>(
      new PendingChannel(std::move(open), std::move(adopt), std::move(done), *std::move(cancel)));
}

PendingChannel::PendingChannel(Open open, Adopt adopt, Completion<std::shared_ptr<Channel>> done,
                               std::shared_ptr<Interrupt> cancel)
    : cancel_(std::move(cancel)),
      thread_([open = std::move(open), adopt = std::move(adopt), done = std::move(done), interrupt = cancel_]() mutable {
        ::pthread_setname_np(::pthread_self(), "channel-open");
        Result<std::shared_ptr<Channel>> opened = open_channel(open, adopt, *interrupt);
        open = nullptr;  // what it holds (a listener) is released before the outcome is known
        done(std::move(opened));
      }) {}

void PendingChannel::stop() {
  cancel();
  if (thread_.joinable()) thread_.join();
}

}  // namespace godwit
