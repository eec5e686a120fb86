// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

z.config({ jitless: true });
