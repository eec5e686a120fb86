// SPDX-License-Identifier: Apache-2.0
// The input of a channel: a bounded buffer between the descriptor and whoever parses. Used by one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/interrupt.h"
#include "core/channels/layer.h"

namespace godwit {

/// Bytes as they came.
struct Received {
  std::vector<std::uint8_t> bytes;
  std::vector<UniqueFd> descriptors;
};

/// Every operation that needs more bytes than there are waits for them. It fails with ECANCELED once `stop` is raised,
/// with kEndOfStream when the peer closed first, else with the errno that broke the connection; the last two are
/// sticky, but bytes received before remain readable.
class InputBuffer {
 public:
  static constexpr std::size_t kCapacity = 1 << 18;
  /// The most that require() can make contiguous.
  static constexpr std::size_t kMaxRequire = 64 << 10;

  /// Both outlive this object.
  InputBuffer(Layer& layer, const Interrupt& stop);
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  /// Waits until `bytes` (≤ kMaxRequire) are at data(), without consuming them.
  Status require(std::size_t bytes);
  const std::uint8_t* data() const { return storage_.get() + start_; }
  std::size_t size() const { return end_ - start_; }
  /// Drops bytes that are there.
  void consume(std::size_t bytes);

  /// Fills `into`, past the buffer once that is empty: what is received then is not copied twice.
  Status read(std::span<std::uint8_t> into);
  /// Waits for bytes and answers all that are there, with the descriptors that came with them; nothing at the end.
  Result<Received> receive();
  /// Waits for one byte or the end; true for the end.
  Result<bool> at_end();

  /// Drops the buffer; `stop` has been raised, so that every later operation fails.
  void release();

  /// Bytes consumed so far; any thread.
  std::uint64_t position() const { return position_.load(std::memory_order_relaxed); }

 private:
  Result<std::size_t> receive(std::span<iovec> parts, std::size_t missing);
  Failure stopped() const { return Failure::cancelled("Reading from the channel"); }

  Layer& layer_;
  const Interrupt& stop_;
  std::unique_ptr<std::uint8_t[]> storage_;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
  std::optional<Failure> broken_;
  bool ended_ = false;
  std::atomic<std::uint64_t> position_ = 0;
};

}  // namespace godwit
