// SPDX-License-Identifier: Apache-2.0
// A saved stream: a regular file, read or written from a place in it on.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/layer.h"

namespace godwit {

class FileLayer final : public Layer {
 public:
  /// Takes over a regular file; its file offset is neither used nor moved. Reading and writing both begin at `offset`,
  /// in bytes. Whether it can be written is up to how it was opened.
  static Result<std::unique_ptr<Layer>> create(UniqueFd file, std::uint64_t offset);

  IoOutcome read(std::span<iovec> parts) override;
  IoOutcome write(std::span<iovec> parts) override;
  /// Nothing to end: a regular file does not wait for a peer.
  void shutdown() override {}
  int descriptor() const override { return file_.get(); }

 private:
  FileLayer(UniqueFd file, std::uint64_t offset) : file_(std::move(file)), read_at_(offset), write_at_(offset) {}

  UniqueFd file_;
  std::uint64_t read_at_;   // of the one thread that reads
  std::uint64_t write_at_;  // of the one thread that writes
};

}  // namespace godwit
