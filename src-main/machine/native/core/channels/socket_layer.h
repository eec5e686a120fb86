// SPDX-License-Identifier: Apache-2.0
// The plain layer: a connected stream socket, tcp or unix.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

class SocketLayer final : public Layer {
 public:
  /// Makes the socket non-blocking and sets what a migration channel wants: for tcp no delay and keepalive.
  static Result<std::unique_ptr<Layer>> create(UniqueFd socket);

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override;
  void shutdown() override;
  int descriptor() const override { return socket_.get(); }

 private:
  explicit SocketLayer(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
};

}  // namespace godwit
