// SPDX-License-Identifier: Apache-2.0
// A unix socket whose peer may pass descriptors along with its bytes: SCM_RIGHTS, unix(7).
#pragma once

#include <memory>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

class RightsLayer final : public Layer {
 public:
  /// Descriptors that one message may carry; the kernel closes those beyond. QEMU takes as many on its monitors.
  static constexpr std::size_t kMaxDescriptors = 16;

  static Result<std::unique_ptr<Layer>> create(UniqueFd socket);

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override { return socket_->write(parts); }
  void shutdown() override { socket_->shutdown(); }
  int descriptor() const override { return socket_->descriptor(); }
  std::vector<UniqueFd> take_descriptors() override { return std::move(received_); }

 private:
  explicit RightsLayer(std::unique_ptr<Layer> socket) : socket_(std::move(socket)) {}

  const std::unique_ptr<Layer> socket_;
  std::vector<UniqueFd> received_;  // of the reading thread
};

}  // namespace godwit
