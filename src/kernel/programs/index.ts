// The program types that the emulated kernel has.

import type { ProgType } from '../../bpf/types.js';
import type { ProgramTypeDefinition } from './definition.js';
import { xdp } from './xdp.js';

export const programTypes: readonly ProgramTypeDefinition[] = [xdp];

const byType = new Map<ProgType, ProgramTypeDefinition>(programTypes.map((row) => [row.type, row]));

/** The definition of a program type; undefined when the emulated kernel does not have it. */
export const programTypeDefinition = (type: ProgType): ProgramTypeDefinition | undefined => byType.get(type);
