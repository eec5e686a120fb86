// SPDX-License-Identifier: Apache-2.0
// A pipe or another descriptor that poll(2) works on: one way, to or from a command.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

class DescriptorLayer final : public Layer {
 public:
  /// Makes the descriptor non-blocking.
  static Result<std::unique_ptr<Layer>> create(UniqueFd fd);

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override;
  /// Nothing to end: who waits is woken by the channel's interrupt, and the peer sees the close.
  void shutdown() override {}
  int descriptor() const override { return fd_.get(); }

 private:
  explicit DescriptorLayer(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace godwit
