// Chromium as the machine has it: Debian's package, or the program that CHROMIUM names.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export function executable() {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : ['chromium', 'chromium-browser', 'google-chrome'];
  const found = names.flatMap((name) => (name.includes('/') ? [name] : (process.env.PATH ?? '').split(':').map((dir) => join(dir, name)))).find(existsSync);
  assert(found, 'no Chromium: install the package chromium, or name its program in CHROMIUM');
  return found;
}
