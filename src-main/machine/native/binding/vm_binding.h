// SPDX-License-Identifier: Apache-2.0
// The JavaScript class VirtualMachine.
#pragma once

#include <napi.h>

#include <memory>

#include "core/memory/dirty_tracker.h"

namespace godwit::binding {

void init_vm(Napi::Env env, Napi::Object exports);

/// The dirty tracker of a JavaScript VirtualMachine; null when the value is not one, or when it is closed.
/// It keeps the machine's KVM descriptors open, not its vCPU threads.
std::shared_ptr<DirtyTracker> tracker_of(const Napi::Value& value);

}  // namespace godwit::binding
