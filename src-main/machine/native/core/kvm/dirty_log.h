// SPDX-License-Identifier: Apache-2.0
// The dirty tracker over KVM's dirty log.
#pragma once

#include <atomic>
#include <memory>

#include "core/kvm/vm_handle.h"
#include "core/memory/dirty_tracker.h"

namespace godwit {

class DirtyLog : public DirtyTracker {
 public:
  explicit DirtyLog(std::shared_ptr<VmHandle> vm) : vm_(std::move(vm)) {}

  Status start() override;
  Status collect(std::span<std::uint64_t> bitmap) override;
  Status stop() override;

 private:
  Status collect_slot(std::uint32_t index, std::span<std::uint64_t> bitmap);
  Status rearm(std::uint32_t index, std::uint64_t pages, std::uint64_t* log);

  const std::shared_ptr<VmHandle> vm_;
  std::atomic<bool> started_{false};
};

}  // namespace godwit
