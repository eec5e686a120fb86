// SPDX-License-Identifier: Apache-2.0
// How the pages that a guest wrote are found: by KVM's dirty log or by its dirty rings.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/result.h"

namespace godwit {

class DirtyTracker {
 public:
  virtual ~DirtyTracker() = default;

  /// From the return of this call on, every page a vCPU writes is recorded.
  virtual Status start() = 0;
  /// ORs the pages written since the last call into `bitmap` (bit n = page n of the memory block, 64 pages a word,
  /// least significant bit first) and re-arms the tracking of those pages before it returns, so that a page read
  /// after the call is either unchanged since or reported by the next one.
  virtual Status collect(std::span<std::uint64_t> bitmap) = 0;
  virtual Status stop() = 0;
};

}  // namespace godwit
