// SPDX-License-Identifier: Apache-2.0
// DirtyWriter for JavaScript.
#pragma once

#include <napi.h>

namespace godwit::binding {

void init_dirty_writer(Napi::Env env, Napi::Object exports);

}  // namespace godwit::binding
