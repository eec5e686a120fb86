// SPDX-License-Identifier: Apache-2.0
// A saved stream: a regular file, read from its beginning. It takes no output.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

class FileLayer final : public Layer {
 public:
  /// Duplicates `fd`, which must be a regular file; its file offset is neither used nor moved.
  static Result<std::unique_ptr<Layer>> create(int fd);

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override;
  /// Nothing to end: a read of a regular file does not wait for anybody.
  void shutdown() override {}
  int descriptor() const override { return file_.get(); }

 private:
  explicit FileLayer(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
  std::uint64_t offset_ = 0;  // of the one thread that reads
};

}  // namespace godwit
