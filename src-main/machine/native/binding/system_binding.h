// SPDX-License-Identifier: Apache-2.0
// What the box offers: probe(), supportedCpuid(), supportedMsrs(), monotonicNs().
#pragma once

#include <napi.h>

namespace godwit::binding {

void init_system(Napi::Env env, Napi::Object exports);

}  // namespace godwit::binding
