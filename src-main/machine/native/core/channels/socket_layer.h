// SPDX-License-Identifier: Apache-2.0
// The plain layer: a connected stream socket, tcp or unix.
#pragma once

#include <chrono>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

/// When a tcp peer's host counts as gone: it was switched off, or the network to it is cut. A peer that is merely slow,
/// or takes nothing because it is stopped, is never given up: its kernel goes on answering.
struct LinkLimits {
  /// Nothing has come back for so long, although it was asked again and again. Long enough for a cable that is plugged
  /// in elsewhere, and short enough for a guest that is stopped for its switchover.
  std::chrono::milliseconds unanswered{30'000};
  /// How often one who waits looks.
  std::chrono::milliseconds look_again{5'000};
};

class SocketLayer final : public Layer {
 public:
  /// Makes the socket non-blocking and sets what a migration channel wants: for tcp no delay and keepalive.
  static Result<std::unique_ptr<Layer>> create(UniqueFd socket, LinkLimits limits = {});

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override;
  void shutdown() override;
  int descriptor() const override { return socket_.get(); }
  int lost() const override;
  std::chrono::milliseconds look_again() const override;

 private:
  SocketLayer(UniqueFd socket, bool tcp, LinkLimits limits)
      : socket_(std::move(socket)), tcp_(tcp), limits_(limits) {}

  UniqueFd socket_;
  const bool tcp_;
  const LinkLimits limits_;
};

}  // namespace godwit
