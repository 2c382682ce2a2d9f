// Numbers in texts, and comparing texts. Bodies: runtime/helpers/strings.ts.

import { type HelperBody, inRuntime } from './definition.js';

export const stringHelpers: readonly HelperBody[] = inRuntime('strtol', 'strtoul', 'strncmp');
