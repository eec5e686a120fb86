// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: their input taken apart, a peer made of bytes, and checks that end the process.
#pragma once

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "core/base/unique_fd.h"
#include "core/channels/interrupt.h"
#include "core/channels/layer.h"

#define FUZZ_CHECK(condition)                                                        \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);   \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

namespace godwit::fuzz {

using ByteSpan = std::span<const std::uint8_t>;

/// Numbers off the front of the fuzzer's input; 0 when it is used up.
class Script {
 public:
  explicit Script(ByteSpan bytes) : rest_(bytes) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t first = rest_.front();
    rest_ = rest_.subspan(1);
    return first;
  }
  std::uint32_t word(int bytes) {
    std::uint32_t value = 0;
    while (bytes-- > 0) value = value << 8 | byte();
    return value;
  }
  ByteSpan take(std::size_t length) {
    const ByteSpan taken = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteSpan rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }

 private:
  ByteSpan rest_;
};

/// How a peer sends: in chunks of at most so many bytes, the sizes chosen by a seed.
struct Chunking {
  std::uint32_t max_bytes = 1 << 20;
  std::uint32_t seed = 1;
  /// Now and then there is nothing to read yet.
  bool hesitates = false;
  /// What the stream ends with: 0 for a close, else the errno that breaks the connection.
  int ending = 0;
};

/// A peer that sends given bytes, then closes or breaks. It takes nothing.
class BytePeer final : public Layer {
 public:
  BytePeer(ByteSpan bytes, Chunking chunking) : rest_(bytes), chunking_(chunking) {}

  IoOutcome read(std::span<iovec> parts) override {
    if (chunking_.hesitates && random() % 4 == 0) return {0, EAGAIN, POLLIN, "recvmsg"};
    if (rest_.empty()) return {0, chunking_.ending, 0, "recvmsg"};
    std::size_t left = std::min<std::size_t>(rest_.size(), 1 + random() % chunking_.max_bytes);
    std::size_t moved = 0;
    for (const iovec& part : parts) {
      const std::size_t step = std::min(left - moved, part.iov_len);
      if (step > 0) std::memcpy(part.iov_base, rest_.data() + moved, step);
      moved += step;
    }
    rest_ = rest_.subspan(moved);
    return {moved, 0, 0, ""};
  }
  IoOutcome write(std::span<iovec>) override { return {0, EPIPE, 0, "sendmsg"}; }
  void shutdown() override {}
  /// Always ready: who waits asks again at once.
  int descriptor() const override {
    static const UniqueFd ready(::eventfd(1, EFD_CLOEXEC));
    return ready.get();
  }

 private:
  std::uint32_t random() {
    chunking_.seed = chunking_.seed * 1664525u + 1013904223u;
    return chunking_.seed >> 8;
  }

  ByteSpan rest_;
  Chunking chunking_;
};

/// Never raised.
inline const Interrupt& no_interrupt() {
  static const std::shared_ptr<Interrupt> interrupt = *Interrupt::create();
  return *interrupt;
}

}  // namespace godwit::fuzz
